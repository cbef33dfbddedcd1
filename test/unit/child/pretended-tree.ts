/**
 * A tree of control groups in an ordinary folder: whoever makes a group gets the kernel's files in it, and one with processes cannot be
 * taken away. Stands in for `node:fs`.
 */
import type * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const real = jest.requireActual<typeof fs>('node:fs');

const FILES: Readonly<Record<string, string>> = {
  'cgroup.procs': '',
  'cgroup.subtree_control': '',
  'cgroup.kill': '',
  'memory.max': 'max',
  'memory.high': 'max',
  'memory.oom.group': '0',
  'memory.peak': '8192',
  'memory.events': 'low 0\noom 1\noom_kill 0\n',
  'pids.max': 'max',
  'pids.current': '0',
  'cpu.max': 'max 100000',
  'cpu.weight': '100',
  'cpu.stat': 'usage_usec 1500000\nuser_usec 1000000\n',
  'io.weight': 'default 100',
};

export const root = real.mkdtempSync(join(tmpdir(), 'stdiod-tree-'));
for (const [name, text] of Object.entries(FILES)) real.writeFileSync(join(root, name), text);

export function pretendedFs(): object {
  return { ...real, mkdirSync, rmdirSync, writeFileSync };
}

/** Descriptors that were closed. */
export const closed: number[] = [];
const opened: string[] = [];
const FIRST_FD = 1024;

/** What of the addon works in folders. */
export const pretendedAddon = {
  openFolder: (path: string): number => FIRST_FD - 1 + opened.push(path),
  makeFolderIn: (folder: number, name: string, mode: number): void => {
    mkdirSync(join(opened[folder - FIRST_FD] ?? '', name), mode);
  },
  removeEmptyIn: (folder: number, name: string): void => {
    rmdirSync(join(opened[folder - FIRST_FD] ?? '', name));
  },
  close: (fd: number): number => closed.push(fd),
};

/** The last text that was written to it, or a new one. */
export function file(path: string, text?: string): string {
  if (text !== undefined) real.writeFileSync(join(root, path), text);
  return real.readFileSync(join(root, path), 'utf8');
}

/** Permissions, in octal. */
export function modeOf(path: string): string {
  return (real.statSync(join(root, path)).mode & 0o777).toString(8);
}

export function groupsIn(path: string): string[] {
  const entries = real.readdirSync(join(root, path), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

export function removeTree(): void {
  real.rmSync(root, { recursive: true });
}

function mkdirSync(path: fs.PathLike, mode?: number): undefined {
  real.mkdirSync(path, mode);
  for (const [name, text] of Object.entries(FILES)) real.writeFileSync(join(String(path), name), text);
}

function rmdirSync(path: fs.PathLike): void {
  const isBusy = real.readFileSync(join(String(path), 'cgroup.procs'), 'utf8') !== '' || hasGroups(path);
  if (isBusy) throw Object.assign(new Error('EBUSY'), { code: 'EBUSY', syscall: 'rmdir' });
  real.rmSync(path, { recursive: true });
}

/** Each write is a whole one; there is no new file. */
function writeFileSync(path: string, text: string): void {
  if (!real.existsSync(path)) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT', syscall: 'open' });
  real.writeFileSync(path, text);
}

function hasGroups(path: fs.PathLike): boolean {
  return real.readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory());
}
