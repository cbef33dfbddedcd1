/**
 * When no pipe of a service is touched, because somebody holds the kernel's lock of one: to find that out took us half a second, in which
 * nobody was served. So the next attempt is made after a pause, which grows while this goes on.
 */

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** After so long the next one is one of its own. */
const CALM_MS = 10 * LONGEST_PAUSE_MS;

export class Deafness<Entry> {
  /** For the end: who is held up first, if it is known. */
  readonly waiting = new Set<Entry>();
  readonly #onEnd: () => void;
  #pauseMs = 0;
  #endedMs = -Infinity;
  #isOn = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** @param culprit who is held up; null: its pipe is ours no more @returns for how many milliseconds */
  begin(culprit: Entry | null): number {
    if (culprit !== null) this.#putFirst(culprit);
    if (performance.now() - this.#endedMs > CALM_MS) this.#pauseMs = 0;
    this.#pauseMs = Math.min(Math.max(2 * this.#pauseMs, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.#isOn = true;
    setTimeout(() => {
      [this.#isOn, this.#endedMs] = [false, performance.now()];
      this.#onEnd();
    }, this.#pauseMs).unref();
    return this.#pauseMs;
  }

  #putFirst(entry: Entry): void {
    const others = [...this.waiting];
    this.waiting.clear();
    for (const each of [entry, ...others]) this.waiting.add(each);
  }
}
