/**
 * Children that may live for so long, and one timer for the next who is due. They are added in the order of their start and have the
 * same time, so the first one is always the next. Who has ended before stays in the list until that is worth a look.
 */
import type { Child, Children } from './children';

/** Told in one turn of the event loop. */
const BATCH = 64;
/** Of a list that has grown to twice what was left of it, those who have ended are taken out. */
const SHORTEST_LIST = 64;

export class Deadlines<Owner> {
  readonly #children: Pick<Children<Owner>, 'has'>;
  readonly #limitMs: number;
  readonly #onDue: (children: readonly Child<Owner>[]) => void;
  #list: Child<Owner>[] = [];
  #longest = SHORTEST_LIST;
  #timer: NodeJS.Timeout | null = null;

  /** @param onDue hears of each once, if it lives, when it is limitMs old */
  constructor(
    children: Pick<Children<Owner>, 'has'>,
    limitMs: number,
    onDue: (children: readonly Child<Owner>[]) => void,
  ) {
    this.#children = children;
    this.#limitMs = limitMs;
    this.#onDue = onDue;
  }

  /** @param child no older than those before it */
  add(child: Child<Owner>): void {
    if (this.#list.length >= this.#longest) this.#tidy();
    this.#list.push(child);
    if (this.#timer === null) this.#wait(child.startedMs + this.#limitMs - performance.now());
  }

  #tidy(): void {
    this.#list = this.#list.filter((child) => this.#children.has(child));
    this.#longest = Math.max(SHORTEST_LIST, 2 * this.#list.length);
  }

  #wait(delayMs: number): void {
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#tellDue();
      },
      Math.max(0, Math.ceil(delayMs)),
    ).unref();
  }

  #tellDue(): void {
    this.#tidy();
    const before = performance.now() - this.#limitMs;
    const found = this.#list.slice(0, BATCH).findIndex(({ startedMs }) => startedMs > before);
    const due = this.#list.splice(0, found < 0 ? BATCH : found);
    const [next] = this.#list;
    if (next !== undefined) this.#wait(next.startedMs - before);
    if (due.length > 0) this.#onDue(due);
  }
}
