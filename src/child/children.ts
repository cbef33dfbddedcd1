/**
 * The book of the children that we started and have not reaped: spawn enters them, the reaper (reaper.ts) takes them out.
 *
 * Races that end here: a child that dies before its pid is recorded is not reaped before, because spawn and reap run on
 * one thread; a pid is not reused before we reap it, so a signal never hits a stranger.
 */
import { addon, type Fd, type Pid, type Start } from '../native/addon';
import type { Cgroups, TakenLeaf } from './cgroups';
import type { LeafAccounts } from './group';
import { OomScores } from './oom-scores';
import { PidTable } from './pid-table';
import type { Plan } from './plan';
import type { Reports, Traffic } from './reports';
import type { StopSignal } from '../service/stop-signal';
import type { Words } from './words';

export interface Child<Owner> {
  readonly pid: Pid;
  /** What the errand needs to know of it. */
  readonly owner: Owner;
  /** CLOCK_MONOTONIC, milliseconds. */
  readonly startedMs: number;
  readonly errand: Errand<Owner>;
  /** As its service said when it was started: another program may leave at another one. */
  readonly stopSignal: StopSignal;
  /** Whoever says to be of its session is this one's, as its service was when it was started; null: may be anybody's. */
  readonly onlyUid: number | null;
  /** Absent: it ends by itself. */
  endReason?: EndReason;
}

/** Why we ended a child; it stands in the event of its end. */
export type EndReason = 'stop' | 'removed' | 'session-timeout' | 'idle-timeout' | 'disconnected';

/** What a child was started for. */
export interface Errand<Owner> {
  onExit(child: Child<Owner>, exit: Exit): void;
}

export interface Exit {
  /** 0 to 255; null: it died by a signal. */
  readonly status: number | null;
  /** `SIGSEGV`; null: it exited. */
  readonly signal: string | null;
  /** It left one where the kernel was told to (core(5)). */
  readonly hasCore: boolean;
  readonly usage: Usage;
  /** Peak resident size; null where it is not known (see `PeakRss`). */
  readonly rssBytes: number | null;
  /** Why the program was never started; null: it was. */
  readonly failure: { readonly step: string; readonly error: string } | null;
  /** What it said of its connection before it ended; undefined: it is none of those who do. */
  readonly traffic?: Traffic | undefined;
  /** Of all processes of its control group; undefined: it had none of its own. */
  readonly group?: LeafAccounts | undefined;
}

/** What it used, the children that it has collected included (getrusage(2)). */
export interface Usage {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** Pages that were there already. */
  readonly minorFaults: number;
  /** Pages that had to be read. */
  readonly majorFaults: number;
  /** It waited for something. */
  readonly voluntarySwitches: number;
  /** Others had their turn. */
  readonly involuntarySwitches: number;
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

export class Children<Owner> {
  readonly #byPid = new PidTable<Child<Owner>>();
  readonly #reports: Pick<Reports<Child<Owner>>, 'add'>;
  readonly #oomScores: OomScores;
  readonly #words: Pick<Words<{ readonly owner: Owner }, Child<Owner>>, 'open' | 'add'>;
  readonly #cgroups: Pick<Cgroups, 'take' | 'add' | 'putBack' | 'kill'>;

  constructor(
    reports: Pick<Reports<Child<Owner>>, 'add'>,
    words: Pick<Words<{ readonly owner: Owner }, Child<Owner>>, 'open' | 'add'>,
    cgroups: Pick<Cgroups, 'take' | 'add' | 'putBack' | 'kill'>,
  ) {
    this.#reports = reports;
    this.#cgroups = cgroups;
    this.#oomScores = new OomScores((pid) => this.#byPid.get(pid));
    this.#words = words;
  }

  get count(): number {
    return this.#byPid.size;
  }

  [Symbol.iterator](): IterableIterator<Child<Owner>> {
    return this.#byPid.values().values();
  }

