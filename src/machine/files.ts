/**
 * What the files of this machine are, as the configuration asks it. Nothing here throws: what cannot be looked at has no answer.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { type BinaryFormat, parseBinaryFormat } from '../config/machine/binary-formats';
import type { Entry, FileFacts } from '../config/machine/machine';
import { errnoName } from '../config/text/errno-name';

/** The facts, or the errno name. */
export function readFacts(path: string): FileFacts | string {
  try {
    const stats = statSync(path);
    const kind = stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : 'other';
    return { kind, mode: stats.mode & 0o7777 };
  } catch (error) {
    return errnoName(error);
  }
}

/** Of what stands there itself, be it a link. */
export function readEntry(path: string): Entry | string {
  try {
    const stats = lstatSync(path);
    const isLink = stats.isSymbolicLink();
    const kind = isLink ? 'link' : stats.isFile() ? 'file' : 'other';
    return {
      kind,
      mode: stats.mode & 0o7777,
      uid: stats.uid,
      gid: stats.gid,
      target: isLink ? readlinkSync(path) : null,
    };
  } catch (error) {
    return errnoName(error);
  }
}

/** As much as the kernel looks at to find an interpreter (BINPRM_BUF_SIZE). */
const HEAD_BYTES = 256;

/**
 * undefined: it is no regular file, or not for us. Nobody is waited for: not for a writer, should it be a FIFO by now, nor for
 * who holds a lease on it (then there is no answer either).
 */
export function readHead(path: string): Buffer | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return fstatSync(fd).isFile() ? readBeginning(fd) : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function readBeginning(fd: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  return head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
}

/** Or the errno name; of what is no regular file EINVAL. Nobody is waited for, as above. */
export function readContents(path: string, mostBytes: number): Buffer | string {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return fstatSync(fd).isFile() ? readUpTo(fd, mostBytes) : 'EINVAL';
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return errnoName(error);
  }
}

function readUpTo(fd: number, mostBytes: number): Buffer {
  const buffer = Buffer.alloc(mostBytes);
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, mostBytes - length, length);
    length += count;
    if (count === 0 || length === mostBytes) return buffer.subarray(0, length);
  }
}

export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Not a step is taken out of it: behind a link `..` leads elsewhere than it seems. */
export function absolute(path: string): string {
  return path.startsWith('/') ? path : `${process.cwd()}/${path}`;
}

/** null: it is not there, or not for us. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

const FORMATS = '/proc/sys/fs/binfmt_misc';

export function readBinaryFormats(): readonly BinaryFormat[] {
  try {
    const names = readdirSync(FORMATS).filter((name) => name !== 'register');
    const formats = names.map((name) => parseBinaryFormat(readFileSync(`${FORMATS}/${name}`, 'latin1')));
    return formats.filter((format) => format !== undefined);
  } catch {
    return [];
  }
}
