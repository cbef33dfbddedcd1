/**
 * The one way from the stop signal to SIGKILL: sessions are asked to leave, and after their grace whoever is still there has to. That is a child
 * with its process group, and every process of its session that has left that.
 */
import { Chase } from './chase';
import type { ProcessFacts } from './census';
import type { Child, Children, EndReason } from './children';
import type { Kin } from './families';
import { DEFAULT_STOP_SIGNAL, type StopSignal } from '../service/stop-signal';

/** With very many processes it takes long to find those of a session: its child does not wait for its signal any longer than this … */
const LONGEST_LOOK_MS = 250;
/** … nor for SIGKILL. */
const LONGEST_CHASE_MS = 500;

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
   * The stop signal of each as soon as it is known who is there, SIGKILL after the grace for whoever still is.
   * @param onDone SIGKILL was sent to all who were
   */
  begin(
    group: readonly Child<Owner>[],
    graceMs: number,
    reason: EndReason,
    onDone: () => void = () => undefined,
  ): void {
    const alike = bySignal(group);
    let outstanding = alike.length;
    for (const [signal, children] of alike) {
      this.#begin(children, signal, graceMs, reason, () => {
        outstanding -= 1;
        if (outstanding === 0) onDone();
      });
    }
  }

  /** SIGKILL now, to the children and their process groups. */
  end(group: readonly Child<Owner>[], reason: EndReason): void {
    this.#signal(group, 'SIGKILL', reason);
  }

  #begin(
    group: readonly Child<Owner>[],
    signal: StopSignal,
    graceMs: number,
    reason: EndReason,
    onDone: () => void,
  ): void {
    const chase = new Chase(this.#kin, (onSeen) => {
      this.#kin.look((found) => {
        onSeen(group.flatMap((child) => found.of(child)));
      });
    });
    const ask = once(() => {
      this.#signal(group, signal, reason);
      setTimeout(() => {
        this.#endAll(chase, group, reason, onDone);
      }, graceMs).unref();
    });
    const timer = setTimeout(ask, LONGEST_LOOK_MS).unref();
    chase.look((members) => {
      clearTimeout(timer);
      const others = this.#beyondGroups(members, group);
      ask();
      chase.ask(others, signal);
    });
  }

  #endAll(chase: Chase, group: readonly Child<Owner>[], reason: EndReason, onDone: () => void): void {
    const stop = (): void => {
      for (const child of this.#alive(group)) this.#children.signal(child, 'SIGSTOP');
    };
    const end = once(() => {
      this.end(group, reason);
      onDone();
    });
    const kill = (): void => {
      end();
      chase.kill();
    };
    const timer = setTimeout(kill, LONGEST_CHASE_MS).unref();
    // Before the first look: nobody whom they make after it would be looked for.
    stop();
    chase.corner(stop, () => {
      clearTimeout(timer);
      kill();
    });
  }

  /** Nobody is asked twice. */
  #beyondGroups(members: readonly ProcessFacts[], group: readonly Child<Owner>[]): readonly ProcessFacts[] {
    const reached = new Set<number>(this.#alive(group).map(({ pid }) => pid));
    return members.filter((member) => !reached.has(member.group));
  }

  #signal(group: readonly Child<Owner>[], signal: NodeJS.Signals, reason: EndReason): void {
    const alive = this.#alive(group);
    if (alive.length === 0) return;
    this.#onSignal(signal, alive.length);
    for (const child of alive) {
      child.endReason ??= reason;
      this.#children.signal(child, signal);
    }
  }

  #alive(group: readonly Child<Owner>[]): readonly Child<Owner>[] {
    return group.filter((child) => this.#children.has(child));
  }
}

/** Nobody at all has nothing to be told, and a grace all the same. */
function bySignal<Owner>(
  group: readonly Child<Owner>[],
): readonly (readonly [signal: StopSignal, children: readonly Child<Owner>[]])[] {
  const signals = new Set(group.map(({ stopSignal }) => stopSignal));
  if (signals.size < 2) return [[group[0]?.stopSignal ?? DEFAULT_STOP_SIGNAL, group]];
  return [...signals].map((signal) => [signal, group.filter(({ stopSignal }) => stopSignal === signal)]);
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
