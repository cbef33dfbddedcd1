/**
 * The children that we started and have not reaped: spawn puts them in, an exit takes them out. `server` calls both sides.
 *
 * Races that end here: a child that dies before its pid is recorded is not reaped before, because spawn and reap run on
 * one thread; a pid is not reused before we reap it, so a signal never hits a stranger. A pid that we do not know is an orphan that
 * we inherited (as PID 1): it is reaped, and that is all.
 */
import { addon, REAP_FIELDS, type Pid, type Start } from '../native/addon';
import { errnoName, signalName } from '../native/system-error';
import { PidTable } from './pid-table';
import type { Plan } from './plan';
import type { Reports, Traffic } from './reports';

export interface Child<Owner> {
  readonly pid: Pid;
  /** What the errand needs to know of it. */
  readonly owner: Owner;
  /** CLOCK_MONOTONIC, milliseconds. */
  readonly startedMs: number;
  readonly errand: Errand<Owner>;
  /** Absent: it ends by itself. */
  endReason?: EndReason;
}

/** Why we ended a child; it stands in the event of its end. */
export type EndReason = 'stop';

/** What a child was started for. */
export interface Errand<Owner> {
  onExit(child: Child<Owner>, exit: Exit): void;
}

export interface Exit {
  /** 0 to 255; null: it died by a signal. */
  readonly status: number | null;
  /** `SIGSEGV`; null: it exited. */
  readonly signal: string | null;
  readonly cpuSeconds: number;
  /** Peak resident size; null where it is not known (see `PeakRss`). */
  readonly rssBytes: number | null;
  /** Why the program was never started; null: it was. */
  readonly failure: { readonly step: string; readonly error: string } | null;
  /** What it said of its connection before it ended; undefined: it is none of those who do. */
  readonly traffic?: Traffic | undefined;
}

const BATCH = 64;
/** Up to here a walk over all children costs about as much as one look-up (1 µs; native/reaper.cc has the figures). */
const CHEAP_WALK = 64;
/** With more, those whose SIGCHLD was merged into another's are found by a walk this long after it … */
const WALK_MS = 20;
/** … or later, so that looking in vain takes no more than a fiftieth of the time. */
const WALK_SHARE = 50;
const KIB = 1024;

export class Children<Owner> {
  readonly #byPid = new PidTable<Child<Owner>>();
  readonly #records = new Float64Array(BATCH * REAP_FIELDS);
  readonly #onBatch: () => void;
  readonly #reports: Pick<Reports<Child<Owner>>, 'add' | 'settle'>;
  readonly #peakRss = new PeakRss();
  #walkTimer: NodeJS.Timeout | null = null;
  #walkMs = WALK_MS;

  /** @param onBatch called after every group of exits */
  constructor(onBatch: () => void, reports: Pick<Reports<Child<Owner>>, 'add' | 'settle'>) {
    this.#onBatch = onBatch;
    this.#reports = reports;
    addon.openReaper(() => {
      this.reap();
    });
  }

  get count(): number {
    return this.#byPid.size;
  }

  [Symbol.iterator](): IterableIterator<Child<Owner>> {
    return this.#byPid.values().values();
  }

  /** Takes the descriptor unless it throws or the plan is for `wait`. @throws SystemError of clone */
  spawn(plan: Plan, start: Start, owner: Owner, errand: Errand<Owner>): Child<Owner> {
    const pid = addon.spawn(plan.native, start);
    const child = { pid, owner, startedMs: Math.round(performance.now()), errand };
    this.#byPid.add(pid, child);
    if (plan.isReporting) this.#reports.add(pid, child);
    return child;
  }

  /** Collects those that died. */
  reap(): void {
    if (this.count <= CHEAP_WALK) {
      this.#collect(true);
    } else {
      this.#collect(false);
      this.#walkTimer ??= setTimeout(() => {
        this.#walk();
      }, this.#walkMs);
    }
  }

  /** Every one that has died, whatever the walk costs: for a server that is about to leave. */
  reapAll(): void {
    this.#collect(true);
  }

  has(child: Child<Owner>): boolean {
    return this.#byPid.get(child.pid) === child;
  }

  /** To the child's process group. A child that has not reached setsid yet has no group: it gets the signal itself. */
  signal(child: Child<Owner>, name: NodeJS.Signals): void {
    if (!this.has(child)) return;
    if (!trySignal(-Number(child.pid), name)) trySignal(child.pid, name);
  }

  #walk(): void {
    this.#walkTimer = null;
    this.#walkMs = Math.max(WALK_MS, WALK_SHARE * this.#collect(true));
  }

  /** @returns what one look for a dead child took, without the work on those that were found: milliseconds */
  #collect(everyone: boolean): number {
    let [total, count, lookMs] = [0, 0, 0];
    do {
      const startMs = performance.now();
      count = addon.reap(this.#records, everyone);
      lookMs = (performance.now() - startMs) / (count + 1);
      for (let index = 0; index < count; index += 1) this.#forget(index * REAP_FIELDS);
      total += count;
    } while (count === BATCH);
    if (total > 0) this.#onBatch();
    return lookMs;
  }

  #forget(offset: number): void {
    const pid = this.#records[offset] ?? 0;
    const child = this.#byPid.get(pid);
    if (child === undefined) return;
    this.#byPid.remove(pid);
    child.errand.onExit(child, readExit(this.#records, offset, this.#peakRss, this.#reports.settle(pid)));
  }
}

/**
 * The kernel's figure for a child starts at our own peak, because until exec the child lives in our memory
 * (setmax_mm_hiwater_rss in exec_mmap). What is larger is the child's own; of what is not, nothing is known.
 */
class PeakRss {
  /** Ours when it was last asked for; it only grows. */
  #own = 0;

  ofChild(bytes: number): number | null {
    if (bytes <= this.#own) return null;
    this.#own = process.resourceUsage().maxRSS * KIB;
    return bytes > this.#own ? bytes : null;
  }
}

function readExit(records: Float64Array, offset: number, peakRss: PeakRss, traffic: Traffic | undefined): Exit {
  // By index: a view per exit would cost more than all the rest of this function.
  const at = (field: number): number => records[offset + field] ?? 0;
  const [status, signal, step] = [at(1), at(2), at(5)];
  return {
    status: status < 0 ? null : status,
    signal: signal === 0 ? null : signalName(signal),
    cpuSeconds: at(3),
    rssBytes: peakRss.ofChild(at(4) * KIB),
    failure: step === 0 ? null : { step: addon.stepNames[step] ?? 'unknown', error: errnoName(at(6)) },
    traffic,
  };
}

function trySignal(target: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(target, name);
  } catch {
    return false;
  }
}
