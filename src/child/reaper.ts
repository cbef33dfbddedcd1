/**
 * Collects exit statuses: each exit goes to the errand for which its child was started. A pid that we do not know is a stranger
 * whom we inherited (as PID 1, or because a child gave it to us by CLONE_PARENT): it is reaped, and that is all. There may be
 * any number of strangers, so every turn of the event loop has a limit, and so has the share of time that looking takes.
 */
import { addon, REAP_FIELDS } from '../native/addon';
import { errnoName, signalName } from '../native/system-error';
import { OncePerTurn } from '../native/turn';
import type { Cgroups } from './cgroups';
import type { Children, Exit } from './children';
import type { LeafAccounts } from './group';
import type { Stocks } from './stocks';
import type { Reports, Traffic } from './reports';
import type { Words } from './words';

/** Collected in one look. Whoever else has died waits for the next turn of the event loop. */
const BATCH = 128;
/** Up to here a walk over all children costs about as much as one look-up (1 µs; native/reaper.cc has the figures). */
const CHEAP_WALK = 64;
/** With more, those whose SIGCHLD was merged into another's are found by a walk this long after it … */
const WALK_MS = 20;
/** … or later, so that looking in vain takes no more than a fiftieth of the time, and finding no more than a sixth. */
const PAUSE_AFTER = { nobody: 50, some: 5 };
/** A walk ends after this time, even if not everyone was found. */
const LONGEST_WALK_MS = 2;
/** Where finding one takes no longer, the walk goes on in the next turn: thousands that end at once are not collected late. */
const CHEAP_LOOK_MS = 0.02;
/** Where the kernel did not say who has died. */
const RETRY_MS = 250;
const KIB = 1024;

