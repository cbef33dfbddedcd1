/**
 * Control groups of children: a group for each service that asks for one, and in it a leaf for each child, in which it is born.
 *
 * The tree, below the group that was delegated to stdiod: `stdiod-main` with stdiod itself, `service-NAME/1`, `/2`, …, and
 * `service-NAME+memory` in its place where memory is limited. A leaf is
 * counted, emptied and taken away when its child is reaped; what the child has left behind ends with it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addon, type Pid } from '../native/addon';
import { findOwnCgroup, MAIN_GROUP } from '../native/own-cgroup';
import { isSystemError, type SystemError } from '../native/system-error';
import { hasMemoryLimit, type Cgroup } from '../service/cgroup';
import { delegate, Group, keepFromListing, killAll, makeGroup, readAccounts, tryRemove, tryRemoveGroup } from './group';
import type { Leaf, LeafAccounts } from './group';
import { GROUP_STEP, PROCESSES_STEP } from './spawn-errors';

/** Between two looks at leaves whose processes have not gone yet. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 1000;
/** Looked at in one turn of the event loop. */
const BATCH = 64;

export interface TakenLeaf extends Leaf {
  readonly group: Group;
}

interface Known {
  readonly group: Group;
  /** Of the wish that it was made or changed for; 0: of none. */
  order: number;
}

let lastOrder = 0;
/** Which of a service's plans was made last: a connection may still have the one before. */
const orders = new WeakMap<Cgroup, number>();

export function planGroup(wish: Cgroup): void {
  orders.set(wish, (lastOrder += 1));
}

export class Cgroups {
  readonly #groups = new Map<string, Known>();
  readonly #leaves = new Map<number, Leaf>();
  /** Folders of leaves whose child is reaped; some of their processes may be on their way out. */
  #leaving: string[] = [];
  #lookMs = FIRST_LOOK_MS;
  #lookTimer: NodeJS.Timeout | null = null;
  #stockTimer: NodeJS.Immediate | null = null;
  /** Of which stdiod is the only user; null: nobody has asked for a group yet. */
  #folder: string | null = null;

  /** @throws SystemError with the step `cgroup`: there is none, and no child without */
  take(wish: Cgroup): TakenLeaf {
    try {
      const group = this.#groupFor(wish);
      const leaf = { ...group.take(), group };
      this.#stockLater();
      return leaf;
    } catch (error) {
      throw isSystemError(error) ? failure(GROUP_STEP, error.code) : error;
    }
  }

  /** There is a child in it. */
  add(pid: Pid, leaf: TakenLeaf): void {
    addon.close(leaf.fd);
    this.#leaves.set(pid, leaf);
  }

  /** There is none. @returns what to say of it */
  putBack({ group, ...leaf }: TakenLeaf, error: unknown): unknown {
    group.putBack(leaf);
    const isLimit = isSystemError(error) && error.code === 'EAGAIN' && group.isFull;
    return isLimit ? failure(PROCESSES_STEP, error.code) : error;
  }

  /** SIGKILL for all processes of this child's leaf. */
  kill(pid: Pid): void {
    const leaf = this.#leaves.get(pid);
    if (leaf !== undefined) killAll(leaf.folder);
  }

  /** The child was reaped. undefined: it had no leaf. */
  settle(pid: number): LeafAccounts | undefined {
    const leaf = this.#leaves.get(pid);
    if (leaf === undefined) return undefined;
    this.#leaves.delete(pid);
    killAll(leaf.folder);
    this.#leaving.push(leaf.folder);
    this.#lookMs = FIRST_LOOK_MS;
    this.#lookLater();
    return readAccounts(leaf.folder);
  }

  /** What the services that are in force want, those with a group; nobody else has children to come. */
  adopt(wishes: readonly Cgroup[]): void {
    this.#keepOnly(new Set(wishes.map(folderName)));
    for (const wish of wishes) {
      try {
        this.#groupFor(wish);
      } catch {
        // It is tried again for the first child, whose client is told.
      }
    }
    if (wishes.length > 0) this.#stockLater();
  }

