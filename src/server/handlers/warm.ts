/**
 * Clients of a service whose programs wait for them. Each is handed to one that is ready, and stays ours until that says that it has woken:
 * then it is its child like any other. Whoever finds none, or whose program does not wake, is served by a new one.
 */
import type { Children } from '../../child/children';
import type { Plan } from '../../child/plan';
import type { Stock } from '../../child/stock';
import { addon, type Fd, type Pid } from '../../native/addon';
import type { Endings, Served } from '../hosted/endings';
import type { Connection, Handler, Shortage } from '../hosted/hosted';
import type { Programs } from './programs';
import { ownerOf } from './start';

/** On their way to programs that wait: they are enough to keep those busy. */
const MOST_PENDING = 64;

export interface WarmParts {
  readonly plan: Plan;
  readonly stock: Pick<Stock, 'isReady' | 'offer' | 'pendingCount' | 'onServed'>;
  /** Who serves those who find nobody. */
  readonly cold: Programs;
  readonly children: Pick<Children<Served>, 'openPipe'>;
  readonly endings: Pick<Endings, 'drop'>;
  readonly nextName: () => string;
  /** Gives a connection to its handler, now or when the system has what that needs. */
  readonly serve: (connection: Connection) => void;
}

type Pipe = ReturnType<typeof addon.openPipe>;

export class WarmPrograms implements Handler {
  readonly #parts: WarmParts;

  constructor(parts: WarmParts) {
    this.#parts = parts;
  }

  get isBusy(): boolean {
    const { stock, cold } = this.#parts;
    return stock.pendingCount >= MOST_PENDING || cold.isBusy;
  }

  get isHeldUp(): boolean {
    return this.#parts.cold.isHeldUp;
  }

  take(connection: Connection): 'taken' | Shortage {
    return this.#parts.stock.isReady && this.#offer(connection) ? 'taken' : this.#parts.cold.take(connection);
  }

  #offer(connection: Connection): boolean {
    const pipe = this.#openPipe(connection);
    if (pipe === undefined) return false;
    const request = {
      fd: connection.fd,
      pipe: pipe?.writer ?? null,
      onWoken: (pid: Pid, family: string | null) => {
        this.#onWoken(connection, pipe, pid, family);
      },
      onLost: () => {
        this.#onLost(connection, pipe);
      },
    };
    const isTaken = this.#parts.stock.offer(request, this.#parts.nextName());
    if (!isTaken) closePipe(pipe);
    return isTaken;
  }

  /** null: it needs none. undefined: it cannot have one. */
  #openPipe(connection: Connection): Pipe | null | undefined {
    const { plan, children } = this.#parts;
    if (plan.pipe === null) return null;
    try {
      return children.openPipe(plan, ownerOf(connection)) ?? undefined;
    } catch {
      return undefined;
    }
  }

  #onWoken(connection: Connection, pipe: Pipe | null, pid: Pid, family: string | null): void {
    if (pipe !== null) addon.letGoOfPipe(pipe.writer);
    this.#parts.stock.onServed();
    this.#parts.cold.adopt(connection, pid, family, pipe?.reader ?? null);
  }

  /** Nobody else would end a connection that failed in a way that we did not foresee. */
  #onLost(connection: Connection, pipe: Pipe | null): void {
    closePipe(pipe);
    try {
      this.#parts.serve({ ...connection, handler: this.#parts.cold });
    } catch (error) {
      this.#parts.endings.drop(connection, 'prepare', String(error));
    }
  }
}

/** The program may have had it. */
function closePipe(pipe: Pipe | null): void {
  if (pipe === null) return;
  for (const fd of [pipe.reader, pipe.writer] satisfies Fd[]) addon.letGoOfPipe(fd);
}
