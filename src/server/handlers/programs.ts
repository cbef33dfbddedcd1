/**
 * A program for each connection: the addon clones, the child takes over the socket, and the descriptor is no longer ours. What
 * every child of the service does is prepared once, in the plan.
 */
import { availableParallelism } from 'node:os';
import type { Child, Children, Errand } from '../../child/children';
import type { Plan } from '../../child/plan';
import { describeSpawnFailure } from '../../child/spawn-errors';
import type { Emit } from '../../log/events';
import { addon, type Fd, type Pid } from '../../native/addon';
import { formatLocal, formatPeer } from '../../service/peer';
import type { Endings, Served } from '../hosted/endings';
import type { Connection, Handler, Hosted, Shortage } from '../hosted/hosted';
import { ownerOf, startFor } from './start';

/**
 * So many children of a service may be on their way to their program at a time. They are enough to keep the processors busy: more of them
 * would be served no sooner, but the other services' children would wait behind them, and so would we.
 */
const MOST_UNDER_WAY = 4 * availableParallelism();
/** One that takes longer waits for something else (it was stopped, its disk is slow), and no client waits for it. */
const UNDER_WAY_MS = 20;

/** Sees to it that sessions end, and to their accounts. */
export interface Watch {
  /** Of the connection, as long as we have it; null: nothing is to be asked of it later. */
  readonly questionOf: (connection: Connection) => Buffer | null;
  /** The kernel's number of the connection, under which its account comes; 0: none does. Absent: nobody asks for it. */
  readonly cookieOf?: (connection: Connection) => number;
  readonly add: (child: Child<Served>, question: Buffer | null) => void;
}

export interface ProgramParts {
  readonly children: Pick<Children<Served>, 'spawn' | 'adopt'>;
  readonly endings: Pick<Endings, 'drop'>;
  /** Of each child. */
  readonly errand: Errand<Served>;
  readonly emit: Emit;
  /** null: sessions may last. */
  readonly watch: Watch | null;
}

export class Programs implements Handler {
  readonly #plan: Plan;
  readonly #parts: ProgramParts;

  constructor(plan: Plan, parts: ProgramParts) {
    this.#plan = plan;
    this.#parts = parts;
  }

  get isBusy(): boolean {
    return addon.countInSetup(this.#plan.native, UNDER_WAY_MS) >= MOST_UNDER_WAY;
  }

  get isHeldUp(): boolean {
    return addon.hasTooManyEndingOf(this.#plan.native);
  }

  take(connection: Connection): 'taken' | Shortage {
    try {
      const question = this.#parts.watch?.questionOf(connection) ?? null;
      const child = this.#spawn(connection);
      this.#tryLog(connection, child.pid);
      this.#tryWatch(child, question);
      return 'taken';
    } catch (error) {
      const { step, error: code, shortage } = describeSpawnFailure(error);
      if (shortage !== null) return shortage;
      this.#parts.endings.drop(connection, step, code);
      return 'taken';
    }
  }

  /**
   * A process that was started before has the connection by now. Our copy is still open.
   * @param family the name of its session in its environment; null: it has none @param reader of the pipe that is its fd 2
   */
  adopt(connection: Connection, pid: Pid, family: string | null, reader: Fd | null): void {
    const question = this.#tryAsk(connection);
    const owner = this.#ownerOf(connection);
    const served = family === null ? owner : { ...owner, family };
    const { children, errand } = this.#parts;
    const child = children.adopt(this.#plan, pid, served, errand, reader);
    addon.letGo(this.#plan.native, connection.fd);
    this.#tryLog(connection, pid);
    this.#tryWatch(child, question);
  }

  #spawn(connection: Connection): Child<Served> {
    const plan = this.#plan;
    const { children, errand } = this.#parts;
    return children.spawn(plan, startFor(plan, connection), this.#ownerOf(connection), errand);
  }

  #ownerOf(connection: Connection): Served {
    const cookie = this.#parts.watch?.cookieOf?.(connection) ?? 0;
    const owner = ownerOf(connection);
    return cookie === 0 ? owner : { ...owner, cookie };
  }

  #tryAsk(connection: Connection): Buffer | null {
    try {
      return this.#parts.watch?.questionOf(connection) ?? null;
    } catch {
      return null;
    }
  }

  /** By now the descriptor is not ours, and its number may be another's: whatever fails here, nothing is to be closed. */
  #tryLog(connection: Connection, pid: Pid): void {
    try {
      this.#logAccepted(connection, pid);
    } catch {
      // The child has it, and is told of when it ends.
    }
  }

  /** Likewise. */
  #tryWatch(child: Child<Served>, question: Buffer | null): void {
    try {
      this.#parts.watch?.add(child, question);
    } catch {
      // It ends by itself.
    }
  }

  #logAccepted({ id, hosted, listener, peer: from, local }: Connection, pid: Pid): void {
    const { service, gate } = hosted;
    const peer = formatPeer(from);
    const { inUse: children, limit } = gate;
    const asked = hasOneAddress(hosted) ? undefined : formatLocal(listener.address, local);
    this.#parts.emit({
      event: 'accepted',
      service: service.name,
      connection: id,
      peer,
      local: asked,
      pid,
      children,
      limit,
    });
  }
}

/** That one is known from its `listening`; port 0 makes another one at each start. A service that is asked for by name may have none. */
function hasOneAddress({ service: { listen } }: Hosted): boolean {
  const [first] = listen;
  return (
    listen.length === 1 &&
    first?.sockets.length === 1 &&
    !first.sockets.some((socket) => 'port' in socket && socket.port === 0)
  );
}
