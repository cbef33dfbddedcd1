/**
 * Sessions that have to end: each service says when. A session keeps what its service said when it began, whatever a reload says of
 * those that come.
 */
import type { Child, Children, EndReason, Errand } from '../child/children';
import { ConnectionWatch, type AskConnections } from '../child/connection-watch';
import { Deadlines } from '../child/deadlines';
import { Questions } from '../child/questions';
import type { Kin } from '../child/families';
import { Leftovers } from '../child/leftovers';
import type { Terminator } from '../child/terminate';
import type { Emit } from '../log/events';
import { addon } from '../native/addon';
import type { Service, SessionLimits } from '../service/service';
import type { Watch } from './handlers/programs';
import type { Served } from './hosted/endings';

export interface SessionsParts {
  readonly children: Pick<Children<Served>, 'has'>;
  readonly terminator: Pick<Terminator<Served>, 'begin'>;
  readonly kin: Kin<Served>;
  readonly emit: Emit;
}

type Add = Watch['add'];

const UNTOLD = {
  event: 'failed',
  verb: 'watch',
  address: '-',
  error: 'the kernel tells nothing of TCP connections (sock_diag)',
  action: 'idle_timeout and on_disconnect have no effect',
} as const;

const LOCKED = {
  event: 'failed',
  verb: 'watch',
  address: '-',
  error: 'programs hold the locks of their connections',
  action: 'idle_timeout and on_disconnect of this service wait until one is free; session_timeout holds',
} as const;

export class Sessions {
  readonly #parts: SessionsParts;
  readonly #questions: Questions;
  readonly #leftovers: Leftovers<Served>;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
    this.#leftovers = new Leftovers(parts.kin, (child, left, isKept) => {
      this.#logLeftover(child, left, isKept);
    });
    this.#questions = new Questions((service) => {
      parts.emit({ ...LOCKED, service });
    });
  }

  /** null: they end by themselves. */
  watchFor({ name, session }: Service): Watch | null {
    const [timed, asked] = [this.#timed(session), this.#asked(name, session)];
    if (asked !== null && !addon.canAskSockets()) this.#parts.emit({ ...UNTOLD, service: name });
    if (timed === null && asked === null) return null;
    return {
      questionOf: ({ fd }) => (asked === null ? null : addon.questionOf(fd)),
      add: (child, question) => {
        timed?.(child, question);
        asked?.(child, question);
      },
    };
  }

  /**
   * For a service that says what is to become of those who outlive its program: looks for them after the end. By then the slot is free; a
   * session that was ended by force has taken them along.
   * @param errand sees to the end itself
   */
  errandFor(service: Service, errand: Errand<Served>): Errand<Served> {
    const onLeft = this.leftoversFor(service);
    if (onLeft === null) return errand;
    // Where no program was started, what came before it has left somebody, or nobody has.
    const isAlone = service.run.kind !== 'exec' || service.run.before === null;
    return {
      onExit: (child, exit) => {
        errand.onExit(child, exit);
        if ((exit.failure !== null && isAlone) || child.endReason !== undefined) return;
        onLeft(child);
      },
    };
  }

  /** What is done about whom a child, which was reaped, has left behind. null: nothing. */
  leftoversFor({ session: { leftover } }: Service): ((child: Child<Served>) => void) | null {
    if (leftover === null) return null;
    return (child) => {
      if (leftover === 'keep') this.#leftovers.tell(child);
      else this.#leftovers.end(child, child.owner.hosted.service.stopGraceMs);
    };
  }

  #logLeftover({ pid, owner, stopSignal }: Child<Served>, left: number, isKept: boolean): void {
    const { hosted, connection } = owner;
    const signal = isKept ? undefined : stopSignal;
    this.#parts.emit({ event: 'leftover', service: hosted.service.name, connection, pid, left, signal });
  }

  #timed({ timeoutMs }: SessionLimits): Add | null {
    if (timeoutMs === null) return null;
    const deadlines = new Deadlines<Served>(this.#parts.children, timeoutMs, (due) => {
      this.#end(due, 'session-timeout');
    });
    return (child) => {
      deadlines.add(child);
    };
  }

  #asked(service: string, { idleMs, disconnectMs }: SessionLimits): Add | null {
    if (idleMs === null && disconnectMs === null) return null;
    const ask: AskConnections = (questions, onAnswered) => {
      this.#questions.ask(service, questions, onAnswered);
    };
    const { children } = this.#parts;
    const watch = new ConnectionWatch<Served>(children, { idleMs, disconnectMs }, ask, (due, reason) => {
      this.#end(due, reason);
    });
    return (child, question) => {
      if (question !== null) watch.add(child, question);
    };
  }

  /** All of one service, with the grace that it has now. */
  #end(due: readonly Child<Served>[], reason: EndReason): void {
    const [first] = due;
    if (first !== undefined) this.#parts.terminator.begin(due, first.owner.hosted.service.stopGraceMs, reason);
  }
}
