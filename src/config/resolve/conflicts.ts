/**
 * Which keys of a service contradict each other, and which of those that it needs are missing.
 *
 * Each conflict is shown with both places. A key that only `defaults` has is not meant for every service: it is silently not
 * used by those that have no use for it.
 */
import type { SocketAddress } from '../../service/address';
import type { Layers } from '../keys/layers';
import {
  BEFORE_KEYS,
  BUILTIN_KEYS,
  PEER_RATE_KEYS,
  PER_CONNECTION_KEYS,
  PROCESS_KEYS,
  RUN_KEYS,
  SESSION_KEYS,
  type ServiceSettings,
} from '../keys/schema';
import type { Path } from '../report/path';
import type { WrittenEntry } from './listen';

/** What a service is, as far as its keys decide. */
export interface Shape {
  /** undefined: none or several are written, which is reported. */
  readonly run: 'exec' | 'builtin' | 'tcpmux' | 'redirect' | undefined;
  readonly isDatagram: boolean;
  readonly isWaiting: boolean;
  /** The key or entry that makes it wait, for messages. */
  readonly waitPath: Path;
  /** Keys that are there under a name that we do not know. */
  readonly meantKeys: ReadonlySet<string>;
}

export function shapeOf(
  settings: ServiceSettings,
  entries: readonly WrittenEntry[],
  meantKeys: ReadonlySet<string>,
  layers: Layers,
): Shape {
  const datagram = findEntry(entries, isDatagram);
  const isDatagramService = datagram !== undefined;
  return {
    run: runOf(settings, layers),
    isDatagram: isDatagramService,
    isWaiting: isDatagramService || settings.wait === true,
    waitPath: settings.wait === true ? ['wait'] : (datagram?.path ?? ['wait']),
    meantKeys,
  };
}

export function reportConflicts(
  settings: ServiceSettings,
  entries: readonly WrittenEntry[],
  shape: Shape,
  layers: Layers,
): void {
  reportRun(shape, layers);
  reportMissingListen(settings, shape, layers);
  reportWait(settings, entries, shape, layers);
  if (settings.tcpmux !== undefined && settings.tcpmux !== false) reportTcpmuxService(settings, entries, layers);
  if (shape.run === 'tcpmux') reportTcpmuxBuiltin(settings, entries, layers);
  if (shape.run === 'builtin') reportBuiltin(settings, entries, shape, layers);
  if (shape.run === 'exec') exclude(layers, BUILTIN_KEYS, ['exec'], 'only a built-in has it');
  if (shape.run === 'redirect') reportRedirect(settings, entries, layers);
  if (!shape.isWaiting && shape.run !== 'tcpmux') reportUntold(entries, layers);
  if (settings.leftover === 'keep' && isGrouped(settings)) {
    exclude(layers, ['leftover'], ['cgroup'], 'whoever is left in a control group ends with its program');
  }
}

/** Whether it asks for a control group. */
function isGrouped({ cgroup: { per_connection: each = {}, ...whole } }: ServiceSettings): boolean {
  return [whole, each].some((limits) => Object.values(limits).some((limit) => limit !== undefined));
}

function runOf(settings: ServiceSettings, layers: Layers): Shape['run'] {
  const [key, ...others] = RUN_KEYS.filter((each) => layers.isOwn([each]));
  if (key === undefined || others.length > 0) return undefined;
  return settings.builtin === 'tcpmux' ? 'tcpmux' : key;
}

function reportRun({ meantKeys }: Shape, layers: Layers): void {
  const [first, ...others] = RUN_KEYS.filter((each) => layers.isOwn([each]));
  if (first === undefined) {
    if (RUN_KEYS.some((key) => meantKeys.has(key))) return;
    const remedy = 'add a line such as "exec: tr a-z A-Z"';
    layers.reportKey([], { message: '"exec", "builtin" or "redirect" is missing', remedy }, []);
    return;
  }
  for (const other of others) {
    const message = `"${other}" and "${first}" (${layers.where([first])}) exclude each other`;
    layers.reportKey([other], { message, remedy: 'remove one of them' }, [other]);
  }
}

