/**
 * A daemon on a terminal of its own, with somebody at the keyboard who may type, and leave.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonOptions } from './daemon';
import { atEnd } from './endings';
import { fixture, makeFolder } from './fixtures';

export class Keyboard {
  /** To be given to the daemon. */
  readonly options: DaemonOptions;
  #fd: number | null;

  /**
   * @param columns width of the terminal; 0: it does not know
   * @param then a command on the terminal that execs the words after its own
   */
  constructor(columns = 0, then: readonly string[] = []) {
    const path = join(makeFolder(), 'keyboard');
    execFileSync('mkfifo', [path]);
    this.#fd = openSync(path, constants.O_RDWR);
    const terminal = { TERM: 'xterm', NO_COLOR: '1', FORCE_COLOR: '' };
    this.options = {
      wrapper: ['python3', fixture('owns-terminal.py'), ...then],
      env: { ...terminal, KEYBOARD: path, COLUMNS: String(columns) },
    };
    atEnd(() => {
      this.leave();
    });
  }

  /** `\u0003` is Ctrl-C. */
  type(keys: string): void {
    if (this.#fd !== null) writeSync(this.#fd, keys);
  }

  /** The terminal is gone. */
  leave(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
