/**
 * Collects exit statuses: each exit goes to the errand for which its child was started. A pid that we do not know is an orphan
 * that we inherited (as PID 1): it is reaped, and that is all.
 */
import { addon, REAP_FIELDS } from '../native/addon';
import { errnoName, signalName } from '../native/system-error';
import type { Children, Exit } from './children';
import type { Reports, Traffic } from './reports';
import type { Words } from './words';

const BATCH = 64;
/** Up to here a walk over all children costs about as much as one look-up (1 µs; native/reaper.cc has the figures). */
const CHEAP_WALK = 64;
/** With more, those whose SIGCHLD was merged into another's are found by a walk this long after it … */
const WALK_MS = 20;
/** … or later, so that looking in vain takes no more than a fiftieth of the time. */
const WALK_SHARE = 50;
/** Where the kernel did not say who has died. */
const RETRY_MS = 250;
const KIB = 1024;

export class Reaper<Owner> {
  readonly #records = new Float64Array(BATCH * REAP_FIELDS);
  readonly #children: Pick<Children<Owner>, 'count' | 'take'>;
  readonly #reports: Pick<Reports<unknown>, 'settle'>;
  readonly #words: Pick<Words<unknown>, 'settle'>;
  readonly #peakRss = new PeakRss();
  #walkTimer: NodeJS.Timeout | null = null;
  #walkMs = WALK_MS;

  constructor(
    children: Pick<Children<Owner>, 'count' | 'take'>,
    reports: Pick<Reports<unknown>, 'settle'>,
    words: Pick<Words<unknown>, 'settle'>,
  ) {
    this.#children = children;
    this.#reports = reports;
    this.#words = words;
    addon.openReaper(() => {
      this.#reap();
    });
  }

  /** Every one that has died, whatever the walk costs: for a server that is about to leave. */
  reapAll(): void {
    this.#collect(true);
  }

  #reap(): void {
    if (this.#children.count <= CHEAP_WALK) {
      this.#collect(true);
      return;
    }
    this.#collect(false);
    this.#walkAfter(this.#walkMs);
  }

  #walkAfter(delayMs: number): void {
    this.#walkTimer ??= setTimeout(() => {
      this.#walk();
    }, delayMs);
  }

  #walk(): void {
    this.#walkTimer = null;
    this.#walkMs = Math.max(WALK_MS, WALK_SHARE * this.#collect(true));
  }

  /** @returns what one look for a dead child took, without the work on those that were found: milliseconds */
  #collect(everyone: boolean): number {
    let [count, lookMs] = [0, 0];
    do {
      const startMs = performance.now();
      count = addon.reap(this.#records, everyone);
      lookMs = (performance.now() - startMs) / (count + 1);
      for (let index = 0; index < count; index += 1) this.#forget(index * REAP_FIELDS);
    } while (count === BATCH);
    return lookMs;
  }

  #forget(offset: number): void {
    const pid = this.#records[offset] ?? 0;
    if (pid === 0) {
      this.#walkAfter(RETRY_MS);
      return;
    }
    const child = this.#children.take(pid);
    this.#words.settle(pid);
    child?.errand.onExit(child, readExit(this.#records, offset, this.#peakRss, this.#reports.settle(pid)));
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
    this.#own = ownPeak() ?? bytes;
    return bytes > this.#own ? bytes : null;
  }
}

/** null: the kernel does not say. */
function ownPeak(): number | null {
  try {
    return process.resourceUsage().maxRSS * KIB;
  } catch {
    return null;
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