function reportMissingListen({ tcpmux }: ServiceSettings, { meantKeys }: Shape, layers: Layers): void {
  const isOffered = layers.isOwn(['tcpmux']) && tcpmux !== false;
  if (isOffered || layers.isOwn(['listen']) || meantKeys.has('listen')) return;
  layers.reportKey([], { message: '"listen" is missing', remedy: 'add a line such as "listen: 7007"' }, []);
}

function reportWait(
  { wait }: ServiceSettings,
  entries: readonly WrittenEntry[],
  { run, isWaiting, isDatagram: hasDatagrams, waitPath }: Shape,
  layers: Layers,
): void {
  if (hasDatagrams && wait === false) {
    const message = `a datagram (${layers.where(waitPath)}) has no connection to hand over`;
    layers.report(['wait'], { message, remedy: 'leave out "wait", or set it to true' });
  }
  if (hasDatagrams && wait === undefined) reportMixture(entries, run, layers);
  if (isWaiting && run !== 'redirect') {
    const keys = run === 'builtin' && hasDatagrams ? PER_CONNECTION_KEYS : [...PER_CONNECTION_KEYS, ...PEER_RATE_KEYS];
    exclude(layers, keys, waitPath, 'one child has the socket, and takes from it what it wants');
    exclude(layers, ['warm'], waitPath, 'its program is started for the socket, and stays');
  }
}

/** Only a program of the operator's can accept by itself. */
function reportMixture(entries: readonly WrittenEntry[], run: Shape['run'], layers: Layers): void {
  const datagram = findEntry(entries, isDatagram);
  const other = findEntry(entries, (socket) => !isDatagram(socket));
  if (datagram === undefined || other === undefined) return;
  const message = `a service cannot take both datagrams and connections (${layers.where(other.path)})`;
  const orWait = run === 'exec' ? ', or add "wait: true" if the program accepts connections itself' : '';
  const remedy = `make two services${orWait}`;
  layers.report(datagram.path, { message, remedy });
}

function reportTcpmuxService(
  { tcpmux, wait }: ServiceSettings,
  entries: readonly WrittenEntry[],
  layers: Layers,
): void {
  for (const key of ['builtin', 'redirect'] as const) {
    if (layers.isOwn([key])) exclude(layers, ['tcpmux'], [key], 'only a program can be offered by name');
  }
  if (wait === true) exclude(layers, ['tcpmux'], ['wait'], 'a client that came by name is a connection');
  if (tcpmux === 'plus') exclude(layers, ['before'], ['tcpmux'], 'its reply says that the client is served');
  refuseEntries(entries, (socket) => socket.type !== 'stream', 'tcpmux', 'streams', layers);
  if (layers.name.toLowerCase() !== 'help') return;
  const message = 'a service that is offered by name cannot be called "help": to tcpmux that asks for the list';
  layers.reportKey(['tcpmux'], { message, remedy: 'rename the service' }, ['tcpmux']);
}

function reportTcpmuxBuiltin({ wait }: ServiceSettings, entries: readonly WrittenEntry[], layers: Layers): void {
  exclude(
    layers,
    [...PROCESS_KEYS, ...BEFORE_KEYS, ...SESSION_KEYS, 'accounts', 'banner', 'first_byte_timeout'],
    ['builtin'],
    'tcpmux starts no process of its own',
  );
  exclude(layers, BUILTIN_KEYS, ['builtin'], 'tcpmux answers nothing but names');
  exclude(layers, ['warm'], ['builtin'], 'tcpmux starts no process of its own');
  if (wait === true) exclude(layers, ['wait'], ['builtin'], 'tcpmux accepts each connection itself');
  refuseEntries(entries, (socket) => socket.type !== 'stream', 'builtin', 'streams', layers);
}

