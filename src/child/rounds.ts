/**
 * Pipes that have always something to read, or a little very often, would have us do nothing else. They are not watched, but visited in
 * rounds: so many pieces in each, whoever is next. A program that writes more than all of that waits.
 */

/** Some 30 MiB in a second, which takes a few hundredths of one CPU to read and count. */
const VISITS = 16;
const PAUSE_MS = 8;

export class Rounds<Visited> {
  readonly #visit: (visited: Visited) => boolean;
  readonly #members = new Set<Visited>();
  #timer: NodeJS.Timeout | null = null;

  /** @param visit whether it is to be visited again */
  constructor(visit: (visited: Visited) => boolean) {
    this.#visit = visit;
  }

  add(visited: Visited): void {
    this.#members.add(visited);
    this.#goOnLater();
  }

  remove(visited: Visited): void {
    this.#members.delete(visited);
  }

  #goOnLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#go();
      if (this.#members.size > 0) this.#goOnLater();
    }, PAUSE_MS).unref();
  }

  /** Who was visited goes to the end, also to have another turn in this round where there are few. */
  #go(): void {
    for (let count = 0; count < VISITS; count += 1) {
      const [next] = this.#members;
      if (next === undefined) return;
      this.#members.delete(next);
      if (this.#visit(next)) this.#members.add(next);
    }
  }
}
