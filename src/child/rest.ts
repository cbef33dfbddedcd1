/**
 * Who is left when no child is: processes that their programs have left behind. Nothing of a session outlives stdiod, as far as it is for us
 * to end.
 */
import type { ProcessFacts } from './census';
import { Chase } from './chase';
import type { Kin } from './families';
import { DEFAULT_STOP_SIGNAL } from '../service/stop-signal';

const POLL_MS = 20;
/** After SIGKILL: who sleeps where no signal reaches must not keep us. Nor who keeps us from seeing who is there. */
const GIVE_UP_MS = 2000;

export class Rest {
  readonly #chase: Chase;
  readonly #onSignal: (signal: NodeJS.Signals, count: number) => void;
  #deadlineMs = 0;
  #onDone: () => void = () => undefined;

  /** @param onSignal hears how many were signalled */
  constructor(kin: Pick<Kin<never>, 'lookAll' | 'signal'>, onSignal: (signal: NodeJS.Signals, count: number) => void) {
    this.#chase = new Chase(kin, (onSeen) => {
      kin.lookAll(onSeen);
    });
    this.#onSignal = onSignal;
  }

  /** SIGTERM now, as their service may be gone by now; SIGKILL after the grace. @param onDone nobody is left, or nobody whom we can end */
  end(graceMs: number, onDone: () => void): void {
    this.#onDone = onDone;
    this.#deadlineMs = performance.now() + graceMs;
    this.#look((there) => {
      if (there.length === 0) {
        this.#finish();
        return;
      }
      this.#onSignal(DEFAULT_STOP_SIGNAL, there.length);
      this.#chase.ask(there, DEFAULT_STOP_SIGNAL);
      this.#wait(() => {
        this.#kill();
      });
    });
  }

  /** The grace is over. */
  hurry(): void {
    this.#deadlineMs = 0;
  }

  #wait(onLate: () => void): void {
    setTimeout(() => {
      this.#look((there) => {
        if (there.length === 0) this.#finish();
        else if (performance.now() >= this.#deadlineMs) onLate();
        else this.#wait(onLate);
      });
    }, POLL_MS);
  }

  #kill(): void {
    const giveUp = this.#giveUpLater();
    this.#chase.corner(
      () => undefined,
      () => {
        clearTimeout(giveUp);
        this.#killAll();
      },
    );
  }

  #killAll(): void {
    this.#look((there) => {
      if (there.length > 0) this.#onSignal('SIGKILL', there.length);
      this.#chase.kill();
      this.#deadlineMs = performance.now() + GIVE_UP_MS;
      this.#wait(() => {
        this.#finish();
      });
    });
  }

  #look(onSeen: (there: readonly ProcessFacts[]) => void): void {
    const giveUp = this.#giveUpLater();
    this.#chase.look((there) => {
      clearTimeout(giveUp);
      onSeen(there);
    });
  }

  #giveUpLater(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#finish();
    }, GIVE_UP_MS);
  }

  #finish(): void {
    const onDone = this.#onDone;
    this.#onDone = () => undefined;
    onDone();
  }
}
