/**
 * From a file's name to its text, or to the reason why there is none.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type Problem, type Problems } from '../report/problems';
import { Source } from '../report/source';
import { errnoName } from './errno-name';

/** A configuration of 10,000 services is about 1 MiB. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Younger than that, a file may still be on its way: to write in place is to truncate, then to write piece by piece. */
const YOUNG_MS = 100;
const MOST_TRIES = 10;

/**
 * undefined: the problem is reported.
 * @param readAll what is in an open file; given by tests
 */
export function readSource(
  file: string,
  shown: string,
  order: number,
  problems: Problems,
  readAll: (fd: number) => Buffer = readToEnd,
): Source | undefined {
  const spot = { source: new Source(shown, '', order), offset: null, path: '' };
  try {
    const found = readWhole(file, readAll);
    if (!Buffer.isBuffer(found)) problems.report(spot, found);
    else if (found.length > MOST_BYTES) problems.report(spot, TOO_LARGE);
    else return decode(found, shown, order, problems);
  } catch (error) {
    problems.report(spot, explainUnreadable(error, shown));
  }
  return undefined;
}

const TOO_LARGE: Problem = { message: 'the file is larger than 16 MiB', remedy: 'split it with "include"' };

const CHANGING: Problem = {
  message: `the file is being written: it has changed while it was read, ${MOST_TRIES} times`,
  remedy: 'write it under another name, then rename it (mv)',
};

function readWhole(file: string, readAll: (fd: number) => Buffer): Buffer | Problem {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const bytes = tryReading(file, readAll);
    if (bytes !== null) return bytes;
  }
  return CHANGING;
}

/** Nobody is waited for: a FIFO would open when somebody writes to it. null: the file has changed meanwhile. */
function tryReading(file: string, readAll: (fd: number) => Buffer): Buffer | Problem | null {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const before = fstatSync(fd);
    if (!before.isFile() && !before.isDirectory()) return notRegular(before);
    const bytes = readAll(fd);
    if (Math.abs(Date.now() - before.mtimeMs) < YOUNG_MS) sleep(YOUNG_MS);
    const after = fstatSync(fd);
    return before.mtimeMs === after.mtimeMs && before.size === after.size ? bytes : null;
  } finally {
    closeSync(fd);
  }
}

function notRegular(stats: Stats): Problem {
  const kind = stats.isFIFO() ? 'a pipe' : 'a device';
  return { message: `the file cannot be read: it is ${kind}, not a regular file`, remedy: 'name a regular file' };
}

/** No client waits for it: at start there is none, and a reload reads on a thread of its own. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** In a loop and not by its size: those of /proc and of FUSE have none. */
function readToEnd(fd: number): Buffer {
  const pieces: Buffer[] = [];
  let total = 0;
  while (total <= MOST_BYTES) {
    const piece = Buffer.allocUnsafe(64 * 1024);
    const count = readSync(fd, piece, 0, piece.length, null);
    if (count === 0) break;
    pieces.push(piece.subarray(0, count));
    total += count;
  }
  return Buffer.concat(pieces);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EAGAIN: 'a process holds a lease on it (fcntl(2), F_SETLEASE)',
  EISDIR: 'it is a folder',
  ENXIO: 'it is a socket, not a regular file',
  ENOTDIR: 'a part of its path is not a folder',
  ELOOP: 'its symbolic links lead in a circle',
};

function explainUnreadable(error: unknown, shown: string): Problem {
  const code = errnoName(error);
  return { message: `the file cannot be read: ${REASONS[code] ?? code}`, remedy: remedyFor(code, shown) };
}

function remedyFor(code: string, shown: string): string | null {
  if (code === 'ENOENT') return 'create it, or name another one';
  if (code === 'EACCES') return `chmod +r ${shown}, or run as a user who may read it`;
  if (code === 'EISDIR') return `name a file in it, such as ${shown.replace(/\/$/, '')}/services.yaml`;
  return null;
}

function decode(bytes: Buffer, shown: string, order: number, problems: Problems): Source | undefined {
  try {
    return new Source(shown, new TextDecoder('utf-8', { fatal: true }).decode(bytes), order);
  } catch {
    reportEncoding(bytes, shown, order, problems);
    return undefined;
  }
}

function reportEncoding(bytes: Buffer, shown: string, order: number, problems: Problems): void {
  const isUtf16 = ['fffe', 'feff'].includes(bytes.toString('hex', 0, 2));
  const source = new Source(shown, bytes.toString('utf8'), order);
  const offset = isUtf16 ? null : bytes.toString('utf8', 0, findInvalid(bytes)).length;
  const message = isUtf16 ? 'the file is UTF-16, not UTF-8' : 'the text is not UTF-8';
  problems.report({ source, offset, path: '' }, { message, remedy: 'save the file as UTF-8' });
}

/** Offset of the first byte that does not belong to a valid character: the line that fails, then how far it is sound. */
function findInvalid(bytes: Buffer): number {
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (!decodes(bytes.subarray(start, end), false)) return start + soundLength(bytes.subarray(start, end));
    start = end;
  }
  return start;
}

/** A beginning may be cut within a character; what is found is stepped back to whole ones. */
function soundLength(line: Buffer): number {
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (decodes(line.subarray(0, middle), true)) low = middle;
    else high = middle - 1;
  }
  while (!decodes(line.subarray(0, low), false)) low -= 1;
  return low;
}

function decodes(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}
