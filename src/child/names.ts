/**
 * Whose a process is that has lost its parent: the facts of its connection stand in its environment. To read that may take for ever, where
 * a process does not want it, and then it has no name.
 */
import { addon } from '../native/addon';
import type { ProcessFacts } from './census';

type OnNamed = (names: ReadonlyMap<ProcessFacts, string>) => void;

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 16;
/** So long after the last answer the next one does not come, also where a session takes all the CPU it gets. */
const PATIENCE_MS = 1000;
/** Who does not answer in one look; after them nobody is asked until the next. */
const MOST_MUTE = 2;

export class Names {
  /** Of those who were there at the last look, by pid. */
  #known = new Map<number, { readonly start: number; readonly name: string }>();

  /** Calls back at once where nobody has to be asked. One look at a time. */
  find(orphans: readonly ProcessFacts[], onNamed: OnNamed): void {
    const isKnown = ({ pid, start }: ProcessFacts): boolean => this.#known.get(pid)?.start === start;
    const unknown = orphans.filter((orphan) => !isKnown(orphan));
    this.#ask(unknown, 0, () => {
      const known = orphans.filter(isKnown);
      this.#known = new Map(known.map(({ pid, start }) => [pid, { start, name: this.#nameOf(pid) }]));
      onNamed(new Map(orphans.map((orphan) => [orphan, isKnown(orphan) ? this.#nameOf(orphan.pid) : ''])));
    });
  }

  #ask(orphans: readonly ProcessFacts[], mute: number, onEnd: () => void): void {
    if (orphans.length === 0 || mute === MOST_MUTE) {
      onEnd();
      return;
    }
    addon.askNames(Int32Array.from(orphans, ({ pid }) => pid));
    waitForAnswers(orphans.length, (names) => {
      for (const [index, name] of names.entries()) this.#learn(orphans[index], name);
      const left = orphans.slice(names.length);
      this.#learn(left[0], '');
      this.#ask(left.slice(1), mute + 1, onEnd);
    });
  }

  #nameOf(pid: number): string {
    return this.#known.get(pid)?.name ?? '';
  }

  #learn(orphan: ProcessFacts | undefined, name: string): void {
    if (orphan !== undefined) this.#known.set(orphan.pid, { start: orphan.start, name });
  }
}

/** @param onEnd hears as many as have come: with fewer than there should be, the next one does not answer */
function waitForAnswers(count: number, onEnd: (names: readonly string[]) => void): void {
  let [heard, heardMs, waitMs] = [0, performance.now(), FIRST_WAIT_MS];
  const look = (): void => {
    const names = addon.namesSoFar();
    if (names.length > heard) [heard, heardMs] = [names.length, performance.now()];
    waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    if (names.length >= count || performance.now() - heardMs > PATIENCE_MS) onEnd(names);
    else setTimeout(look, waitMs).unref();
  };
  setTimeout(look, waitMs).unref();
}
