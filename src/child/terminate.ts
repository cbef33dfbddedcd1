/**
 * The one way from SIGTERM to SIGKILL: sessions are asked to leave, and after their grace whoever is still there has to. That is a child
 * with its process group, and every process of its session that has left that.
 */
import { Chase } from './chase';
import type { ProcessFacts } from './census';
import type { Child, Children, EndReason } from './children';
import type { Kin } from './families';

export class Terminator<Owner> {
  readonly #children: Pick<Children<Owner>, 'signal' | 'has'>;
  readonly #onSignal: (signal: NodeJS.Signals, count: number) => void;
  readonly #kin: Kin<Owner>;

  /** @param onSignal hears how many children were signalled */
  constructor(
    children: Pick<Children<Owner>, 'signal' | 'has'>,
    onSignal: (signal: NodeJS.Signals, count: number) => void,
    kin: Kin<Owner>,
  ) {
    this.#children = children;
    this.#onSignal = onSignal;
    this.#kin = kin;
  }

  /**
   * SIGTERM as soon as it is known who is there, SIGKILL after the grace for whoever still is.
   * @param onDone SIGKILL was sent to all who were
   */
  begin(
    group: readonly Child<Owner>[],
    graceMs: number,
    reason: EndReason,
    onDone: () => void = () => undefined,
  ): void {
    const chase = new Chase(this.#kin, (onSeen) => {
      this.#kin.look((found) => {
        onSeen(group.flatMap((child) => found.of(child)));
      });
    });
    chase.look((members) => {
      const others = this.#beyondGroups(members, group);
      this.#signal(group, 'SIGTERM', reason);
      chase.ask(others);
      setTimeout(() => {
        this.#endAll(chase, group, reason, onDone);
      }, graceMs).unref();
    });
  }

  /** SIGKILL now, to the children and their process groups. */
  end(group: readonly Child<Owner>[], reason: EndReason): void {
    this.#signal(group, 'SIGKILL', reason);
  }

  #endAll(chase: Chase, group: readonly Child<Owner>[], reason: EndReason, onDone: () => void): void {
    const stop = (): void => {
      for (const child of group) this.#children.signal(child, 'SIGSTOP');
    };
    chase.corner(stop, () => {
      this.end(group, reason);
      chase.kill();
      onDone();
    });
  }

  /** Nobody is asked twice. */
  #beyondGroups(members: readonly ProcessFacts[], group: readonly Child<Owner>[]): readonly ProcessFacts[] {
    const reached = new Set<number>(group.filter((child) => this.#children.has(child)).map(({ pid }) => pid));
    return members.filter((member) => !reached.has(member.group));
  }

  #signal(group: readonly Child<Owner>[], signal: NodeJS.Signals, reason: EndReason): void {
    const alive = group.filter((child) => this.#children.has(child));
    if (alive.length === 0) return;
    this.#onSignal(signal, alive.length);
    for (const child of alive) {
      child.endReason ??= reason;
      this.#children.signal(child, signal);
    }
  }
}
