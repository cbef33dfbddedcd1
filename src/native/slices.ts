/**
 * Work that would hold everybody else up if it were done in one turn of the event loop: it is written as a generator that says where
 * others may have their turn, and done in slices, or at once where nobody waits.
 */

/** What has been done so far can be undone here, or has to be brought to its end. */
export type Pause = 'revocable' | 'binding';

/** One that is given up at a pause is told by `return`: its `finally` undoes what it has done. */
export type Work<T> = Generator<Pause, T, void>;

/** Pauses in a turn: some milliseconds where each takes as long as to bind a socket. */
const SLICE = 32;

/** To its end, for a caller whom nobody waits for. */
export function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** One slice now, each further one in a turn of its own. @param onEnd when all is done */
export function inSlices(work: Work<void>, onEnd: () => void): void {
  for (let steps = 0; steps < SLICE; steps += 1) {
    if (work.next().done !== true) continue;
    onEnd();
    return;
  }
  setImmediate(inSlices, work, onEnd);
}

/** One work after the other, each in slices. */
export class Slices {
  #current: Running<unknown> | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** Under way, and those that have not begun. */
  #count = 0;
  #isOver = false;

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Begins when those before it have ended. @returns null: it was given up, and nothing of it is left */
  run<T>(work: Work<T>): Promise<T | null> {
    this.#count += 1;
    const run = this.#last.then(() => (this.#isOver ? null : this.#run(work))).finally(() => (this.#count -= 1));
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** Gives up what can be given up, brings the rest to its end, and begins nothing any more. */
  end(): void {
    this.#isOver = true;
    this.#current?.end();
  }

  async #run<T>(work: Work<T>): Promise<T | null> {
    const running = new Running<T>(work);
    this.#current = running;
    try {
      for (;;) {
        running.advance(SLICE);
        if (running.outcome !== null) return running.outcome();
        await nextTurn();
      }
    } finally {
      this.#current = null;
    }
  }
}

class Running<T> {
  readonly #work: Work<T | null>;
  #pause: Pause = 'revocable';
  /** Says or throws what came of it; null: it is under way. */
  outcome: (() => T | null) | null = null;

  constructor(work: Work<T>) {
    this.#work = work;
  }

  advance(steps: number): void {
    for (let step = 0; step < steps && this.outcome === null; step += 1) this.#step();
  }

  end(): void {
    if (this.#pause === 'revocable') this.#giveUp();
    this.advance(Infinity);
  }

  #step(): void {
    this.#settle(() => {
      const step = this.#work.next();
      if (step.done !== true) this.#pause = step.value;
      return step.done === true ? (): T | null => step.value : null;
    });
  }

  #giveUp(): void {
    this.#settle(() => {
      this.#work.return(null);
      return () => null;
    });
  }

  #settle(action: () => (() => T | null) | null): void {
    if (this.outcome !== null) return;
    try {
      this.outcome = action();
    } catch (error) {
      this.outcome = (): never => {
        throw error;
      };
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