export class Reaper<Owner> {
  readonly #records = new Float64Array(BATCH * REAP_FIELDS);
  readonly #children: OurChildren<Owner>;
  readonly #reports: Pick<Reports<unknown>, 'settle'>;
  readonly #words: Pick<Words<unknown>, 'settle'>;
  readonly #cgroups: Pick<Cgroups, 'settle'>;
  readonly #parked: ParkedOnes;
  readonly #peakRss = new PeakRss();
  readonly #turn = new OncePerTurn(() => {
    this.#reap();
  });
  readonly #walkOn = new OncePerTurn(() => {
    this.#walk();
  });
  #walkTimer: NodeJS.Timeout | undefined;
  /** Before the next walk. */
  #pauseMs = WALK_MS;
  /** The last walk was, whoever made it long. */
  #isWalkCheap = true;
  /** Ours, as they were at the begin of a round by number, and how far that has come. */
  #round = new Int32Array(0);
  #roundAt = 0;

  constructor(
    children: OurChildren<Owner>,
    reports: Pick<Reports<unknown>, 'settle'>,
    words: Pick<Words<unknown>, 'settle'>,
    cgroups: Pick<Cgroups, 'settle'>,
    parked: ParkedOnes = NOBODY_PARKED,
  ) {
    this.#children = children;
    this.#parked = parked;
    this.#cgroups = cgroups;
    this.#reports = reports;
    this.#words = words;
    addon.openReaper(() => {
      this.#turn.request();
    });
  }

  /** Every one of ours that has died, whatever that costs: for a server that is about to leave. */
  reapAll(): void {
    this.#beginRound();
    this.#goRound(Infinity);
  }

  /** Those who are easily found; a walk finds the others. */
  #reap(): void {
    if (this.#forget(addon.reap(this.#records)) === BATCH) this.#turn.request();
    if (this.#isWalkCheap && this.#children.count <= CHEAP_WALK) this.#walk();
    else this.#walkAfter(this.#pauseMs);
  }

  #walkAfter(delayMs: number): void {
    this.#walkTimer ??= setTimeout(() => {
      this.#walk();
    }, delayMs);
  }

  #walk(): void {
    clearTimeout(this.#walkTimer);
    this.#walkTimer = undefined;
    const startMs = performance.now();
    const count = addon.reapWalk(this.#records, LONGEST_WALK_MS);
    const tookMs = performance.now() - startMs;
    this.#isWalkCheap = tookMs <= CHEAP_LOOK_MS * (count + 1);
    this.#pauseMs = Math.max(WALK_MS, tookMs * (count > 0 ? PAUSE_AFTER.some : PAUSE_AFTER.nobody));
    this.#forget(count);
    if (count === BATCH || tookMs >= LONGEST_WALK_MS) this.#goOn();
  }

  /** The walk has not found everyone. Where strangers hold it up, ours are looked up by number, for as long as that helps. */
  #goOn(): void {
    if (this.#isWalkCheap || this.#goRound(LONGEST_WALK_MS) > 0) this.#walkOn.request();
    else this.#walkAfter(this.#pauseMs);
  }

  #beginRound(): void {
    this.#round = Int32Array.from(this.#children, ({ pid }) => pid);
    this.#roundAt = 0;
  }

  /** @returns how many were found; the next call looks at those for whom the time was too short */
  #goRound(limitMs: number): number {
    const endMs = performance.now() + limitMs;
    if (this.#roundAt >= this.#round.length) this.#beginRound();
    let found = 0;
    while (this.#roundAt < this.#round.length && performance.now() < endMs) {
      const some = this.#round.subarray(this.#roundAt, this.#roundAt + BATCH);
      this.#roundAt += BATCH;
      found += this.#forget(addon.reapThese(this.#records, some));
    }
    return found;
  }

  /** Tells the exits that stand in the records. @returns how many these are, without those of which the kernel said nothing */
  #forget(count: number): number {
    if (count > 0 && this.#parked.isAsking) this.#parked.hear(this.#pidsOf(count));
    let told = count;
    for (let index = 0; index < count; index += 1) {
      if (this.#records[index * REAP_FIELDS] === 0) told -= 1;
      else this.#onExit(index * REAP_FIELDS);
    }
    if (told < count) this.#walkAfter(RETRY_MS);
    return told;
  }

  #pidsOf(count: number): ReadonlySet<number> {
    return new Set(Array.from({ length: count }, (_, index) => this.#records[index * REAP_FIELDS] ?? 0));
  }

  #onExit(offset: number): void {
    const pid = this.#records[offset] ?? 0;
    const child = this.#children.take(pid);
    this.#words.settle(pid);
    const [traffic, group] = [this.#reports.settle(pid), this.#cgroups.settle(pid)];
    const exit = (): Exit => readExit(this.#records, offset, this.#peakRss, traffic, group);
    if (child === undefined) this.#parked.settle(pid, exit);
    else child.errand.onExit(child, exit());
  }
}

/** Those who wait for a client. */
type ParkedOnes = Pick<Stocks, 'isAsking' | 'hear' | 'settle'>;

const NOBODY_PARKED: ParkedOnes = { isAsking: false, hear: () => undefined, settle: () => false };

/** What the reaper needs of the book. */
type OurChildren<Owner> = Pick<Children<Owner>, 'count' | 'take' | typeof Symbol.iterator>;

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

function readExit(
  records: Float64Array,
  offset: number,
  peakRss: PeakRss,
  traffic: Traffic | undefined,
  group: LeafAccounts | undefined,
): Exit {
  // By index: a view per exit would cost more than all the rest of this function.
  const at = (field: number): number => records[offset + field] ?? 0;
  const [status, signal, step] = [at(1), at(2), at(5)];
  return {
    status: status < 0 ? null : status,
    signal: signal === 0 ? null : signalName(signal),
    hasCore: at(8) === 1,
    usage: {
      userSeconds: at(3),
      systemSeconds: at(7),
      minorFaults: at(9),
      majorFaults: at(10),
      voluntarySwitches: at(11),
      involuntarySwitches: at(12),
      diskReadBytes: at(13),
      diskWrittenBytes: at(14),
    },
    rssBytes: peakRss.ofChild(at(4) * KIB),
    failure: step === 0 ? null : { step: addon.stepNames[step] ?? 'unknown', error: errnoName(at(6)) },
    traffic,
    group,
  };
}
