/**
 * A server from its start to its end: opens, answers signals, drains. Called by the verbs `run` and `try`.
 */
import { isatty } from 'node:tty';
import { Log } from '../log/log';
import { chooseFormat, formatJson } from '../log/format';
import { openOutput } from '../log/output';
import type { PassedSocket } from '../service/listen-text';
import type { Configuration } from '../service/service';
import { describeFailure } from './open-listeners';
import { Reloader } from './reload';
import { Server } from './server';
import type { OperatorSignal, Signals } from './signals';

const STDERR = 2;

export interface ServeOptions {
  readonly configuration: Configuration;
  /** Read again at HUP; null: there is no file. */
  readonly file: string | null;
  readonly signals: Signals;
  /** Sockets that stdiod was started with. */
  readonly passed: readonly PassedSocket[];
  /** JSON lines, whatever the configuration says. */
  readonly json: boolean;
}

export type Served =
  | { readonly isOpen: false; readonly failures: readonly string[] }
  /** Whether every child was collected before the end. */
  | { readonly isOpen: true; readonly isClean: boolean };

export async function serve({ configuration, file, signals, passed, json }: ServeOptions): Promise<Served> {
  const format = json ? formatJson : chooseFormat(configuration.log.format, isatty(STDERR));
  const log = new Log(openOutput(), format);
  const server = new Server(log, configuration.limits.maxConnections);
  const failures = server.apply(configuration);
  if (failures.length > 0) return { isOpen: false, failures: failures.map(describeFailure) };
  for (const socket of unusedSockets(configuration, passed)) log.emit({ event: 'unused', socket });
  const reloader = file === null ? null : new Reloader({ file, passed }, server, log, json);
  const isClean = await new Promise<boolean>((resolve) => {
    const control = new Control(server, reloader, log, resolve);
    signals.listen((signal) => {
      control.onSignal(signal);
    });
  });
  log.flush();
  return { isOpen: true, isClean };
}

/** What somebody went to the trouble of passing is probably meant to be used. */
function unusedSockets({ services }: Configuration, passed: readonly PassedSocket[]): string[] {
  const addresses = services.filter(({ enabled }) => enabled).flatMap(({ listen }) => listen);
  const sockets = addresses.flatMap((address) => address.sockets);
  const used = new Set(sockets.flatMap((socket) => (socket.family === 'passed' ? [socket.name] : [])));
  const isUnused = ({ name, number }: PassedSocket): boolean => !used.has(name) && !used.has(String(number));
  return passed.filter(isUnused).map(({ name, number }) => `fd:${number} (${name})`);
}

class Control {
  readonly #server: Server;
  readonly #reloader: Reloader | null;
  readonly #log: Log;
  readonly #onStopped: (isClean: boolean) => void;
  #isStopping = false;

  constructor(server: Server, reloader: Reloader | null, log: Log, onStopped: (isClean: boolean) => void) {
    this.#server = server;
    this.#reloader = reloader;
    this.#log = log;
    this.#onStopped = onStopped;
  }

  onSignal(signal: OperatorSignal): void {
    switch (signal) {
      case 'SIGHUP':
        if (this.#reloader === null) this.#log.emit({ event: 'ignored', signal });
        else this.#reloader.request();
        return;
      case 'SIGUSR1':
        this.#server.logStatus();
        return;
      case 'SIGUSR2':
        this.#log.emit({ event: 'ignored', signal });
        return;
      case 'SIGTERM':
      case 'SIGINT':
        this.#stop(signal);
    }
  }

  /** A second INT is an operator who does not want to wait; a second TERM is a supervisor who repeats itself. */
  #stop(signal: OperatorSignal): void {
    if (this.#isStopping) {
      if (signal === 'SIGINT') this.#server.stopAtOnce('SIGKILL');
      return;
    }
    this.#isStopping = true;
    this.#reloader?.stop();
    void this.#server.stop(signal).then(this.#onStopped);
  }
}
