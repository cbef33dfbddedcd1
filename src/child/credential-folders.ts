/**
 * Credentials without the right to mount: a folder in memory that is closed to all other users, for services that run as stdiod's own user,
 * from whom they are no secrets anyway. One that a reload has replaced stays until the next one, for programs that are just about to read.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Credentials } from '../service/credentials';
import type { Service } from '../service/service';

interface Folder {
  readonly service: string;
  readonly credentials: Credentials;
  readonly path: string;
  /** A reload has found that nobody is given it any more. */
  isOld: boolean;
}

export class CredentialFolders {
  #folders: Folder[] = [];
  #root: string | null = null;
  /** Of all that were ever made. */
  #count = 0;

  /** @throws SystemError */
  of(service: string, credentials: Credentials): string {
    const known = this.#folders.find((each) => isFor(each, service, credentials));
    if (known !== undefined) return known.path;
    this.#root ??= makeRoot();
    this.#count += 1;
    const path = join(this.#root, String(this.#count));
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
    if (this.#root !== null) removeRoot(this.#root);
    [this.#root, this.#folders] = [null, []];
  }
}

function isFor(folder: Folder, service: string, credentials: Credentials | null): boolean {
  return folder.service === service && isDeepStrictEqual(folder.credentials, credentials);
}

function writeAll(folder: string, { files }: Credentials): void {
  mkdirSync(folder, { mode: 0o700 });
  for (const { name, contents } of files) {
    writeFileSync(join(folder, name), Buffer.from(contents, 'base64'), { flag: 'wx', mode: 0o400 });
  }
  chmodSync(folder, 0o500);
}

/** `stdiod-credentials.`, then who makes it: the pid namespace, the pid and when it began, which no other process ever has together. */
const PREFIX = 'stdiod-credentials';

/** What one has left behind that was killed goes now. */
function makeRoot(): string {
  const base = findBase();
  removeStale(base);
  return mkdtempSync(join(base, `${PREFIX}.${namespaceOf()}.${process.pid}.${startOf(process.pid) ?? 0}.`));
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
function startOf(pid: number): string | null {
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

function removeStale(base: string): void {
  for (const name of readdirSync(base).filter((each) => each.startsWith(`${PREFIX}.${namespaceOf()}.`))) {
    const [, , pid = '', start = ''] = name.split('.');
    if (startOf(Number(pid)) !== start) removeRoot(join(base, name));
  }
}

/** Where others may write as well: only what is our own. */
function removeRoot(root: string): void {
  try {
    const facts = lstatSync(root);
    if (!facts.isDirectory() || facts.uid !== process.geteuid?.()) return;
    for (const name of readdirSync(root)) removeFolder(join(root, name));
    rmSync(root, { recursive: true, force: true });
  } catch {
    // Whoever is our user has been faster.
  }
}

/** Nobody writes to it, we neither. */
function removeFolder(folder: string): void {
  try {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Likewise.
  }
}
