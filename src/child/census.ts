/**
 * Which processes there are. To look at all of them takes time for each process of the machine, and may take for ever, where somebody holds
 * the lock of /proc. So a thread does it, once for all who want to know, one list at a time and for no more than a fifth of the time.
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

/** For the list: the last pause is as long as all before it. */
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 64;
/** Times what a count took: the pause before the next … */
const PAUSE_AFTER = 4;
/** … at the most. */
const LONGEST_PAUSE_MS = 250;

export class Census {
  #waiting: OnCounted[] = [];
  #isCounting = false;
  /** performance.now. */
  #nextMs = 0;

  /** Calls back in a later turn, or never, with what is there after this call. Nobody, where it cannot be told. */
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
    if (addon.beginCensus()) this.#wait(audience, FIRST_WAIT_MS);
    else this.#end(audience, [], LONGEST_PAUSE_MS);
  }

  #wait(audience: readonly OnCounted[], waitMs: number): void {
    setTimeout(() => {
      const census = addon.takeCensus();
      if (census === null) this.#wait(audience, Math.min(2 * waitMs, LONGEST_WAIT_MS));
      else this.#end(audience, read(census.records), census.tookMs);
    }, waitMs).unref();
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

function read(records: Float64Array): ProcessFacts[] {
  const processes: ProcessFacts[] = [];
  for (let at = 0; at < records.length; at += PROCESS_FIELDS) {
    const [pid = 0, parent = 0, group = 0, start = 0] = records.subarray(at, at + PROCESS_FIELDS);
    processes.push({ pid, parent, group, start });
  }
  return processes;
}
