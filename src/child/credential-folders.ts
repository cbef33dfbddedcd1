/**
 * Credentials without the right to mount: a folder in memory that is closed to all other users, for services that run as stdiod's own user,
 * from whom they are no secrets anyway. One that a reload has replaced stays until the next one, for programs that are just about to read.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { addon, type Fd } from '../native/addon';
import type { Credentials } from '../service/credentials';
import type { Service } from '../service/service';

interface Folder {
  readonly service: string;
  readonly credentials: Credentials;
  readonly path: string;
  /** A reload has found that nobody is given it any more. */
  isOld: boolean;
}

/** A folder that is closed to others, in one that may not be: who may list that can hold its lock (native/path.cc). */
interface Root {
  readonly base: Fd;
  readonly name: string;
  readonly path: string;
}

export class CredentialFolders {
  #folders: Folder[] = [];
  #root: Root | null = null;
  /** Of all that were ever made. */
  #count = 0;

  /** @throws SystemError */
  of(service: string, credentials: Credentials): string {
    const known = this.#folders.find((each) => isFor(each, service, credentials));
    if (known !== undefined) return known.path;
    this.#root ??= makeRoot();
    this.#count += 1;
    const path = join(this.#root.path, String(this.#count));
    this.#folders.push({ service, credentials, path, isOld: false });
    writeAll(path, credentials);
    return path;
  }

  keep(services: Iterable<Service>): void {
    if (this.#folders.length === 0) return;
    const all = [...services];
    const kept: Folder[] = [];
    for (const folder of this.#folders) {
      const isUsed = all.some(({ name, run }) => run.kind === 'exec' && isFor(folder, name, run.process.credentials));
      if (isUsed || !folder.isOld) kept.push(folder);
      else removeFolder(folder.path);
      folder.isOld = !isUsed;
    }
    this.#folders = kept;
  }

  /** All of them: nobody is served any more. */
  close(): void {
    if (this.#root !== null) {
      removeRoot(this.#root.base, this.#root.name);
      addon.close(this.#root.base);
    }
    [this.#root, this.#folders] = [null, []];
  }
}

function isFor(folder: Folder, service: string, credentials: Credentials | null): boolean {
  return folder.service === service && isDeepStrictEqual(folder.credentials, credentials);
}

function writeAll(folder: string, { files }: Credentials): void {
  mkdirSync(folder, { mode: CLOSED });
  for (const { name, contents } of files) {
    writeFileSync(join(folder, name), Buffer.from(contents, 'base64'), { flag: 'wx', mode: 0o400 });
  }
  chmodSync(folder, 0o500);
}

/** `stdiod-credentials.`, then who makes it: the pid namespace, the pid and when it began, which no other process ever has together. */
const PREFIX = 'stdiod-credentials';
const RANDOM = 6;
const CLOSED = 0o700;
/** Of what stat(2) calls a mode. */
const KIND_AND_PERMISSIONS = 0o170777;
const FOLDER = 0o040000;

/** What one has left behind that was killed goes now. */
function makeRoot(): Root {
  const folder = findBase();
  const base = addon.openFolder(folder);
  try {
    removeStale(base);
    const who = `${namespaceOf()}.${process.pid}.${startOf('self') ?? 0}`;
    const name = `${PREFIX}.${who}.${randomBytes(RANDOM).toString('hex')}`;
    addon.makeFolderIn(base, name, CLOSED);
    return { base, name, path: join(folder, name) };
  } catch (error) {
    addon.close(base);
    throw error;
  }
}

/** linux/magic.h: tmpfs and ramfs. */
const IN_MEMORY: readonly number[] = [0x0102_1994, 0x8584_58f6];

function findBase(): string {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env;
  const candidates = [RUNTIME_DIRECTORY?.split(':')[0], XDG_RUNTIME_DIR, '/dev/shm'];
  const base = candidates.find((each) => each !== undefined && each.startsWith('/') && isInMemory(each));
  if (base !== undefined) return base;
  throw Object.assign(new Error('no folder in memory'), {
    code: 'ENOENT',
    syscall: 'a folder in memory (XDG_RUNTIME_DIR)',
  });
}

function isInMemory(folder: string): boolean {
  try {
    return IN_MEMORY.includes(statfsSync(folder).type);
  } catch {
    return false;
  }
}

function namespaceOf(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
}

/** Field 22 of proc_pid_stat(5); null: there is no such process. */
function startOf(pid: string): string | null {
  try {
    return (
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? null
    );
  } catch {
    return null;
  }
}

function removeStale(base: Fd): void {
  for (const name of addon.namesIn(base, `${PREFIX}.${namespaceOf()}.`)) {
    const [, , pid = '', start = ''] = name.split('.');
    removeRoot(base, name, () => !/^\d+$/.test(pid) || startOf(pid) !== start);
  }
}

/** Where others may write as well: only what is our own, and closed to them. @param isStale asked of that alone */
function removeRoot(base: Fd, name: string, isStale = (): boolean => true): void {
  try {
    const root = addon.openFile(base, name);
    try {
      if (!isOurs(root) || !isStale()) return;
      const path = `/proc/self/fd/${root}`;
      for (const folder of readdirSync(path)) removeFolder(join(path, folder));
    } finally {
      addon.close(root);
    }
    addon.removeFolderIn(base, name);
  } catch {
    // Whoever is our user has been faster, or somebody holds up the folder: the next one removes it.
  }
}

function isOurs(root: Fd): boolean {
  const { mode, uid } = addon.factsOf(root);
  return (mode & KIND_AND_PERMISSIONS) === (FOLDER | CLOSED) && uid === process.geteuid?.();
}

/** Nobody writes to it, we neither. */
function removeFolder(folder: string): void {
  try {
    chmodSync(folder, CLOSED);
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Likewise.
  }
}