  /** Leaves nothing behind but what still has processes in it. */
  close(): void {
    if (this.#folder === null) return;
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    if (this.#stockTimer !== null) clearImmediate(this.#stockTimer);
    this.#leaving = this.#leaving.filter((folder) => !tryRemove(folder));
    this.#keepOnly(new Set());
    if (this.#groups.size === 0) leaveTree(this.#folder);
  }

  /** As the newest wish for its service has it. */
  #groupFor(wish: Cgroup): Group {
    this.#folder ??= enterTree();
    const name = folderName(wish);
    const known = this.#groups.get(name) ?? { group: new Group(join(this.#folder, name)), order: 0 };
    this.#groups.set(name, known);
    const order = orders.get(wish) ?? 0;
    if (order <= known.order) return known.group;
    delegate(this.#folder, wish.controllers);
    known.group.apply(wish);
    known.order = order;
    return known.group;
  }

  #keepOnly(names: ReadonlySet<string>): void {
    for (const [name, known] of this.#groups) {
      if (names.has(name)) continue;
      known.group.retire();
      known.order = 0;
      if (tryRemoveGroup(known.group.folder)) this.#groups.delete(name);
    }
  }

  /** Off the way from accept to exec: one leaf in each turn of the event loop. */
  #stockLater(): void {
    this.#stockTimer ??= setImmediate(() => {
      this.#stockTimer = null;
      if (this.#stockOne()) this.#stockLater();
    }).unref();
  }

  #stockOne(): boolean {
    for (const { group } of this.#groups.values()) {
      if (group.isStocked) continue;
      try {
        group.stock();
        return true;
      } catch {
        // Whoever takes the next one hears why there is none.
      }
    }
    return false;
  }

  #lookLater(): void {
    this.#lookTimer ??= setTimeout(() => {
      this.#lookTimer = null;
      this.#look();
    }, this.#lookMs).unref();
  }

  /** Those that are not empty go to the end: they are not the only ones that are looked at. */
  #look(): void {
    const some = this.#leaving.splice(0, BATCH);
    const left = some.filter((folder) => !tryRemove(folder));
    for (const folder of left) killAll(folder);
    this.#leaving.push(...left);
    this.#lookMs = left.length < some.length ? FIRST_LOOK_MS : Math.min(2 * this.#lookMs, LAST_LOOK_MS);
    if (this.#leaving.length > 0) this.#lookLater();
  }
}

/**
 * Children that share our memory until exec (of a plan without a limit on memory) and such a limit are never in one group, whatever a
 * reload says: the kernel would end us with them.
 */
function folderName(wish: Cgroup): string {
  return `service-${wish.name}${hasMemoryLimit(wish) ? '+memory' : ''}`;
}

/** A group with groups below it may have no processes: stdiod goes into one beside those of its services. @throws SystemError */
function enterTree(): string {
  const own = findOwnCgroup();
  if (own === null) throw failure(GROUP_STEP, 'ENOENT');
  keepFromListing(own.folder);
  const main = join(own.folder, MAIN_GROUP);
  makeGroup(main);
  if (!own.hasMoved) writeFileSync(join(main, 'cgroup.procs'), String(process.pid), { flag: 'r+' });
  return own.folder;
}

/** So that somebody else may be started in it. */
function leaveTree(folder: string): void {
  try {
    const file = join(folder, 'cgroup.subtree_control');
    for (const name of ['cpu', 'io', 'memory', 'pids']) writeFileSync(file, `-${name}`, { flag: 'r+' });
  } catch {
    // Somebody has made a group of their own here.
  }
}

function failure(step: string, code: string): SystemError {
  return Object.assign(new Error(`${step}: ${code}`), { code, syscall: step });
}
