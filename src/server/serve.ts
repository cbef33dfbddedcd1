/**
 * A server from its start to its end: opens, answers signals, drains.
 */
import type { PassedSockets } from '../listener/passed';
import type { LogEvent } from '../log/events';
import { Log } from '../log/log';
import { formatChooser } from '../log/choose';
import { openOutput } from '../log/output';
import { screenOfStderr } from '../log/screen';
import type { PassedSocket } from '../service/listen-text';
import type { Configuration } from '../service/service';
import { Control } from './control';
import { Reloader } from './reload';
import { describeFailure } from './roster/open-listeners';
import { Server } from './server';
import type { Signals } from './signals';
import { startThreads } from './threads';

export interface ServeOptions {
  readonly configuration: Configuration;
  /** Read again at HUP: an absolute path; null: there is no file. */
  readonly file: string | null;
  readonly signals: Signals;
  /** Sockets that stdiod was started with. */
  readonly passed: PassedSockets;
  /** JSON lines, whatever the configuration says. */
  readonly json: boolean;
}

export type Served =
  | { readonly isOpen: false; readonly failures: readonly string[] }
  /** Whether every child was collected before the end. */
  | { readonly isOpen: true; readonly isClean: boolean };

export async function serve({ configuration, file, signals, passed, json }: ServeOptions): Promise<Served> {
  const chooseFormat = formatChooser(screenOfStderr(), json);
  const log = new Log(openOutput(), chooseFormat(configuration.log.format));
  const emit = (event: LogEvent): void => {
    log.emit(event);
  };
  await startThreads();
  const server = new Server(emit, configuration.limits.maxConnections, passed);
  const failures = server.apply(configuration);
  if (failures.length > 0) return { isOpen: false, failures: failures.map(describeFailure) };
  leaveFolder();
  for (const socket of unusedSockets(configuration, passed.list)) log.emit({ event: 'unused', socket });
  const reloader = file === null ? null : new Reloader({ file, passed: passed.list }, server, log, chooseFormat);
  const isClean = await new Promise<boolean>((resolve) => {
    const control = new Control(server, reloader, signals.terminal, emit, resolve);
    signals.listen((signal) => {
      control.onSignal(signal);
    });
  });
  log.flush();
  return { isOpen: true, isClean };
}

/** Every path is absolute by now; the folder may be renamed, removed or unmounted, and Node starts no thread from one that is gone. */
function leaveFolder(): void {
  process.chdir('/');
}

/** What somebody went to the trouble of passing is probably meant to be used. */
function unusedSockets({ services }: Configuration, passed: readonly PassedSocket[]): string[] {
  const addresses = services.filter(({ enabled }) => enabled).flatMap(({ listen }) => listen);
  const sockets = addresses.flatMap((address) => address.sockets);
  const used = new Set(sockets.flatMap((socket) => (socket.family === 'passed' ? [socket.name] : [])));
  const isUnused = ({ name, number }: PassedSocket): boolean => !used.has(name) && !used.has(String(number));
  return passed.filter(isUnused).map(({ name, number }) => `fd:${number} (${name})`);
}
