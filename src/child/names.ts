/**
 * Whose a process is that has lost its parent: the facts of its connection stand in its environment. To read that may take for ever, where
 * a process does not want it, and then it has no name.
 */
import { addon } from '../native/addon';
import { waitForAnswers } from './answers';
import type { ProcessFacts } from './census';

type OnNamed = (names: ReadonlyMap<ProcessFacts, string>) => void;

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
    waitForAnswers(
      orphans.length,
      () => addon.namesSoFar(),
      (names) => {
        for (const [index, name] of names.entries()) this.#learn(orphans[index], name);
        const left = orphans.slice(names.length);
        this.#learn(left[0], '');
        this.#ask(left.slice(1), mute + 1, onEnd);
      },
    );
  }

  #nameOf(pid: number): string {
    return this.#known.get(pid)?.name ?? '';
  }

  #learn(orphan: ProcessFacts | undefined, name: string): void {
    if (orphan !== undefined) this.#known.set(orphan.pid, { start: orphan.start, name });
  }
}
