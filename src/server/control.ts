/**
 * What an operator asks of a running server, by signals.
 */
import type { Emit } from '../log/events';
import type { Reloader } from './reload';
import type { Server } from './server';
import type { OperatorSignal } from './signals';

export class Control {
  readonly #server: Pick<Server, 'logStatus' | 'stop' | 'stopAtOnce'>;
  readonly #reloader: Pick<Reloader, 'request' | 'stop'> | null;
  readonly #emit: Emit;
  readonly #onStopped: (isClean: boolean) => void;
  #isStopping = false;

  /** @param reloader null: there is no file */
  constructor(
    server: Pick<Server, 'logStatus' | 'stop' | 'stopAtOnce'>,
    reloader: Pick<Reloader, 'request' | 'stop'> | null,
    emit: Emit,
    onStopped: (isClean: boolean) => void,
  ) {
    this.#server = server;
    this.#reloader = reloader;
    this.#emit = emit;
    this.#onStopped = onStopped;
  }

  onSignal(signal: OperatorSignal): void {
    switch (signal) {
      case 'SIGHUP':
        if (this.#reloader === null) this.#emit({ event: 'ignored', signal });
        else this.#reloader.request();
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
    }
  }

  /** A second INT is an operator who does not want to wait; a second TERM is a supervisor who repeats itself. */
  #stop(signal: OperatorSignal): void {
    if (this.#isStopping) {
      if (signal === 'SIGINT') this.#server.stopAtOnce();
      return;
    }
    this.#isStopping = true;
    this.#reloader?.stop();
    void this.#server.stop(signal).then(this.#onStopped);
  }
}
