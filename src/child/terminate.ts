/**
 * The one way from SIGTERM to SIGKILL: children are asked to leave, and after their grace those that are still there have to.
 */
import type { Child, Children, EndReason } from './children';

export class Terminator<Owner> {
  readonly #children: Pick<Children<Owner>, 'signal' | 'has'>;
  readonly #onSignal: (signal: NodeJS.Signals, count: number) => void;

  /** @param onSignal hears how many were signalled */
  constructor(
    children: Pick<Children<Owner>, 'signal' | 'has'>,
    onSignal: (signal: NodeJS.Signals, count: number) => void,
  ) {
    this.#children = children;
    this.#onSignal = onSignal;
  }

  /**
   * SIGTERM now, SIGKILL after the grace for whoever is still there.
   * @param onDone SIGKILL was sent to all who were
   */
  begin(
    group: readonly Child<Owner>[],
    graceMs: number,
    reason: EndReason,
    onDone: () => void = () => undefined,
  ): void {
    this.#signal(group, 'SIGTERM', reason);
    setTimeout(() => {
      this.end(group, reason);
      onDone();
    }, graceMs).unref();
  }

  /** SIGKILL now. */
  end(group: readonly Child<Owner>[], reason: EndReason): void {
    this.#signal(group, 'SIGKILL', reason);
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
