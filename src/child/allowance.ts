/**
 * How much the children of one service may say: a bucket of lines that fills by itself. What goes beyond is counted, and told as a
 * number at most once a second. Whoever is silenced waits here for leave. Pure, but for the outlet.
 */

/** Enough for a hundred programs that fail at once with a stack trace each … */
const BURST = 1000;
/** … and for one that has much to say all the time. */
const PER_SECOND = 100;
const SECOND_MS = 1000;

export interface Outlet {
  /** Whether the log has room for words, of which it takes less than of what stdiod says itself; `isLast`: before an end. */
  hasRoom(isLast: boolean): boolean;
  /** So many lines were left out. */
  onLeftOut(count: number): void;
}

/** Has lines that wait. */
export interface Silenced {
  /** There may be leave again. */
  tellKept(): void;
}

export class Allowance {
  readonly #outlet: Outlet;
  readonly #waiting = new Set<Silenced>();
  #lines = BURST;
  /** performance.now. */
  #filledMs = performance.now();
  #leftOut = 0;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Nobody waits, and nothing is left to be told. */
  get isQuiet(): boolean {
    return this.#leftOut === 0 && this.#waiting.size === 0;
  }

  /** Whether one more line may be told. */
  take(): boolean {
    this.#fill();
    if (this.#lines < 1 || !this.#outlet.hasRoom(false)) return false;
    this.#lines -= 1;
    return true;
  }

  /** The same for one of the last lines before an end, which are told beyond the measure, at the cost of those that come. */
  takeLast(): boolean {
    this.#fill();
    if (!this.#outlet.hasRoom(true)) return false;
    this.#lines = Math.max(this.#lines - 1, -BURST);
    return true;
  }

  leaveOut(count: number): void {
    this.#leftOut += count;
  }

  wait(silenced: Silenced): void {
    this.#waiting.add(silenced);
  }

  leave(silenced: Silenced): void {
    this.#waiting.delete(silenced);
  }

  /** To be called once a second for as long as it is not quiet. */
  tell(): void {
    const count = this.#leftOut;
    this.#leftOut = 0;
    if (count > 0) this.#outlet.onLeftOut(count);
    for (const silenced of [...this.#waiting]) silenced.tellKept();
  }

  #fill(): void {
    const now = performance.now();
    this.#lines = Math.min(BURST, this.#lines + ((now - this.#filledMs) / SECOND_MS) * PER_SECOND);
    this.#filledMs = now;
  }
}
