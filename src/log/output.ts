/**
 * stderr, written without ever waiting for its reader. Setting O_NONBLOCK on fd 2 itself would change it for everybody who
 * shares it (the shell, other programs), so a pipe or terminal is opened anew, and a socket is told per call.
 */
import { constants, fstatSync, openSync } from 'node:fs';
import { addon } from '../native/addon';

export interface Output {
  /**
   * @returns how many bytes were taken; the rest is to be offered again
   * @throws SystemError when none was taken and no waiting helps by itself: the reader is gone, the disk is full
   */
  write(bytes: Uint8Array): number;
}

const STDERR = 2;
/** One page: a pipe that polls writable takes this much at once, whatever its flags. */
const PAGE = 4096;
const LARGE = 65536;

interface Target {
  readonly fd: number;
  readonly isSocket: boolean;
  /** A write would wait for a reader, so it is asked first whether there is room. */
  readonly mayWait: boolean;
  /** The most that one write may take. */
  readonly chunk: number;
}

export function openOutput(): Output {
  const target = openStderr();
  return { write: (bytes) => writeAll(target, bytes) };
}

function openStderr(): Target {
  const stats = fstatSync(STDERR);
  if (stats.isFIFO() || stats.isCharacterDevice()) return reopen();
  // A regular file never makes a writer wait, and opened anew it would have a second file offset.
  return { fd: STDERR, isSocket: stats.isSocket(), mayWait: false, chunk: LARGE };
}

/** Not allowed when the pipe or terminal belongs to somebody else (a container's, another user's): then page by page. */
function reopen(): Target {
  const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return { fd: openSync(`/proc/self/fd/${STDERR}`, flags), isSocket: false, mayWait: false, chunk: LARGE };
  } catch {
    return { fd: STDERR, isSocket: false, mayWait: true, chunk: PAGE };
  }
}

function writeAll(target: Target, bytes: Uint8Array): number {
  let done = 0;
  while (done < bytes.length) {
    const written = tryWrite(target, bytes.subarray(done, done + target.chunk), done > 0);
    if (written === 0) return done;
    done += written;
  }
  return done;
}

/** @param isPart something was taken before: that is told first, a failure will come again */
function tryWrite({ fd, isSocket, mayWait }: Target, chunk: Uint8Array, isPart: boolean): number {
  try {
    return addon.writeSome(fd, chunk, isSocket, mayWait);
  } catch (error) {
    if (isPart) return 0;
    throw error;
  }
}
