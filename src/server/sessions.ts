/**
 * Sessions that have to end: each service says when. A session keeps what its service said when it began, whatever a reload says of
 * those that come.
 */
import type { Child, Children, EndReason } from '../child/children';
import { Deadlines } from '../child/deadlines';
import type { Terminator } from '../child/terminate';
import type { Service } from '../service/service';
import type { OnStarted } from './handlers/programs';
import type { Served } from './hosted/endings';

export class Sessions {
  readonly #children: Pick<Children<Served>, 'has'>;
  readonly #terminator: Pick<Terminator<Served>, 'begin'>;

  constructor(children: Pick<Children<Served>, 'has'>, terminator: Pick<Terminator<Served>, 'begin'>) {
    this.#children = children;
    this.#terminator = terminator;
  }

  /** null: they end by themselves. */
  watchFor({ session }: Service): OnStarted | null {
    if (session.timeoutMs === null) return null;
    const deadlines = new Deadlines<Served>(this.#children, session.timeoutMs, (due) => {
      this.#end(due, 'session-timeout');
    });
    return (child) => {
      deadlines.add(child);
    };
  }

  /** All of one service, with the grace that it has now. */
  #end(due: readonly Child<Served>[], reason: EndReason): void {
    const [first] = due;
    if (first !== undefined) this.#terminator.begin(due, first.owner.hosted.service.stopGraceMs, reason);
  }
}
