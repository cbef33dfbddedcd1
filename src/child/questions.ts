/**
 * What the kernel says of connections that children have: asked for each service by itself, so many at a time. Who holds the kernel's lock
 * of a connection keeps the thread that asks about it, so that one is not asked about again until it has come back.
 */
import { addon, type SocketInquiry } from '../native/addon';
import { waitForAnswers } from './answers';

/** As tcp_states.h has them. */
const [TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING] = [6, 7, 8, 9, 11];

export interface ConnectionFacts {
  /** over: there is no connection any more. half: the client has sent its end, and may wait for an answer. */
  readonly state: 'open' | 'half' | 'over';
  /** For so long nothing was sent nor received; null: the kernel does not say. */
  readonly quietMs: number | null;
}

/** undefined: that one cannot be told now. */
type OnAnswered = (facts: readonly (ConnectionFacts | undefined)[]) => void;
/** With one of these who does not answer, no further connection of the service is asked about until one comes back. */
export const MOST_OUT = 4;
/** A service is told once in this time. */
export const TELLING_MS = 3_600_000;

export class Questions {
  readonly #onTooMany: (service: string) => void;
  /** Of each as long as there is something to be remembered. */
  readonly #ofServices = new Map<string, ServiceQuestions>();

  /** @param onTooMany hears of a service, once in a while, that it has as many out as it may */
  constructor(onTooMany: (service: string) => void) {
    this.#onTooMany = onTooMany;
  }

  /** Calls back in a later turn. A connection is known by its question. */
  ask(service: string, questions: readonly Buffer[], onAnswered: OnAnswered): void {
    const own = this.#ofServices.get(service) ?? this.#begin(service);
    own.ask({ questions, onAnswered });
  }

  #begin(service: string): ServiceQuestions {
    for (const [name, { isQuiet }] of this.#ofServices) if (isQuiet) this.#ofServices.delete(name);
    const own = new ServiceQuestions(() => {
      this.#onTooMany(service);
    });
    this.#ofServices.set(service, own);
    return own;
  }
}

interface Request {
  readonly questions: readonly Buffer[];
  readonly onAnswered: OnAnswered;
}

class ServiceQuestions {
  readonly #onTooMany: () => void;
  readonly #waiting: Request[] = [];
  /** Who did not answer in time, with what asks them still. */
  readonly #out = new Map<Buffer, SocketInquiry>();
  #isAsking = false;
  /** performance.now. */
  #toldMs = -Infinity;

  constructor(onTooMany: () => void) {
    this.#onTooMany = onTooMany;
  }

  get isQuiet(): boolean {
    this.#forgetReturned();
    return !this.#isAsking && this.#out.size === 0 && performance.now() - this.#toldMs > TELLING_MS;
  }

  ask(request: Request): void {
    this.#waiting.push(request);
    if (!this.#isAsking) this.#next();
  }

  #next(): void {
    const request = this.#waiting.shift();
    this.#isAsking = request !== undefined;
    if (request === undefined) return;
    const { questions, onAnswered } = request;
    const known = new Map<Buffer, ConnectionFacts>();
    this.#forgetReturned();
    this.#ask(
      questions.filter((question) => !this.#out.has(question)),
      known,
      () => {
        onAnswered(questions.map((question) => known.get(question)));
        this.#next();
      },
    );
  }

  /** Whoever does not answer is passed over: who stands behind it is not to be. */
  #ask(questions: readonly Buffer[], known: Map<Buffer, ConnectionFacts>, onEnd: () => void): void {
    if (questions.length === 0 || this.#out.size >= MOST_OUT) {
      setImmediate(onEnd);
      return;
    }
    const inquiry = addon.askSockets(questions);
    waitForAnswers(
      questions.length,
      () => addon.socketsSoFar(inquiry),
      (answers) => {
        for (const [index, numbers] of answers.entries()) learn(known, questions[index], factsOf(...numbers));
        const [late, ...left] = questions.slice(answers.length);
        if (late !== undefined) this.#leave(late, inquiry);
        this.#ask(left, known, onEnd);
      },
    );
  }

  #leave(late: Buffer, inquiry: SocketInquiry): void {
    addon.giveUpSockets(inquiry);
    this.#out.set(late, inquiry);
    const nowMs = performance.now();
    if (this.#out.size < MOST_OUT || nowMs - this.#toldMs < TELLING_MS) return;
    this.#toldMs = nowMs;
    this.#onTooMany();
  }

  #forgetReturned(): void {
    for (const [question, inquiry] of this.#out) if (!addon.isAskingSockets(inquiry)) this.#out.delete(question);
  }
}

function learn(
  known: Map<Buffer, ConnectionFacts>,
  question: Buffer | undefined,
  facts: ConnectionFacts | undefined,
): void {
  if (question !== undefined && facts !== undefined) known.set(question, facts);
}

export function factsOf(state: number, sentMs: number, receivedMs: number): ConnectionFacts | undefined {
  if (state < 0) return undefined;
  const quietMs = sentMs < 0 ? null : Math.min(sentMs, receivedMs);
  if (state === CLOSE_WAIT) return { state: 'half', quietMs };
  const isOver = [0, TIME_WAIT, CLOSE, LAST_ACK, CLOSING].includes(state);
  return { state: isOver ? 'over' : 'open', quietMs };
}
