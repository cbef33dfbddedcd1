/**
 * Who is left when no child is: processes that their programs have left behind. Nothing of a session outlives stdiod, as far as it is for us
 * to end.
 */
import { Chase } from './chase';
import type { Kin } from './families';
import { DEFAULT_STOP_SIGNAL } from '../service/stop-signal';

const POLL_MS = 20;
/** After SIGKILL: who sleeps where no signal reaches must not keep us. */
const GIVE_UP_MS = 2000;

export class Rest {
  readonly #chase: Chase;
  readonly #onSignal: (signal: NodeJS.Signals, count: number) => void;
  #deadlineMs = 0;

  /** @param onSignal hears how many were signalled */
  constructor(kin: Pick<Kin<never>, 'lookAll' | 'signal'>, onSignal: (signal: NodeJS.Signals, count: number) => void) {
    this.#chase = new Chase(kin, (onSeen) => {
      kin.lookAll(onSeen);
    });
    this.#onSignal = onSignal;
  }

  /** SIGTERM now, as their service may be gone by now; SIGKILL after the grace. @param onDone nobody is left, or nobody whom we can end */
  end(graceMs: number, onDone: () => void): void {
    this.#deadlineMs = performance.now() + graceMs;
    this.#chase.look((there) => {
      if (there.length === 0) {
        onDone();
        return;
      }
      this.#onSignal(DEFAULT_STOP_SIGNAL, there.length);
      this.#chase.ask(there, DEFAULT_STOP_SIGNAL);
      this.#wait(() => {
        this.#kill(onDone);
      }, onDone);
    });
  }

  /** The grace is over. */
  hurry(): void {
    this.#deadlineMs = 0;
  }

  #wait(onLate: () => void, onDone: () => void): void {
    setTimeout(() => {
      this.#chase.look((there) => {
        if (there.length === 0) onDone();
        else if (performance.now() >= this.#deadlineMs) onLate();
        else this.#wait(onLate, onDone);
      });
    }, POLL_MS);
  }

  #kill(onDone: () => void): void {
    const cornered = (): void => {
      this.#chase.look((there) => {
        if (there.length > 0) this.#onSignal('SIGKILL', there.length);
        this.#chase.kill();
        this.#deadlineMs = performance.now() + GIVE_UP_MS;
        this.#wait(onDone, onDone);
      });
    };
    this.#chase.corner(() => undefined, cornered);
  }
}
