/**
 * Last words to a client. To close a connection on which more is still coming resets it, and a reset takes away what the client has not
 * read yet: so it is only ended, and closed when the client has left, or soon. So many are held and no more.
 */
import { addon, type Fd } from '../../native/addon';
import type { PollSet } from '../../native/poll-set';
import { asSystemError } from '../../native/system-error';

/** By then whoever reads at all has read it. */
const LINGER_MS = 1000;
/** When there is one more the oldest is closed. */
const MOST_HELD = 128;

export class Farewells {
  readonly #pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** Until when each is held, performance.now; the oldest first. */
  readonly #held = new Map<Fd, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pollSet: Pick<PollSet, 'watch' | 'unwatch'>) {
    this.#pollSet = pollSet;
  }

  get count(): number {
    return this.#held.size;
  }

  /** Sends what goes out at once, and closes the connection sooner or later. From now on it is nobody else's. */
  say(fd: Fd, text: string): void {
    addon.sendNow(fd, text);
    if (!addon.endWriting(fd) || !this.#watch(fd)) {
      addon.refuse(fd);
      return;
    }
    this.#held.set(fd, performance.now() + LINGER_MS);
    this.#startTimer();
    const [oldest] = this.#held.keys();
    if (this.#held.size > MOST_HELD && oldest !== undefined) this.#close(oldest);
  }

  /** Descriptors are short: clients to come need them more. */
  makeRoom(): void {
    for (const fd of [...this.#held.keys()]) this.#close(fd);
  }

  #watch(fd: Fd): boolean {
    const close = (): void => {
      this.#close(fd);
    };
    const onReadable = (): void => {
      if (addon.passOver(fd)) close();
    };
    try {
      this.#pollSet.watch(fd, { onReadable, onFault: close });
      return true;
    } catch (error) {
      asSystemError(error);
      return false;
    }
  }

  #close(fd: Fd): void {
    if (!this.#held.delete(fd)) return;
    this.#pollSet.unwatch(fd);
    addon.refuse(fd);
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const now = performance.now();
      for (const [fd, untilMs] of [...this.#held]) if (untilMs <= now) this.#close(fd);
      if (this.#held.size > 0) this.#startTimer();
    }, LINGER_MS / 4);
  }
}

/** For a server in which nobody waits for the client. */
export const WITHOUT_WAITING: Pick<Farewells, 'say'> = {
  say: (fd, text) => {
    addon.sendNow(fd, text);
    addon.refuse(fd);
  },
};
