/**
 * How much the kernel takes with execve(2): see "Limits on size of arguments and environment" there.
 */
import { readFileSync } from 'node:fs';

/** ARG_MAX: so much there always is. */
const LEAST = 131_072;
/** Three quarters of _STK_LIM. */
const MOST = 6 * 1024 * 1024;
const STACK_SHARE = 4;

export function readStartBytes(): number {
  return Math.max(LEAST, Math.min(MOST, readStackLimit() / STACK_SHARE));
}

/** The soft one, which children inherit. */
function readStackLimit(): number {
  try {
    const soft = /^Max stack size\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
