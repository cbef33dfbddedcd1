/**
 * Connections whose client has not said anything yet. Each is only watched, not a byte is taken, and there is no process for it; it holds
 * its slot. When the first byte has come, its next handler gets it; who says nothing for too long is refused.
 */
import { addon, type Fd } from '../../native/addon';
import type { PollSet } from '../../native/poll-set';
import { asSystemError } from '../../native/system-error';
import type { RefusalReason } from '../../log/events';
import type { Endings } from '../hosted/endings';
import type { Connection, Handler, Holder, Hosted } from '../hosted/hosted';

/** For a client that made its socket ready and said nothing, which a byte out of band does: it would be ready for ever. */
const REST_MS = 1_000;
/** Descriptors that these clients leave to everybody else. */
const RESERVE = 32;

export interface FirstByteParts {
  readonly endings: Pick<Endings, 'refuse' | 'drop'>;
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** Gives a connection to its next handler, now or when the system has what that needs. */
  readonly serve: (connection: Connection) => void;
}

interface Silent {
  /** With its next handler. */
  readonly connection: Connection;
  readonly timer: NodeJS.Timeout;
  /** Until then nobody listens to it. */
  rest: NodeJS.Timeout | null;
}

export class FirstByte implements Holder {
  readonly #parts: FirstByteParts;
  /** Who came first stands first. */
  readonly #silent = new Map<Fd, Silent>();
  /** Whose clients are not waited for any more. */
  #isOver: (hosted: Hosted) => boolean = () => false;
  #isMakingRoom = false;

  constructor(parts: FirstByteParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#silent.size;
  }

  /** What comes before `next`. */
  handlerFor(timeoutMs: number, next: Handler): Handler {
    return {
      get isBusy() {
        return next.isBusy;
      },
      get isHeldUp() {
        return next.isHeldUp === true;
      },
      take: (connection) => {
        this.#take({ ...connection, handler: next }, timeoutMs);
        return 'taken';
      },
    };
  }

  endAll(isDue: (hosted: Hosted) => boolean): void {
    this.#isOver = isDue;
    for (const { connection } of [...this.#silent.values()]) {
      if (isDue(connection.hosted)) this.#refuse(connection.fd, 'stopping');
    }
  }

  /** Where few descriptors are left the oldest of these are let go: who says nothing must not be why others are not served. */
  makeRoom(): void {
    if (this.#isMakingRoom || this.#silent.size === 0) return;
    const missing = RESERVE - addon.freeDescriptors(RESERVE);
    if (missing <= 0) return;
    this.#isMakingRoom = true;
    for (const fd of [...this.#silent.keys()].slice(0, missing)) this.#refuse(fd, 'open-files');
    this.#isMakingRoom = false;
  }

  #take(connection: Connection, timeoutMs: number): void {
    const { fd, hosted } = connection;
    if (this.#isOver(hosted)) {
      this.#parts.endings.refuse(connection, 'stopping');
      return;
    }
    if (addon.firstByte(fd) === 'here') {
      this.#serve(connection);
      return;
    }
    this.makeRoom();
    const timer = setTimeout(() => {
      this.#refuse(fd, 'silent');
    }, timeoutMs);
    this.#silent.set(fd, { connection, timer, rest: null });
    this.#listen(fd);
  }

  #listen(fd: Fd): void {
    const refuse = (): void => {
      this.#refuse(fd, 'memory');
    };
    const onReadable = (): void => {
      this.#onReadable(fd);
    };
    try {
      this.#parts.pollSet.watch(fd, { onReadable, onFault: refuse });
    } catch (error) {
      asSystemError(error);
      refuse();
    }
  }

  #onReadable(fd: Fd): void {
    const found = addon.firstByte(fd);
    if (found === 'left') this.#refuse(fd, 'left');
    else if (found === 'none') this.#rest(fd);
    else this.#serveOne(fd);
  }

  #rest(fd: Fd): void {
    const silent = this.#silent.get(fd);
    if (silent === undefined) return;
    this.#parts.pollSet.unwatch(fd);
    silent.rest = setTimeout(() => {
      this.#listen(fd);
    }, REST_MS);
  }

  #serveOne(fd: Fd): void {
    const connection = this.#end(fd);
    if (connection !== undefined) this.#serve(connection);
  }

  /** Nobody else would end a connection that failed in a way that we did not foresee. */
  #serve(connection: Connection): void {
    try {
      this.#parts.serve(connection);
    } catch (error) {
      this.#parts.endings.drop(connection, 'prepare', String(error));
    }
  }

  #refuse(fd: Fd, reason: RefusalReason): void {
    const connection = this.#end(fd);
    if (connection !== undefined) this.#parts.endings.refuse(connection, reason);
  }

  /** Stops listening to this client, whose descriptor stays open. */
  #end(fd: Fd): Connection | undefined {
    const silent = this.#silent.get(fd);
    if (silent === undefined) return undefined;
    this.#silent.delete(fd);
    clearTimeout(silent.timer);
    if (silent.rest !== null) clearTimeout(silent.rest);
    this.#parts.pollSet.unwatch(fd);
    return silent.connection;
  }
}
