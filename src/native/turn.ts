/**
 * What is due once in a turn of the event loop, however often it was asked for: not within the call that asks, so that what it
 * does may ask again without ending in a loop that lets nobody else in.
 */
export class OncePerTurn {
  readonly #action: () => void;
  #isScheduled = false;

  constructor(action: () => void) {
    this.#action = action;
  }

  request(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#action();
    });
  }
}
