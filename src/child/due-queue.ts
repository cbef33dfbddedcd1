/**
 * What is due at some time each, and one timer for the next: a heap. What is no longer wanted stays in it until that is worth a look.
 */

/** Of a heap that has grown to twice what was left of it, those who are wanted no more are taken out. */
const SHORTEST = 64;
/** Timers hold 31 bits of milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Place<Item> {
  readonly item: Item;
  /** performance.now. */
  readonly dueMs: number;
}

export class DueQueue<Item> {
  readonly #batch: number;
  readonly #isWanted: (item: Item) => boolean;
  readonly #onDue: (items: readonly Item[]) => void;
  /** None is due before the one at half its place. */
  #heap: Place<Item>[] = [];
  #longest = SHORTEST;
  #timer: NodeJS.Timeout | null = null;
  /** Of the timer. */
  #timerMs = Infinity;

  /** @param batch told in one turn of the event loop @param onDue hears of each once, if it is wanted by then */
  constructor(batch: number, isWanted: (item: Item) => boolean, onDue: (items: readonly Item[]) => void) {
    this.#batch = batch;
    this.#isWanted = isWanted;
    this.#onDue = onDue;
  }

  add(item: Item, dueMs: number): void {
    if (this.#heap.length >= this.#longest) this.#tidy();
    this.#heap.push({ item, dueMs });
    this.#rise(this.#heap.length - 1);
    this.#setTimer();
  }

  /** What is sorted is a heap. */
  #tidy(): void {
    this.#heap = this.#heap.filter(({ item }) => this.#isWanted(item)).sort((a, b) => a.dueMs - b.dueMs);
    this.#longest = Math.max(SHORTEST, 2 * this.#heap.length);
  }

  #setTimer(): void {
    const nextMs = this.#heap[0]?.dueMs ?? Infinity;
    if (nextMs >= this.#timerMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerMs = nextMs;
    const delayMs = Math.min(Math.max(0, Math.ceil(nextMs - performance.now())), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      [this.#timer, this.#timerMs] = [null, Infinity];
      this.#tellDue();
    }, delayMs).unref();
  }

  #tellDue(): void {
    const nowMs = performance.now();
    const due: Item[] = [];
    while (due.length < this.#batch && this.#dueAt(0) <= nowMs) {
      const item = this.#shift();
      if (item !== undefined && this.#isWanted(item)) due.push(item);
    }
    this.#setTimer();
    if (due.length > 0) this.#onDue(due);
  }

  #shift(): Item | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first?.item;
  }

  #rise(at: number): void {
    const above = (at - 1) >> 1;
    if (at === 0 || this.#dueAt(above) <= this.#dueAt(at)) return;
    this.#swap(at, above);
    this.#rise(above);
  }

  #sink(at: number): void {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    const sooner = this.#dueAt(right) < this.#dueAt(left) ? right : left;
    if (this.#dueAt(at) <= this.#dueAt(sooner)) return;
    this.#swap(at, sooner);
    this.#sink(sooner);
  }

  #dueAt(at: number): number {
    return this.#heap[at]?.dueMs ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first !== undefined && second !== undefined) [this.#heap[a], this.#heap[b]] = [second, first];
  }
}
