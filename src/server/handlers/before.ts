/**
 * Commands that run before the program of a connection, and decide by their exit status whether its client is served. Meanwhile the
 * connection is ours: nobody reads from it, and it holds its slot. Each command is a handler in front of the next one, the last in front
 * of the program: a connection that finds no process for its second command is kept like one that finds none for its first.
 */
import { availableParallelism } from 'node:os';
import type { Child, Children, Errand, Exit } from '../../child/children';
import { Deadlines } from '../../child/deadlines';
import type { Plan } from '../../child/plan';
import { describeSpawnFailure } from '../../child/spawn-errors';
import type { Terminator } from '../../child/terminate';
import type { RefusalCause } from '../../log/events';
import { addon } from '../../native/addon';
import { OncePerTurn } from '../../native/turn';
import type { Endings, Served } from '../hosted/endings';
import type { Connection, Handler, Holder, Hosted, Shortage } from '../hosted/hosted';
import { ownerOf, startFor } from './start';

/** As of programs (handlers/programs.ts). */
const MOST_UNDER_WAY = 4 * availableParallelism();
const UNDER_WAY_MS = 20;

/** It had its time, and all of its processes had to go. */
const LATE = 'session-timeout';

export interface BeforeParts {
  readonly children: Pick<Children<Served>, 'spawn' | 'has'>;
  readonly endings: Pick<Endings, 'refuse' | 'drop'>;
  /** Of those whose time is over. */
  readonly terminator: Pick<Terminator<Served>, 'begin'>;
  /** Gives a connection to its next handler, now or when the system has what that needs. */
  readonly serve: (connection: Connection) => void;
}

/** One command of a service. */
export interface Gate {
  /** As it stands in the event of a refusal. */
  readonly command: string;
  readonly plan: Plan;
}

export interface Terms {
  /** For each command. */
  readonly timeoutMs: number;
  /** Sees to what the commands of a client that is refused have left behind; null: it stays. @param child the last of them, reaped */
  readonly onLeft: ((child: Child<Served>) => void) | null;
}

/** A command that runs, or has ended in this turn of the loop. */
interface Pending {
  readonly onLeft: Terms['onLeft'];
  readonly connection: Connection;
  readonly command: string;
  readonly next: Handler;
}

export class Before implements Holder, Errand<Served> {
  readonly #parts: BeforeParts;
  readonly #pending = new Map<Child<Served>, Pending>();
  #ended: (readonly [Child<Served>, Exit])[] = [];
  /** Whose clients get no program any more. */
  #isOver: (hosted: Hosted) => boolean = () => false;
  /** Not in the middle of reaping: the next child may get the number of one that is still to be told of. */
  readonly #settle = new OncePerTurn(() => {
    const ended = this.#ended;
    this.#ended = [];
    for (const [child, exit] of ended) this.#decide(child, exit);
  });

  constructor(parts: BeforeParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#pending.size;
  }

  /** What comes before `program`. */
  handlerFor(gates: readonly Gate[], { timeoutMs, onLeft }: Terms, program: Handler): Handler {
    const { children, terminator } = this.#parts;
    const deadlines = new Deadlines<Served>(children, timeoutMs, (due) => {
      terminator.begin(due, 0, LATE);
    });
    return gates.reduceRight((next: Handler, gate) => this.#handler({ ...gate, deadlines, onLeft }, next), program);
  }

  /** Their commands are children, who are told to leave like all others: when the last one has, the client is refused. */
  endAll(isDue: (hosted: Hosted) => boolean): void {
    this.#isOver = isDue;
  }

  onExit(child: Child<Served>, exit: Exit): void {
    this.#ended.push([child, exit]);
    this.#settle.request();
  }

  #handler(gate: PreparedGate, next: Handler): Handler {
    return {
      get isBusy() {
        return addon.countInSetup(gate.plan.native, UNDER_WAY_MS) >= MOST_UNDER_WAY || next.isBusy;
      },
      get isHeldUp() {
        return next.isHeldUp === true;
      },
      take: (connection) => this.#take(connection, gate, next),
    };
  }

  #take(
    connection: Connection,
    { command, plan, deadlines, onLeft }: PreparedGate,
    next: Handler,
  ): ReturnType<Handler['take']> {
    if (this.#isOver(connection.hosted)) {
      this.#parts.endings.refuse(connection, 'stopping');
      return 'taken';
    }
    try {
      const child = this.#parts.children.spawn(plan, startFor(plan, connection), ownerOf(connection), this);
      this.#pending.set(child, { connection, command, next, onLeft });
      deadlines.add(child);
      return 'taken';
    } catch (error) {
      return this.#onFailure(connection, command, error);
    }
  }

  #onFailure(connection: Connection, command: string, error: unknown): 'taken' | Shortage {
    const { step, error: code, shortage } = describeSpawnFailure(error);
    if (shortage !== null) return shortage;
    this.#refuse(connection, { command, step, error: code });
    return 'taken';
  }

  #decide(child: Child<Served>, exit: Exit): void {
    const pending = this.#pending.get(child);
    if (pending === undefined) return;
    this.#pending.delete(child);
    const { connection, command, next, onLeft } = pending;
    const fault = faultOf(child, exit);
    const isOver = this.#isOver(connection.hosted);
    if (!isOver && fault === null) {
      this.#serve({ ...connection, handler: next });
      return;
    }
    if (isOver || fault === null) this.#parts.endings.refuse(connection, 'stopping');
    else this.#refuse(connection, { command, ...fault });
    // Who was ended by force has taken them along; of a client that is served they are the session's.
    if (child.endReason === undefined) onLeft?.(child);
  }

  #refuse(connection: Connection, cause: RefusalCause): void {
    this.#parts.endings.refuse(connection, 'before', '', cause);
  }

  /** Nobody else would end a connection that failed in a way that we did not foresee. */
  #serve(connection: Connection): void {
    try {
      this.#parts.serve(connection);
    } catch (error) {
      this.#parts.endings.drop(connection, 'prepare', String(error));
    }
  }
}

interface PreparedGate extends Gate {
  readonly deadlines: Deadlines<Served>;
  readonly onLeft: Terms['onLeft'];
}

/** null: it lets its client in. */
function faultOf(
  { endReason }: Child<Served>,
  { status, signal, failure }: Exit,
): Omit<RefusalCause, 'command'> | null {
  if (endReason === LATE) return { step: 'before_timeout', error: 'ETIMEDOUT' };
  if (failure !== null) return failure;
  if (status === 0) return null;
  return status === null ? { signal: signal ?? undefined } : { exit: status };
}
