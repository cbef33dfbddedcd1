/**
 * Which processes there are. To look at all of them takes time for each process of the machine, so it is done in slices, once for all who
 * want to know, and no more than a fifth of the time goes into it.
 */
import { addon, PROCESS_FIELDS } from '../native/addon';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Ticks since boot: no other process of that pid has the same. */
  readonly start: number;
}

type OnCounted = (processes: readonly ProcessFacts[]) => void;

/** In one turn of the event loop; 5 µs for each. */
const SLICE = 64;
/** Times what a count took: the pause before the next … */
const PAUSE_AFTER = 4;
/** … at the most. */
const LONGEST_PAUSE_MS = 250;

export class Census {
  readonly #records = new Float64Array(SLICE * PROCESS_FIELDS);
  #waiting: OnCounted[] = [];
  #isCounting = false;
  /** performance.now. */
  #nextMs = 0;

  /** Calls back in a later turn, with what is there after this call. Nobody, where it cannot be told. */
  take(onCounted: OnCounted): void {
    this.#waiting.push(onCounted);
    if (!this.#isCounting) this.#begin();
  }

  #begin(): void {
    this.#isCounting = true;
    setTimeout(
      () => {
        this.#count(this.#waiting.splice(0));
      },
      Math.max(0, this.#nextMs - performance.now()),
    ).unref();
  }

  #count(audience: readonly OnCounted[]): void {
    const processes: ProcessFacts[] = [];
    let tookMs = 0;
    const goOn = (): void => {
      const startMs = performance.now();
      const count = this.#read(processes);
      tookMs += performance.now() - startMs;
      if (count > 0) setImmediate(goOn);
      else this.#end(audience, processes, tookMs);
    };
    addon.beginProcesses();
    goOn();
  }

  #read(into: ProcessFacts[]): number {
    const count = addon.nextProcesses(this.#records);
    for (let at = 0; at < count * PROCESS_FIELDS; at += PROCESS_FIELDS) {
      const [pid = 0, parent = 0, group = 0, start = 0] = this.#records.subarray(at, at + PROCESS_FIELDS);
      into.push({ pid, parent, group, start });
    }
    return count;
  }

  #end(audience: readonly OnCounted[], processes: readonly ProcessFacts[], tookMs: number): void {
    this.#isCounting = false;
    this.#nextMs = performance.now() + Math.min(PAUSE_AFTER * tookMs, LONGEST_PAUSE_MS);
    for (const onCounted of audience) onCounted(processes);
    this.#goOn();
  }

  /** One of the audience may have begun already. */
  #goOn(): void {
    if (this.#waiting.length > 0 && !this.#isCounting) this.#begin();
  }
}