function reportBuiltin(
  { builtin, wait }: ServiceSettings,
  entries: readonly WrittenEntry[],
  shape: Shape,
  layers: Layers,
): void {
  exclude(layers, ['argv0'], ['builtin'], 'a built-in has its own name');
  exclude(layers, ['chroot'], ['builtin'], 'its program is outside');
  exclude(layers, ['stop_signal'], ['builtin'], 'a built-in knows how to leave');
  exclude(layers, ['credentials'], ['builtin'], 'a built-in needs no secrets');
  exclude(layers, ['leftover'], ['builtin'], 'a built-in starts nobody');
  exclude(layers, ['warm'], ['builtin'], 'a built-in starts as fast as it could be woken');
  if (!shape.isDatagram) {
    exclude(layers, ['amplify'], ['builtin'], 'over a stream an answer may have any length');
    if (wait === true) exclude(layers, ['wait'], ['builtin'], 'over a stream it serves one connection');
  } else if (wait === true) {
    refuseEntries(entries, (socket) => !isDatagram(socket), 'builtin', 'either datagrams or connections', layers);
  }
  if (builtin === 'qotd') reportMissingQuotes(layers);
  else if (builtin !== undefined) exclude(layers, ['quotes'], ['builtin'], `${builtin} has no quotes`);
}

function reportMissingQuotes(layers: Layers): void {
  if (layers.isOwn(['quotes'])) return;
  const remedy = 'add a line such as "quotes: /usr/share/games/fortunes/fortunes"';
  layers.reportKey(['builtin'], { message: '"quotes" is missing', remedy }, []);
}

function reportRedirect(
  { wait, private_network }: ServiceSettings,
  entries: readonly WrittenEntry[],
  layers: Layers,
): void {
  exclude(layers, ['argv0', 'stop_signal', 'credentials'], ['redirect'], 'what runs is a program of ours');
  exclude(layers, ['chroot'], ['redirect'], 'its program is outside');
  exclude(layers, ['stderr'], ['redirect'], 'what it has to say goes to the log');
  exclude(layers, ['leftover'], ['redirect'], 'it starts nobody');
  exclude(layers, ['warm'], ['redirect'], 'it starts as fast as it could be woken');
  if (private_network === true) exclude(layers, ['private_network'], ['redirect'], 'it connects to elsewhere');
  exclude(layers, BUILTIN_KEYS, ['redirect'], 'only a built-in has it');
  if (wait === true) exclude(layers, ['wait'], ['redirect'], 'each connection is forwarded by itself');
  refuseEntries(entries, (socket) => socket.type !== 'stream', 'redirect', 'streams', layers);
}

/** An address of whose connections the kernel does not tell when they were used. */
export function findUntold(entries: readonly WrittenEntry[]): WrittenEntry | undefined {
  return findEntry(entries, ({ family }) => family === 'unix' || family === 'vsock');
}

function reportUntold(entries: readonly WrittenEntry[], layers: Layers): void {
  const other = findUntold(entries);
  if (other === undefined) return;
  for (const key of ['idle_timeout', 'on_disconnect']) {
    if (!layers.isOwn([key])) continue;
    const message = `"${key}" is for TCP: of this address (${layers.where(other.path)}) the kernel does not tell it`;
    const remedy = 'use "session_timeout", or make two services';
    layers.reportKey([key], { message, remedy }, [key]);
  }
}

/** Reports those of the keys that the service itself says. */
function exclude(layers: Layers, keys: readonly string[], against: Path, because: string): void {
  const other = `"${String(against[0])}" (${layers.where(against)})`;
  for (const key of keys) {
    if (!layers.isOwn([key])) continue;
    const message = `"${key}" has no meaning with ${other}: ${because}`;
    layers.reportKey([key], { message, remedy: `remove "${key}"` }, [key]);
  }
}

function refuseEntries(
  entries: readonly WrittenEntry[],
  isRefused: (socket: SocketAddress) => boolean,
  key: string,
  wanted: string,
  layers: Layers,
): void {
  for (const { samples, path } of entries) {
    if (!samples.some(isRefused)) continue;
    const message = `"${key}" (${layers.where([key])}) takes ${wanted} only`;
    layers.report(path, { message, remedy: `give it another address, or replace "${key}"` });
  }
}

function findEntry(
  entries: readonly WrittenEntry[],
  test: (socket: SocketAddress) => boolean,
): WrittenEntry | undefined {
  return entries.find(({ samples }) => samples.some(test));
}

function isDatagram({ type }: SocketAddress): boolean {
  return type === 'datagram';
}