  /** Takes the descriptor unless it throws or the plan is for `wait`: once there is a child, nothing throws. @throws SystemError of clone */
  spawn(plan: Plan, start: Start, owner: Owner, errand: Errand<Owner>): Child<Owner> {
    const pipe = plan.pipe === null ? null : this.#words.open({ owner }, plan.pipe.owner);
    const pid = spawnWith(plan, start, pipe, this.#cgroups);
    const { stopSignal, onlyUid } = plan;
    const child = { pid, owner, startedMs: Math.round(performance.now()), errand, stopSignal, onlyUid };
    this.#byPid.add(pid, child);
    if (!plan.hasOomScore) this.#oomScores.add(pid);
    if (plan.channel !== null) this.#reports.add(pid, child, plan.channel);
    if (pipe !== null) this.#words.add(pid, child, pipe.reader);
    return child;
  }

  /** A pipe for fd 2 of a child that is there already; null: it would not be heard, or has none. @throws SystemError of pipe2 */
  openPipe(plan: Plan, owner: Owner): Pipe | null {
    return plan.pipe === null ? null : this.#words.open({ owner }, plan.pipe.owner);
  }

  /** A process that is ours to collect serves a connection from now on. @param reader of its pipe */
  adopt(plan: Plan, pid: Pid, owner: Owner, errand: Errand<Owner>, reader: Fd | null): Child<Owner> {
    const { stopSignal, onlyUid } = plan;
    const child = { pid, owner, startedMs: Math.round(performance.now()), errand, stopSignal, onlyUid };
    this.#byPid.add(pid, child);
    if (!plan.hasOomScore) this.#oomScores.add(pid);
    if (reader !== null) this.#words.add(pid, child, reader);
    return child;
  }

  /** The one with this pid was reaped; undefined: it is none that we started. */
  take(pid: number): Child<Owner> | undefined {
    const child = this.#byPid.get(pid);
    if (child !== undefined) this.#byPid.remove(pid);
    return child;
  }

  at(pid: number): Child<Owner> | undefined {
    return this.#byPid.get(pid);
  }

  has(child: Child<Owner>): boolean {
    return this.#byPid.get(child.pid) === child;
  }

  /** To the child's process group. Who is stopped takes no signal to leave before it goes on. */
  signal(child: Child<Owner>, name: NodeJS.Signals): void {
    if (!this.has(child)) return;
    signalGroup(child.pid, name);
    if (name === child.stopSignal) signalGroup(child.pid, 'SIGCONT');
    // Who has left the process group as well.
    if (name === 'SIGKILL') this.#cgroups.kill(child.pid);
  }
}

type Pipe = ReturnType<typeof addon.openPipe>;

/** A pipe whose writer no child took is closed again. */
function spawnWith(
  plan: Plan,
  start: Start,
  pipe: Pipe | null,
  cgroups: Pick<Cgroups, 'take' | 'add' | 'putBack'>,
): Pid {
  if (pipe === null) return spawnIn(plan, start, cgroups);
  try {
    return spawnIn(plan, { ...start, errorPipe: pipe.writer }, cgroups);
  } catch (error) {
    addon.close(pipe.reader);
    addon.close(pipe.writer);
    throw error;
  }
}

/** A leaf in which no child was born is for the next one. */
function spawnIn(plan: Plan, start: Start, cgroups: Pick<Cgroups, 'take' | 'add' | 'putBack'>): Pid {
  if (plan.cgroup === null) return addon.spawn(plan.native, start);
  const leaf: TakenLeaf = cgroups.take(plan.cgroup);
  try {
    const pid = addon.spawn(plan.native, { ...start, group: leaf.fd });
    cgroups.add(pid, leaf);
    return pid;
  } catch (error) {
    throw cgroups.putBack(leaf, error);
  }
}

/** A child that has not reached setsid yet has no group: it gets the signal itself. */
function signalGroup(pid: Pid, name: NodeJS.Signals): void {
  if (!trySignal(-Number(pid), name)) trySignal(pid, name);
}

function trySignal(target: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(target, name);
  } catch {
    return false;
  }
}
