/**
 * The effective configuration: what `print` shows. Defaults are filled in, paths and accounts resolved; to load it again
 * gives the same configuration.
 */
import { resolve } from 'node:path';
import { formatListen } from '../../service/listen-text';
import type { Sandbox } from '../../service/sandbox';
import type { Command, Identity, Process, Service } from '../../service/service';
import { DEFAULT_STOP_SIGNAL } from '../../service/stop-signal';
import { escapeTemplate, unescapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import { IDENTITY_KEYS, SETUP_KEYS } from '../keys/schema';
import type { BuiltinName, FrameSettings, ProcessSettings, ServiceSettings, SocketSettings } from '../keys/schema';
import type { EffectiveAdmission } from './admit';
import type { Shape } from './conflicts';
import type { WrittenEntry } from './listen';

/** Only the keys that mean something to the service. */
export interface EffectiveService extends EffectiveRun, EffectiveProcess, EffectiveAdmission {
  readonly description?: string;
  readonly enabled: boolean;
  readonly listen?: readonly string[];
  readonly before?: readonly (readonly string[])[];
  readonly before_timeout?: string;
  readonly wait: boolean;
  readonly tcpmux?: true | 'plus';
  readonly max_connections?: number;
  readonly when_full?: Service['whenFull'];
  readonly banner?: string;
  readonly refuse_message?: string;
  readonly session_timeout?: string;
  readonly idle_timeout?: string;
  readonly on_disconnect?: 'terminate';
  readonly disconnect_delay?: string;
  readonly leftover?: 'keep' | 'kill';
  readonly warm?: ServiceSettings['warm'];
  readonly accounts?: 'full';
  readonly socket?: Partial<SocketSettings>;
  readonly stop_grace: string;
}

interface EffectiveRun {
  readonly exec?: readonly string[];
  readonly argv0?: string;
  readonly builtin?: BuiltinName;
  readonly amplify?: boolean;
  readonly quotes?: string;
  readonly redirect?: string;
}

type EffectiveProcess = Partial<ProcessSettings>;

export interface EffectiveConfiguration {
  readonly limits: FrameSettings['limits'];
  readonly log: FrameSettings['log'];
  readonly services: Readonly<Record<string, EffectiveService>>;
}

/** What else was found out while the service was made. */
interface Findings {
  readonly entries: readonly WrittenEntry[];
  readonly shape: Shape;
  readonly socket: Partial<SocketSettings>;
  readonly admission: EffectiveAdmission;
  readonly layers: Layers;
}

export function describeService(service: Service, settings: ServiceSettings, findings: Findings): EffectiveService {
  const { entries, socket } = findings;
  return {
    ...(service.description === null ? {} : { description: service.description }),
    enabled: service.enabled,
    ...(entries.length === 0 ? {} : { listen: entries.map(({ entry }) => formatListen(entry)) }),
    ...describeRun(service, settings, findings),
    ...describeBefore(service, settings),
    ...(service.run.kind === 'exec' && service.run.warm !== null ? { warm: settings.warm } : {}),
    wait: service.wait,
    ...(service.tcpmux === null ? {} : { tcpmux: service.tcpmux === 'plus' ? 'plus' : true }),
    ...(service.run.kind === 'exec' ? describeProcess(service.run.process, settings, findings.layers) : {}),
    ...(service.wait ? {} : { max_connections: service.maxConnections, when_full: service.whenFull }),
    ...findings.admission,
    ...describeMessages(service),
    ...describeSession(service, settings),
    ...(service.accounts === 'full' ? { accounts: 'full' } : {}),
    ...(isEmpty(socket) ? {} : { socket }),
    stop_grace: settings.stop_grace,
  };
}

function describeMessages({ messages }: Service): Pick<EffectiveService, 'banner' | 'refuse_message'> {
  const { admitted, refused } = messages;
  return {
    ...(admitted === null ? {} : { banner: admitted }),
    ...(refused === null ? {} : { refuse_message: refused }),
  };
}

type EffectiveSession = Pick<
  EffectiveService,
  'session_timeout' | 'idle_timeout' | 'on_disconnect' | 'disconnect_delay' | 'leftover'
>;

function describeSession({ session }: Service, settings: ServiceSettings): EffectiveSession {
  const { session_timeout: timeout, idle_timeout: idle, disconnect_delay: delay } = settings;
  return {
    ...(session.timeoutMs === null || timeout === undefined ? {} : { session_timeout: timeout }),
    ...(session.idleMs === null || idle === undefined ? {} : { idle_timeout: idle }),
    ...(session.disconnectMs === null ? {} : { on_disconnect: 'terminate', disconnect_delay: delay }),
    ...(session.leftover === null ? {} : { leftover: session.leftover }),
  };
}

function describeRun({ run }: Service, settings: ServiceSettings, { shape, layers }: Findings): EffectiveRun {
  if (run.kind === 'tcpmux') return { builtin: 'tcpmux' };
  if (shape.run === 'redirect') return describeRedirect(run.command);
  return shape.run === 'builtin' ? describeBuiltin(settings, shape, layers) : describeCommand(run.command);
}

function describeBefore(
  { run }: Service,
  settings: ServiceSettings,
): Pick<EffectiveService, 'before' | 'before_timeout'> {
  if (run.kind !== 'exec' || run.before === null) return {};
  return { before: run.before.commands.map(({ argv }) => argv), before_timeout: settings.before_timeout };
}

function describeCommand({ path, argv: [argv0 = path, ...words] }: Command): EffectiveRun {
  return { exec: [escapeTemplate(path), ...words], argv0: unescapeTemplate(argv0) };
}

/** Its only word is the target in full. */
function describeRedirect({ argv: [, target = ''] }: Command): EffectiveRun {
  return { redirect: unescapeTemplate(target) };
}

function describeBuiltin({ builtin, amplify, quotes }: ServiceSettings, shape: Shape, layers: Layers): EffectiveRun {
  return {
    ...(builtin === undefined ? {} : { builtin }),
    ...(shape.isDatagram ? { amplify: amplify ?? false } : {}),
    ...(quotes === undefined ? {} : { quotes: resolve(layers.folderOf(['quotes']), quotes) }),
  };
}

/** Keys are as they were written, with defaults filled in, unless they were resolved to something else. */
function describeProcess(
  { identity, root, directory, umask, rights, sandbox, credentials, stderr, stopSignal }: Process,
  settings: ServiceSettings,
  layers: Layers,
): EffectiveProcess {
  const others = SETUP_KEYS.filter((key) => !['stderr', 'stop_signal', 'credentials'].includes(key));
  return {
    ...(identity === null ? written(IDENTITY_KEYS, settings) : describeIdentity(identity)),
    ...written(others, {
      ...settings,
      ...resolvedKeys(sandbox, settings),
      chroot: root ?? undefined,
      directory,
      umask: `0${umask.toString(8).padStart(3, '0')}`,
      no_new_privileges: rights.noNewPrivileges,
    }),
    ...(credentials === null ? {} : { credentials: fullPaths(settings.credentials, layers) }),
    ...(stopSignal === DEFAULT_STOP_SIGNAL ? {} : { stop_signal: stopSignal }),
    ...(stderr === 'report' ? {} : { stderr: typeof stderr === 'object' ? stderr.file : stderr }),
  };
}

function fullPaths(credentials: ServiceSettings['credentials'], layers: Layers): ServiceSettings['credentials'] {
  const entries = Object.entries(credentials);
  return Object.fromEntries(
    entries.map(([name, path]) => [name, resolve(layers.folderOf(['credentials', name]), path)]),
  );
}

/** What a name hides, too: another machine may have other folders. */
function resolvedKeys({ hidden, files }: Sandbox, settings: ServiceSettings): Partial<ProcessSettings> {
  const rules = files === null ? {} : { read_only: [...files.readOnly], read_write: [...files.readWrite] };
  return { ...(hidden.length > 0 || settings.hidden !== undefined ? { hidden: [...hidden] } : {}), ...rules };
}

/** Ids and not names for the groups: several names may share an id. */
function describeIdentity({ user, gid, groups }: Identity): EffectiveProcess {
  return { user, group: gid, groups: [...groups] };
}

function written(keys: readonly (keyof ProcessSettings)[], settings: ServiceSettings): EffectiveProcess {
  const entries = keys.map((key) => [key, settings[key]] as const);
  return Object.fromEntries(entries.filter(([key, value]) => value !== undefined && (isMeant(key) || !isEmpty(value))));
}

function isMeant(key: string): boolean {
  return ['groups', 'capabilities', 'hidden', 'read_only', 'read_write'].includes(key);
}

/** A map or a list with nothing in it says what its absence says; but not those above. */
function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
