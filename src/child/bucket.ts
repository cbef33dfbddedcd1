/**
 * So many at once, and so many in each second after that. Pure but for the clock.
 */
const SECOND_MS = 1000;

export class Bucket {
  readonly #most: number;
  readonly #perSecond: number;
  #left: number;
  /** performance.now. */
  #filledMs = performance.now();

  constructor(most: number, perSecond: number) {
    [this.#most, this.#perSecond, this.#left] = [most, perSecond, most];
  }

  /** Whether there is one more. */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(this.#most, this.#left + ((now - this.#filledMs) / SECOND_MS) * this.#perSecond);
    this.#filledMs = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
