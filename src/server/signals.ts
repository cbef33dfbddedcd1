/**
 * The signals that an operator sends. Caught from the first moment: one that comes while the configuration is still being
 * read waits until somebody listens. USR1 must be caught in any case, because Node would open its debugger on it.
 */
import { OwnTerminal } from './own-terminal';

const CAUGHT = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
export type OperatorSignal = (typeof CAUGHT)[number];

export class Signals {
  #early: OperatorSignal[] = [];
  #listener: ((signal: OperatorSignal) => void) | null = null;
  /** As it was at the first moment. */
  readonly terminal = OwnTerminal.ofProcess();

  /** From now on none of them ends the process. */
  catch(): void {
    for (const signal of CAUGHT) {
      process.on(signal, () => {
        this.#onSignal(signal);
      });
    }
  }

  listen(listener: (signal: OperatorSignal) => void): void {
    this.#listener = listener;
    for (const signal of this.#early.splice(0)) listener(signal);
  }

  #onSignal(signal: OperatorSignal): void {
    if (this.#listener === null) this.#early.push(signal);
    else this.#listener(signal);
  }
}
