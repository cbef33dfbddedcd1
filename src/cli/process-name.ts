/**
 * What ps, top, pgrep and killall call this process: `stdiod`, and not the interpreter that runs it.
 */
import { writeFileSync } from 'node:fs';

/** 15 bytes are all that the kernel keeps. */
const NAME = 'stdiod';

/** @param words the command line without the program's own name */
export function takeName(words: readonly string[]): void {
  // What `ps -f` and `pgrep -f` show. It also sets the short name, to its first 15 bytes: that is put right afterwards.
  process.title = [NAME, ...words].join(' ');
  try {
    writeFileSync('/proc/self/comm', NAME);
  } catch {
    // Without /proc there is no ps either.
  }
}
