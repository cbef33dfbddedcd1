/**
 * What an operator asks of a running server, by signals.
 */
import type { Emit } from '../log/events';
import type { OwnTerminal } from './own-terminal';
import type { Reloader } from './reload';
import type { Retrier } from './retry';
import type { Server } from './server';
import type { OperatorSignal } from './signals';

export class Control {
  readonly #server: Pick<Server, 'logStatus' | 'stop' | 'stopAtOnce'>;
  readonly #reloader: Pick<Reloader, 'request' | 'stop'> | null;
  readonly #terminal: Pick<OwnTerminal, 'isGone'>;
  readonly #retrier: Pick<Retrier, 'stop'>;
  readonly #emit: Emit;
  readonly #onStopped: (isClean: boolean) => void;
  #isStopping = false;

  /** @param reloader null: there is no file */
  constructor(
    server: Pick<Server, 'logStatus' | 'stop' | 'stopAtOnce'>,
    reloader: Pick<Reloader, 'request' | 'stop'> | null,
    terminal: Pick<OwnTerminal, 'isGone'>,
    retrier: Pick<Retrier, 'stop'>,
    emit: Emit,
    onStopped: (isClean: boolean) => void,
  ) {
    this.#server = server;
    this.#reloader = reloader;
    this.#terminal = terminal;
    this.#retrier = retrier;
    this.#emit = emit;
    this.#onStopped = onStopped;
  }

  onSignal(signal: OperatorSignal): void {
    switch (signal) {
      case 'SIGHUP':
        this.#onHangup(signal);
        return;
      case 'SIGUSR1':
        this.#server.logStatus();
        return;
      case 'SIGUSR2':
        this.#emit({ event: 'ignored', signal });
        return;
      case 'SIGTERM':
      case 'SIGINT':
        this.#stop(signal);
        return;
      case 'SIGQUIT':
        this.#stop(signal);
        this.#server.stopAtOnce();
    }
  }

  /** A terminal that is gone takes with it what was started on it: nobody is left who would find an open port. */
  #onHangup(signal: OperatorSignal): void {
    if (this.#terminal.isGone) this.#stop(signal);
    else if (this.#reloader === null) this.#emit({ event: 'ignored', signal });
    else this.#reloader.request();
  }

  /** A second INT is an operator who does not want to wait; a second TERM is a supervisor who repeats itself. */
  #stop(signal: OperatorSignal): void {
    if (this.#isStopping) {
      if (signal === 'SIGINT') this.#server.stopAtOnce();
      return;
    }
    this.#isStopping = true;
    this.#reloader?.stop();
    this.#retrier.stop();
    void this.#server.stop(signal).then(this.#onStopped);
  }
}
