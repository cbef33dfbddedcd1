/**
 * Who is left of a session whose program has ended by itself? That is looked for of services that say what is to become of them, and of
 * no others.
 */
import { Chase } from './chase';
import type { Child } from './children';
import type { Kin } from './families';

export class Leftovers<Owner> {
  readonly #kin: Kin<Owner>;
  readonly #onFound: (child: Child<Owner>, left: number, isKept: boolean) => void;

  /** @param onFound hears how many were there, before anybody is signalled */
  constructor(kin: Kin<Owner>, onFound: (child: Child<Owner>, left: number, isKept: boolean) => void) {
    this.#kin = kin;
    this.#onFound = onFound;
  }

  /** Tells of them. @param child was reaped */
  tell(child: Child<Owner>): void {
    this.#chase(child).look((there) => {
      if (there.length > 0) this.#onFound(child, there.length, true);
    });
  }

  /** Tells, and ends them as the session itself would have been: its stop signal, and SIGKILL after the grace for whoever is still there. */
  end(child: Child<Owner>, graceMs: number): void {
    const chase = this.#chase(child);
    chase.look((there) => {
      if (there.length === 0) return;
      this.#onFound(child, there.length, false);
      chase.ask(there, child.stopSignal);
      setTimeout(() => {
        killAll(chase);
      }, graceMs).unref();
    });
  }

  #chase(child: Child<Owner>): Chase {
    return new Chase(this.#kin, (onSeen) => {
      this.#kin.look((found) => {
        onSeen(found.of(child));
      });
    });
  }
}

function killAll(chase: Chase): void {
  chase.corner(
    () => undefined,
    () => {
      chase.kill();
    },
  );
}
