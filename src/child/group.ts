/**
 * The control group of one service, and the leaves in it: one for each child, made ahead, used once and taken away again. A leaf
 * has no past: what its memory peaked at, or what an earlier child has left in the page cache, is nobody else's.
 */
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { addon, type Fd } from '../native/addon';
import { CGROUP_LIMITS, type Cgroup, type CgroupSetting } from '../service/cgroup';

/** Made ahead: as many clients may come in one turn of the event loop before one of them waits for its leaf to be made. */
const READY = 8;
/**
 * Who may list a folder can hold its lock, and to make or remove a group in it would wait for them. In the one that was delegated, which
 * somebody may have opened before it was ours, that is done as native/path.cc does it; in one that was never open to others, as
 * it comes.
 */
const NOT_LISTED = 0o711;
/** More of one name than this are left by earlier runs: something is wrong. */
const MOST_TRIES = 100;

export interface Leaf {
  readonly folder: string;
  /** Opened with O_PATH; only until it is taken. */
  readonly fd: Fd;
}

/** What the kernel has counted of all processes of a leaf. */
export interface LeafAccounts {
  readonly cpuSeconds: number | null;
  /** The most at any time, page cache included. */
  readonly memoryBytes: number | null;
  /** The kernel has ended processes for want of memory. */
  readonly hadOomKill: boolean;
}

export class Group {
  readonly folder: string;
  #wish: Cgroup | null = null;
  /** Files into which something was written that may not be wanted any more. */
  #written = new Set<string>();
  readonly #ready: Leaf[] = [];
  #leaves = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  get isStocked(): boolean {
    return this.#wish === null || this.#ready.length >= READY;
  }

  /** @throws SystemError */
  apply(wish: Cgroup): void {
    if (this.#wish === null) this.#open();
    this.#wish = null;
    this.#dropReady();
    delegate(this.folder, wish.controllers);
    this.#limit(wish);
    this.#wish = wish;
  }

  /** @throws SystemError */
  take(): Leaf {
    return this.#ready.pop() ?? this.#make();
  }

  /** Nobody is to be started in it. */
  retire(): void {
    this.#wish = null;
    this.#dropReady();
  }

  putBack(leaf: Leaf): void {
    this.#ready.push(leaf);
  }

  /** @throws SystemError */
  stock(): void {
    if (!this.isStocked) this.#ready.push(this.#make());
  }

  /** As many processes as its limit lets it have. */
  get isFull(): boolean {
    const limit = Number(readFrom(this.folder, CGROUP_LIMITS.processes_max.file));
    return Number(readFrom(this.folder, 'pids.current')) >= limit;
  }

  #dropReady(): void {
    for (const { fd, folder } of this.#ready.splice(0)) {
      addon.close(fd);
      tryRemove(folder);
    }
  }

  /** One that an earlier run has left keeps its processes, and loses its limits. */
  #open(): void {
    makeGroup(this.folder);
    for (const leaf of foldersIn(this.folder)) tryRemove(join(this.folder, leaf));
    for (const { file } of Object.values(CGROUP_LIMITS)) {
      if (readFrom(this.folder, file) !== '') this.#written.add(file);
    }
  }

  #limit({ whole }: Cgroup): void {
    for (const { file, value } of whole) writeTo(this.folder, file, value);
    const wanted = new Set(whole.map(({ file }) => file));
    for (const { file, initial } of Object.values(CGROUP_LIMITS)) {
      if (this.#written.has(file) && !wanted.has(file)) writeTo(this.folder, file, initial);
    }
    this.#written = wanted;
  }

  /** @throws SystemError */
  #make(): Leaf {
    if (this.#wish === null) throw new Error(`${this.folder} is not there yet`);
    const { controllers, each } = this.#wish;
    const folder = this.#makeFolder();
    try {
      // A session is one thing: with some of its processes gone the others would do nobody good.
      const settings = controllers.includes('memory') ? [WHOLE_SESSION, ...each] : each;
      for (const { file, value } of settings) writeTo(folder, file, value);
      return { folder, fd: addon.openFolder(folder) };
    } catch (error) {
      tryRemove(folder);
      throw error;
    }
  }

  #makeFolder(): string {
    for (let tries = 1; ; tries += 1) {
      const folder = join(this.folder, String((this.#leaves += 1)));
      try {
        mkdirSync(folder, NOT_LISTED);
        return folder;
      } catch (error) {
        if (!isThere(error) || tries === MOST_TRIES) throw error;
      }
    }
  }
}

const WHOLE_SESSION: CgroupSetting = { file: 'memory.oom.group', value: '1' };

/** Lets groups below it use these controllers. @throws SystemError */
export function delegate(folder: string, controllers: readonly string[]): void {
  writeTo(folder, 'cgroup.subtree_control', controllers.map((name) => `+${name}`).join(' '));
}

/** @throws SystemError, unless it is there already */
export function makeGroup(folder: string): void {
  try {
    inParent(folder, (parent, name) => {
      addon.makeFolderIn(parent, name, NOT_LISTED);
    });
  } catch (error) {
    if (!isThere(error)) throw error;
  }
  keepFromListing(folder);
}

/** Whether it is gone; not while there is a process in it. */
export function tryRemoveGroup(folder: string): boolean {
  try {
    inParent(folder, (parent, name) => {
      addon.removeEmptyIn(parent, name);
    });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function inParent(folder: string, act: (parent: Fd, name: string) => void): void {
  const parent = addon.openFolder(dirname(folder));
  try {
    act(parent, basename(folder));
  } finally {
    addon.close(parent);
  }
}

/** As far as it is ours. The umask has nothing to say in it. */
export function keepFromListing(folder: string): void {
  try {
    chmodSync(folder, NOT_LISTED);
  } catch {
    // Whoever it belongs to decides.
  }
}

/** Every process in it and below. */
export function killAll(folder: string): void {
  try {
    writeTo(folder, 'cgroup.kill', '1');
  } catch {
    // It is gone already.
  }
}

/** The same for a leaf, in a group of ours. */
export function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

export function readAccounts(folder: string): LeafAccounts {
  const usageUs = fieldOf(readFrom(folder, 'cpu.stat'), 'usage_usec');
  const peak = readFrom(folder, 'memory.peak');
  return {
    cpuSeconds: usageUs === undefined ? null : usageUs / 1e6,
    // Linux 5.19 and newer.
    memoryBytes: peak === '' ? null : Number(peak),
    hadOomKill: (fieldOf(readFrom(folder, 'memory.events'), 'oom_kill') ?? 0) > 0,
  };
}

/** Of lines such as `usage_usec 1234`. */
function fieldOf(text: string, name: string): number | undefined {
  const [, value] = new RegExp(`^${name} (\\d+)$`, 'm').exec(text) ?? [];
  return value === undefined ? undefined : Number(value);
}

function writeTo(folder: string, file: string, value: string): void {
  // Never made: in a folder that is no group's, a limit would be a file that nobody reads.
  writeFileSync(join(folder, file), value, { flag: 'r+' });
}

/** Empty where it cannot be read. */
function readFrom(folder: string, file: string): string {
  try {
    return readFileSync(join(folder, file), 'latin1').trim();
  } catch {
    return '';
  }
}

function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

function isThere(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EEXIST';
}
