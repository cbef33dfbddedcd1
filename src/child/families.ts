/**
 * Whose are the processes that are not our children, but descend from us? Of whichever child they descend from; and who has lost
 * that (it forked twice, or its child has ended) is our own by now, as we are its subreaper, and of the session that stands in its environment,
 * if it is of a user of whom that session's processes may be: anybody can say anything there.
 * Whoever does not descend from us is nobody's, whatever it says of itself.
 */
import { constants } from 'node:os';
import { readFileSync, readlinkSync } from 'node:fs';
import { addon } from '../native/addon';
import { Census, type ProcessFacts } from './census';
import type { Child, Children } from './children';
import { Names } from './names';

/** For a list of processes that may never come: who holds the lock of /proc decides. */
const MOST_WAITING = 4096;

export interface Found<Owner> {
  /** Of the session of this child, beside itself. */
  of(child: Child<Owner>): readonly ProcessFacts[];
}

type OnFound<Owner> = (found: Found<Owner>) => void;

/** Who finds them, and reaches them, in the order in which it is asked to. */
export interface Kin<Owner> {
  /** Calls back in a later turn, or never: any user can have the list of processes wait for as long as they like. */
  look(onFound: OnFound<Owner>): void;
  /** The same for all of all sessions, beside the children. */
  lookAll(onSeen: (there: readonly ProcessFacts[]) => void): void;
  signal(processes: readonly ProcessFacts[], name: NodeJS.Signals): void;
}

export interface FamiliesParts<Owner> {
  readonly children: Pick<Children<Owner>, 'at' | 'has'>;
  /** `SERVICE\0CONNECTION`. */
  readonly nameOf: (owner: Owner) => string;
}

export class Families<Owner> implements Kin<Owner> {
  readonly #parts: FamiliesParts<Owner>;
  readonly #census = new Census();
  readonly #names = new Names();
  /** Whether /proc is that of our processes. */
  readonly #canLook = isOwnProc();
  /** Our children before there was any of a session: they came with us when we were started by an exec. */
  readonly #strangers = new Set(childrenBefore());
  #waiting: OnFound<Owner>[] = [];
  #isLooking = false;

  constructor(parts: FamiliesParts<Owner>) {
    this.#parts = parts;
    addon.adoptOrphans();
  }

  look(onFound: OnFound<Owner>): void {
    if (!this.#canLook || this.#waiting.length >= MOST_WAITING) {
      setImmediate(onFound, NOBODY);
      return;
    }
    this.#waiting.push(onFound);
    if (!this.#isLooking) this.#begin();
  }

  lookAll(onSeen: (there: readonly ProcessFacts[]) => void): void {
    if (!this.#canLook) {
      setImmediate(onSeen, []);
      return;
    }
    this.#census.take((processes) => {
      const isChild = ({ pid }: ProcessFacts): boolean => this.#parts.children.at(pid) !== undefined;
      const all = this.#clansOf(processes).flatMap(({ head, others }) => [head, ...others]);
      onSeen(all.filter((each) => !isChild(each)));
    });
  }

  signal(processes: readonly ProcessFacts[], name: NodeJS.Signals): void {
    if (processes.length === 0) return;
    const known = processes.flatMap(({ pid, start }) => [pid, start]);
    addon.signalProcesses(Float64Array.from(known), constants.signals[name]);
  }

  #begin(): void {
    this.#isLooking = true;
    const audience = this.#waiting.splice(0);
    this.#census.take((processes) => {
      const clans = this.#clansOf(processes);
      const orphans = clans.filter(({ head }) => this.#parts.children.at(head.pid) === undefined);
      this.#names.find(
        orphans.map(({ head }) => head),
        (names) => {
          this.#end(audience, this.#assign(clans, names));
        },
      );
    });
  }

  #clansOf(processes: readonly ProcessFacts[]): Clan[] {
    return clansOf(processes, process.pid).filter(({ head }) => !this.#strangers.has(head.pid));
  }

  #end(audience: readonly OnFound<Owner>[], found: Found<Owner>): void {
    this.#isLooking = false;
    for (const onFound of audience) onFound(found);
    this.#goOn();
  }

  /** One of the audience may have begun already. */
  #goOn(): void {
    if (this.#waiting.length > 0 && !this.#isLooking) this.#begin();
  }

  /** Between the census and now a child may have been reaped, and its number be that of another one. */
  #assign(clans: readonly Clan[], names: ReadonlyMap<ProcessFacts, string>): Found<Owner> {
    const { children, nameOf } = this.#parts;
    const byChild = new Map<number, readonly ProcessFacts[]>();
    const byName = new Map<string, ProcessFacts[]>();
    for (const { head, others } of clans) {
      const name = names.get(head);
      if (name === undefined) byChild.set(head.pid, others);
      else add(byName, name, head, others);
    }
    const uids = uidsOf(byName.keys());
    return {
      of: (child) => [
        ...(children.has(child) ? (byChild.get(child.pid) ?? []) : []),
        ...fullNames(nameOf(child.owner), child.onlyUid, uids).flatMap((name) => byName.get(name) ?? []),
      ],
    };
  }
}

