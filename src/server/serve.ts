/**
 * A server from its start to its end: opens, answers signals, drains.
 */
import type { SourceText } from '../config/load';
import type { Diagnostic } from '../config/report/diagnostic';
import type { PassedSockets } from '../listener/passed';
import type { LogEvent } from '../log/events';
import { Log } from '../log/log';
import { formatChooser, type ChooseFormat } from '../log/choose';
import { openOutput } from '../log/output';
import { screenOfStderr } from '../log/screen';
import { addon } from '../native/addon';
import { asSystemError, describeSystemError } from '../native/system-error';
import type { PassedSocket } from '../service/listen-text';
import type { Configuration } from '../service/service';
import { Control } from './control';
import { Reloader } from './reload';
import { Retrier } from './retry';
import type { ListenFailure } from './roster/open-listeners';
import type { Need } from './roster/roster';
import { Server } from './server';
import type { Signals } from './signals';
import { startThreads } from './threads';
import { MOST_TOLD, toldOf } from './told';

export interface ServeOptions {
  readonly configuration: Configuration;
  /** What was read for it. */
  readonly texts: readonly SourceText[];
  /** What is odd about it. */
  readonly warnings: readonly Diagnostic[];
  /** Read again at HUP: an absolute path; null: there is no file. */
  readonly file: string | null;
  readonly signals: Signals;
  /** Sockets that stdiod was started with. */
  readonly passed: PassedSockets;
  /** JSON lines, whatever the configuration says. */
  readonly json: boolean;
  /** all: every address, or nothing is started. any: what can be served is. */
  readonly need: Need;
  /** Of stdiod. */
  readonly version: string;
}

export interface Refused {
  readonly isOpen: false;
  readonly failures: readonly ListenFailure[];
  /** What the system does not let us have, whatever the service. */
  readonly refusal: string | null;
}

export type Served =
  | Refused
  /** Whether every child was collected before the end. */
  | { readonly isOpen: true; readonly isClean: boolean };

export async function serve(options: ServeOptions): Promise<Served> {
  const { configuration, passed, json } = options;
  const chooseFormat = formatChooser(screenOfStderr(), json);
  const log = new Log(openOutput(), chooseFormat(configuration.log.format));
  const server = await startServer(log, options);
  if ('isOpen' in server) return server;
  leaveFolder();
  for (const socket of unusedSockets(configuration, passed.list)) log.emit({ event: 'unused', socket });
  for (const warning of options.warnings.slice(0, MOST_TOLD)) log.emit(toldOf('warning', warning));
  server.logServing(configuration, options.version, options.file);
  const isClean = await untilStopped(server, log, chooseFormat, options);
  await log.close();
  return { isOpen: true, isClean };
}

function untilStopped(
  server: Server,
  log: Log,
  chooseFormat: ChooseFormat,
  { file, passed, texts, signals }: ServeOptions,
): Promise<boolean> {
  const emit = (event: LogEvent): void => {
    log.emit(event);
  };
  const order = { file: file ?? '', passed: passed.list };
  const retrier = new Retrier(order, server, emit);
  const reloader = file === null ? null : new Reloader(order, server, retrier, log, chooseFormat);
  retrier.begin(texts);
  return new Promise<boolean>((resolve) => {
    const control = new Control(server, reloader, signals.terminal, retrier, emit, resolve);
    signals.listen((signal) => {
      control.onSignal(signal);
    });
  });
}

/** Or why there is none. */
async function startServer(log: Log, { configuration, passed, need }: ServeOptions): Promise<Server | Refused> {
  const emit = (event: LogEvent): void => {
    log.emit(event);
  };
  try {
    await startThreads();
    addon.dropInheritable();
    const hasRoom = (isLast: boolean): boolean => log.hasRoomForWords(isLast);
    const server = new Server(emit, hasRoom, configuration.limits.maxConnections, passed);
    const failures = server.start(configuration, need);
    return failures === null ? server : { isOpen: false, failures, refusal: null };
  } catch (error) {
    const failed = asSystemError(error);
    return { isOpen: false, failures: [], refusal: `${failed.syscall}: ${describeSystemError(failed)}` };
  }
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
