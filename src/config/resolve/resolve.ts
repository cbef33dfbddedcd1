/**
 * From a service's settings to the service: names become ids, words a program, paths absolute, durations milliseconds.
 * What is wrong is reported, and the rest looked at all the same.
 *
 * Of a disabled service only the text is checked: its program may not be installed, its user not created yet.
 */
import type { ListenAddress } from '../../service/address';
import { parseDuration } from '../../service/duration';
import { findPassed } from '../../service/listen-text';
import type { Run, Service, SessionLimits } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import { Problems } from '../report/problems';
import { resolveAdmission } from './admit';
import { type Shape, findUntold, reportConflicts, shapeOf } from './conflicts';
import { type EffectiveService, describeService } from './effective';
import { type WrittenEntry, readListen, whyNotBindable } from './listen';
import { resolveMessages } from './messages';
import { resolveExec } from './process';
import { reportCircular } from './redirect';
import { resolveSocket } from './socket-settings';

export interface Resolved {
  readonly service: Service;
  readonly effective: EffectiveService;
  /** Addresses that this machine does not let us bind. */
  readonly unbindable: Problems;
  /** For what is compared between services. */
  readonly entries: readonly WrittenEntry[];
  readonly layers: Layers;
  readonly isDatagramBuiltin: boolean;
}

/** @param meantKeys keys that others, unknown and reported, were meant to be */
export function resolveService(
  settings: ServiceSettings,
  written: Layers,
  meantKeys: ReadonlySet<string>,
  machine: Machine,
): Resolved {
  const layers = settings.enabled ? written : written.ignoringMachine();
  const entries = readListen(settings.listen, machine, layers);
  const shape = shapeOf(settings, entries, meantKeys, layers);
  reportConflicts(settings, entries, shape, isGuess(settings, entries, machine) ? layers.onMachine : layers);
  const listen = entries.flatMap(({ addresses }) => addresses);
  if (settings.redirect !== undefined) reportCircular(settings.redirect, listen, machine, layers);
  const socket = resolveSocket(settings, entries, machine, layers);
  const run = shape.run === 'tcpmux' ? TCPMUX : resolveExec(settings, shape, listen, machine, layers);
  const admission = resolveAdmission(settings, shape, machine, layers);
  const service = {
    ...plainSettings(settings),
    ...countSettings(settings, shape, listen),
    admission: admission.rules,
    messages: resolveMessages(settings, shape, layers),
    name: layers.name,
    listen,
    run,
    wait: shape.isWaiting,
    session:
      shape.isWaiting || shape.run === 'tcpmux'
        ? NO_SESSION
        : { ...sessionLimits(settings, findUntold(entries) === undefined), leftover: leftoverOf(settings, shape, run) },
    accounts: shape.run === 'tcpmux' ? ('basic' as const) : settings.accounts,
    socket: socket.options,
  };
  const effective = describeService(service, settings, {
    entries,
    shape,
    socket: socket.settings,
    admission: admission.effective,
    layers,
  });
  const isDatagramBuiltin = shape.run === 'builtin' && shape.isDatagram;
  const unbindable = settings.enabled ? findUnbindable(entries, settings, machine, layers) : new Problems();
  return { service, effective, entries, unbindable, layers, isDatagramBuiltin };
}

const TCPMUX = { kind: 'tcpmux' } as const;

/** What an address is that this machine cannot read, or a socket that was not passed to us, would decide about conflicts. */
function isGuess({ listen }: ServiceSettings, entries: readonly WrittenEntry[], machine: Machine): boolean {
  const passed = machine.passedSockets();
  const isUnknown = ({ entry }: WrittenEntry): boolean =>
    entry.kind === 'passed' && findPassed(entry.name, passed).length === 0;
  return entries.length < [listen ?? []].flat().length || entries.some(isUnknown);
}

/** Told and not decided upon: whether an address can be had is seen when it is bound, each by itself. */
function findUnbindable(
  entries: readonly WrittenEntry[],
  { socket }: ServiceSettings,
  machine: Machine,
  layers: Layers,
): Problems {
  const problems = new Problems();
  const mayBeAbsent = socket.freebind || socket.transparent;
  for (const { entry, path } of entries) {
    const problem = whyNotBindable(entry, mayBeAbsent, machine);
    if (problem !== null) layers.into(problems).report(path, problem);
  }
  return problems;
}

type PlainKeys = 'description' | 'enabled' | 'stopGraceMs' | 'tcpmux';

function plainSettings(settings: ServiceSettings): Pick<Service, PlainKeys> {
  const { tcpmux } = settings;
  return {
    description: settings.description ?? null,
    enabled: settings.enabled,
    stopGraceMs: parseDuration(settings.stop_grace) ?? 0,
    tcpmux: tcpmux === 'plus' ? 'plus' : tcpmux === true ? 'plain' : null,
  };
}

/** Whatever `defaults` may say of sessions, there are none. */
const NO_SESSION: SessionLimits = { timeoutMs: null, idleMs: null, disconnectMs: null, leftover: null };

function sessionLimits(settings: ServiceSettings, isTold: boolean): Omit<SessionLimits, 'leftover'> {
  const { session_timeout: timeout, idle_timeout: idle, on_disconnect: onDisconnect } = settings;
  return {
    timeoutMs: millisecondsOf(timeout),
    idleMs: isTold ? millisecondsOf(idle) : null,
    disconnectMs: isTold && onDisconnect === 'terminate' ? millisecondsOf(settings.disconnect_delay) : null,
  };
}

/** Programs of ours leave nobody, and a control group ends with its program, whatever `defaults` say. */
function leftoverOf({ leftover }: ServiceSettings, shape: Shape, run: Run): SessionLimits['leftover'] {
  const isGrouped = run.kind === 'exec' && run.process.cgroup !== null;
  return shape.run !== 'exec' || isGrouped ? null : (leftover ?? null);
}

function millisecondsOf(duration: string | undefined): number | null {
  return duration === undefined ? null : (parseDuration(duration) ?? null);
}

/** With `wait` each socket has at most one child, and nobody is refused: whatever `defaults` may say of connections. */
function countSettings(
  settings: ServiceSettings,
  { isWaiting }: Shape,
  listen: readonly ListenAddress[],
): Pick<Service, 'maxConnections' | 'whenFull'> {
  if (!isWaiting) return { maxConnections: settings.max_connections, whenFull: settings.when_full };
  const sockets = listen.reduce((count, address) => count + address.sockets.length, 0);
  return { maxConnections: Math.max(1, sockets), whenFull: 'wait' };
}
