/**
 * Whether the terminal that stdiod was started on is still there. A HUP means two things: read the file again, and (from the
 * kernel, or a shell that passes it on) that the terminal is gone. Who sent it does not tell: two that come at once are one. What
 * tells is the terminal itself, which the kernel has hung up before it sends anything.
 */
import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

const STDIN = 0;
const STDERR = 2;

export class OwnTerminal {
  /** The descriptor by which it is seen; null: there was none, or stdiod was told not to mind. */
  readonly #fd: number | null;
  readonly #isTerminal: (fd: number) => boolean;

  /** @param stat the text of /proc/self/stat; empty: it cannot be read */
  constructor(stat: string, isTerminal: (fd: number) => boolean) {
    this.#fd = shownBy(jobOf(stat), isTerminal);
    this.#isTerminal = isTerminal;
  }

  /** As it is now, so to be called early. */
  static ofProcess(): OwnTerminal {
    return new OwnTerminal(readStat(), isatty);
  }

  get isGone(): boolean {
    return this.#fd !== null && !this.#isTerminal(this.#fd);
  }
}

interface Job {
  readonly hasTerminal: boolean;
  readonly isForeground: boolean;
}

/**
 * Without a controlling terminal (setsid, a service manager) there is none to lose. `stdiod run 2>log &` with its events
 * elsewhere is left to itself and outlives the terminal, as does whatever nohup starts.
 */
function shownBy({ hasTerminal, isForeground }: Job, isTerminal: (fd: number) => boolean): number | null {
  if (!hasTerminal) return null;
  if (isTerminal(STDERR)) return STDERR;
  return isForeground && isTerminal(STDIN) ? STDIN : null;
}

/** proc_pid_stat(5). The name in the second field may hold spaces and parentheses: fields are counted from behind it. */
function jobOf(stat: string): Job {
  const [, , group, , terminal = 0, foreground] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return { hasTerminal: terminal !== 0, isForeground: foreground === group };
}

function readStat(): string {
  try {
    return readFileSync('/proc/self/stat', 'utf8');
  } catch {
    return '';
  }
}
