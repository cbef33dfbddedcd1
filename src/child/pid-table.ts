/**
 * What is known of each child, by pid. Not a Map: one that sees a steady coming and going leaves a chain of outgrown tables,
 * each of which keeps the next alive until a full collection (200 bytes for every connection, measured). An object used as
 * a dictionary leaves nothing.
 */
export class PidTable<Value> {
  #entries = Object.create(null) as Record<number, Value | undefined>;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(pid: number): Value | undefined {
    return this.#entries[pid];
  }

  /** The pid must not be in the table: it belongs to one child until that is reaped. */
  add(pid: number, value: Value): void {
    this.#entries[pid] = value;
    this.#size += 1;
  }

  /** The pid must be in the table. */
  remove(pid: number): void {
    Reflect.deleteProperty(this.#entries, pid);
    this.#size -= 1;
  }

  values(): Value[] {
    return Object.values(this.#entries) as Value[];
  }
}