/** There may be very many of one name. */
function add(
  byName: Map<string, ProcessFacts[]>,
  name: string,
  head: ProcessFacts,
  others: readonly ProcessFacts[],
): void {
  const known = byName.get(name);
  if (known === undefined) byName.set(name, [head, ...others]);
  else for (const each of [head, ...others]) known.push(each);
}

const NOBODY: Found<never> = { of: () => [] };

/** A child of ours, and all who descend from it. */
export interface Clan {
  readonly head: ProcessFacts;
  readonly others: readonly ProcessFacts[];
}

/** Pure. A process that is older than what is said to be its parent has another one by now. */
export function clansOf(processes: readonly ProcessFacts[], own: number): Clan[] {
  const byParent = new Map<number, ProcessFacts[]>();
  for (const each of processes) {
    const siblings = byParent.get(each.parent);
    if (siblings === undefined) byParent.set(each.parent, [each]);
    else siblings.push(each);
  }
  return (byParent.get(own) ?? []).map((head) => ({ head, others: descendantsOf(head, byParent) }));
}

function descendantsOf(head: ProcessFacts, byParent: ReadonlyMap<number, readonly ProcessFacts[]>): ProcessFacts[] {
  const found: ProcessFacts[] = [];
  const seen = new Set([head.pid]);
  const next = [head];
  for (let parent = next.pop(); parent !== undefined; parent = next.pop()) {
    for (const each of byParent.get(parent.pid) ?? []) {
      if (each.start < parent.start || seen.has(each.pid)) continue;
      seen.add(each.pid);
      found.push(each);
      next.push(each);
    }
  }
  return found;
}

/** `SERVICE\0CONNECTION`, and the users whose processes say that they are of it. @param names with the user as the last word */
function uidsOf(names: Iterable<string>): ReadonlyMap<string, readonly number[]> {
  const uids = new Map<string, number[]>();
  for (const name of names) {
    const end = name.lastIndexOf('\0');
    const [session, uid] = [name.slice(0, end), Number(name.slice(end + 1))];
    const others = uids.get(session);
    if (others === undefined) uids.set(session, [uid]);
    else others.push(uid);
  }
  return uids;
}

function fullNames(session: string, onlyUid: number | null, uids: ReadonlyMap<string, readonly number[]>): string[] {
  const meant = (uids.get(session) ?? []).filter((uid) => onlyUid === null || uid === onlyUid);
  return meant.map((uid) => `${session}\0${uid}`);
}

function isOwnProc(): boolean {
  try {
    return Number(readlinkSync('/proc/self')) === process.pid;
  } catch {
    return false;
  }
}

/** Without CONFIG_PROC_CHILDREN the kernel does not say. */
function childrenBefore(): number[] {
  try {
    return readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
