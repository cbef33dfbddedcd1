/**
 * Children whose connection has been quiet for too long, or whose client has left. Nobody tells us of either, as we have no connection: the
 * kernel is asked, of each child when it could be due at the earliest.
 */
import type { Child, Children, EndReason } from './children';
import { DueQueue } from './due-queue';
import type { ConnectionFacts } from './questions';

export interface ConnectionLimits {
  /** So long without a byte in either direction; null: for ever. */
  readonly idleMs: number | null;
  /** So long after its client has left; null: for ever. */
  readonly disconnectMs: number | null;
}

/** Of undefined nothing is known now. */
export type AskConnections = (
  questions: readonly Buffer[],
  onAnswered: (facts: readonly (ConnectionFacts | undefined)[]) => void,
) => void;

/** Asked about at once. */
const BATCH = 64;
/**
 * Where there is no answer. Until there is one it is not known for how long nothing was sent, and that ends nobody; with it all of that time
 * counts.
 */
const RETRY_MS = 5000;

interface Entry<Owner> {
  readonly child: Child<Owner>;
  readonly question: Buffer;
  /** performance.now: a byte was sent or received last. */
  activeMs: number;
  /** When its client was found to have left; null: it has not. */
  goneMs: number | null;
}

export class ConnectionWatch<Owner> {
  readonly #children: Pick<Children<Owner>, 'has'>;
  readonly #limits: ConnectionLimits;
  readonly #askAbout: AskConnections;
  readonly #onDue: (children: readonly Child<Owner>[], reason: EndReason) => void;
  readonly #queue: DueQueue<Entry<Owner>>;

  /** @param onDue hears of each once, if it lives */
  constructor(
    children: Pick<Children<Owner>, 'has'>,
    limits: ConnectionLimits,
    askAbout: AskConnections,
    onDue: (children: readonly Child<Owner>[], reason: EndReason) => void,
  ) {
    this.#children = children;
    this.#limits = limits;
    this.#askAbout = askAbout;
    this.#onDue = onDue;
    this.#queue = new DueQueue(
      BATCH,
      ({ child }) => this.#children.has(child),
      (due) => {
        this.#ask(due);
      },
    );
  }

  /** @param question of its connection (`addon.questionOf`) */
  add(child: Child<Owner>, question: Buffer): void {
    const nowMs = performance.now();
    const entry = { child, question, activeMs: nowMs, goneMs: null };
    this.#queue.add(entry, this.#nextMs(entry, nowMs));
  }

  #ask(entries: readonly Entry<Owner>[]): void {
    const questions = entries.map(({ question }) => question);
    this.#askAbout(questions, (facts) => {
      const nowMs = performance.now();
      const reasons = entries.map((entry, at) => this.#judge(entry, facts[at], nowMs));
      for (const reason of ['disconnected', 'idle-timeout'] as const) {
        const due = entries.filter((_, at) => reasons[at] === reason).map(({ child }) => child);
        if (due.length > 0) this.#onDue(due, reason);
      }
    });
  }

  /** @returns why it has to end; null: it is asked again */
  #judge(entry: Entry<Owner>, facts: ConnectionFacts | undefined, nowMs: number): EndReason | null {
    if (facts === undefined) {
      this.#queue.add(entry, nowMs + RETRY_MS);
      return null;
    }
    if (facts.quietMs !== null) entry.activeMs = Math.max(entry.activeMs, nowMs - facts.quietMs);
    entry.goneMs = this.#hasLeft(entry, facts, nowMs) ? (entry.goneMs ?? nowMs) : null;
    const { idleMs, disconnectMs } = this.#limits;
    if (disconnectMs !== null && entry.goneMs !== null && nowMs - entry.goneMs >= disconnectMs) return 'disconnected';
    if (idleMs !== null && nowMs - entry.activeMs >= idleMs) return 'idle-timeout';
    this.#queue.add(entry, this.#nextMs(entry, nowMs));
    return null;
  }

  /** A client that has sent its end may wait for its answer; it has left when nothing is sent to it either. */
  #hasLeft({ activeMs }: Entry<Owner>, { state }: ConnectionFacts, nowMs: number): boolean {
    if (state !== 'half') return state === 'over';
    return nowMs - activeMs >= (this.#limits.disconnectMs ?? 0);
  }

  #nextMs({ activeMs, goneMs }: Entry<Owner>, nowMs: number): number {
    const { idleMs, disconnectMs } = this.#limits;
    const idle = idleMs === null ? Infinity : activeMs + idleMs;
    const gone = disconnectMs === null ? Infinity : (goneMs ?? nowMs) + disconnectMs;
    return Math.min(idle, gone);
  }
}
