/**
 * Processes that are to end and are not our children, so nobody tells us of them: they are looked for, and remembered, because later they
 * may have lost what told whose they are.
 *
 * Those that make others faster than they are found (a fork bomb) are stopped first, all of them, until nobody new is found: who is
 * stopped keeps its place under a limit of processes, so that the others cannot go on.
 */
import type { ProcessFacts } from './census';
import type { Kin } from './families';
import type { StopSignal } from '../service/stop-signal';

/** Looks for somebody new before SIGKILL … */
const MOST_ROUNDS = 20;
/** … and times that somebody is found after it. */
const MOST_KILLS = 5;

export type Find = (onSeen: (there: readonly ProcessFacts[]) => void) => void;

export class Chase {
  readonly #kin: Pick<Kin<never>, 'signal'>;
  readonly #find: Find;
  readonly #members = new Map<number, ProcessFacts>();

  constructor(kin: Pick<Kin<never>, 'signal'>, find: Find) {
    this.#kin = kin;
    this.#find = find;
  }

  /** @param onSeen hears who is there, and who of them was not before */
  look(onSeen: (there: readonly ProcessFacts[], fresh: readonly ProcessFacts[]) => void): void {
    this.#find((there) => {
      const fresh = there.filter(({ pid, start }) => this.#members.get(pid)?.start !== start);
      for (const member of there) this.#members.set(member.pid, member);
      onSeen(there, fresh);
    });
  }

  /** Who is stopped takes no signal to leave before it goes on. */
  ask(members: readonly ProcessFacts[], signal: StopSignal): void {
    this.#kin.signal(members, signal);
    this.#kin.signal(members, 'SIGCONT');
  }

  /** Stops them until nobody is new. @param onNew as many times as somebody is */
  corner(onNew: () => void, onCornered: () => void, rounds = MOST_ROUNDS): void {
    this.look((_, fresh) => {
      if (fresh.length === 0 || rounds === 0) {
        onCornered();
        return;
      }
      this.#kin.signal([...this.#members.values()], 'SIGSTOP');
      onNew();
      this.corner(onNew, onCornered, rounds - 1);
    });
  }

  /** All, and who was made in between. */
  kill(times = MOST_KILLS): void {
    if (this.#members.size === 0) return;
    this.#kin.signal([...this.#members.values()], 'SIGKILL');
    this.look((_, fresh) => {
      if (fresh.length === 0 || times === 0) return;
      this.#kin.signal(fresh, 'SIGSTOP');
      this.corner(
        () => undefined,
        () => {
          this.kill(times - 1);
        },
      );
    });
  }
}
