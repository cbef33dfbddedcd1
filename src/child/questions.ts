/**
 * What the kernel says of connections that children have: asked for all who want to know, so many at a time.
 */
import { addon } from '../native/addon';
import { waitForAnswers } from './answers';

/** As tcp_states.h has them. */
const [TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING] = [6, 7, 8, 9, 11];

export interface ConnectionFacts {
  /** over: there is no connection any more. half: the client has sent its end, and may wait for an answer. */
  readonly state: 'open' | 'half' | 'over';
  /** For so long nothing was sent nor received; null: the kernel does not say. */
  readonly quietMs: number | null;
}

type OnAnswered = (facts: readonly (ConnectionFacts | undefined)[]) => void;

interface Request {
  readonly questions: readonly Buffer[];
  readonly onAnswered: OnAnswered;
}

export class Questions {
  #waiting: Request[] = [];
  #isAsking = false;

  /** Calls back in a later turn; undefined: that one cannot be told now. */
  ask(questions: readonly Buffer[], onAnswered: OnAnswered): void {
    this.#waiting.push({ questions, onAnswered });
    if (!this.#isAsking) this.#next();
  }

  #next(): void {
    const request = this.#waiting.shift();
    this.#isAsking = request !== undefined;
    if (request === undefined) return;
    const { questions, onAnswered } = request;
    addon.askSockets(questions);
    waitForAnswers(
      questions.length,
      () => addon.socketsSoFar(),
      (answers) => {
        const facts = answers.map(([state, sentMs, receivedMs]) => factsOf(state, sentMs, receivedMs));
        // Whoever does not answer is skipped this time: who stands behind it is not to be.
        const left = questions.slice(answers.length + 1);
        if (left.length > 0)
          this.#waiting.unshift({
            questions: left,
            onAnswered: (rest) => {
              onAnswered([...facts, undefined, ...rest]);
            },
          });
        else onAnswered(facts);
        this.#next();
      },
    );
  }
}

export function factsOf(state: number, sentMs: number, receivedMs: number): ConnectionFacts | undefined {
  if (state < 0) return undefined;
  const quietMs = sentMs < 0 ? null : Math.min(sentMs, receivedMs);
  if (state === CLOSE_WAIT) return { state: 'half', quietMs };
  const isOver = [0, TIME_WAIT, CLOSE, LAST_ACK, CLOSING].includes(state);
  return { state: isOver ? 'over' : 'open', quietMs };
}
