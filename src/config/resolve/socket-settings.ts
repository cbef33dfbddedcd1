/**
 * From `socket` to the options of a service's sockets: names become ids and kernel options, and what none of the service's
 * sockets can have is refused, or, when it comes from `defaults`, left out. Called by `resolve`.
 */
import type { SocketAddress } from '../../service/address';
import { parseDuration } from '../../service/duration';
import { formatListen } from '../../service/listen-text';
import { type OptionScope, isInScope } from '../../service/socket-options';
import type { SocketOptions } from '../../service/service';
import { parseSize } from '../../service/size';
import type { Layers } from '../keys/layers';
import type { ServiceSettings, SocketSettings } from '../keys/schema';
import type { Capability, Machine } from '../machine/machine';
import type { Problem } from '../report/problems';
import { findAccount, findGid, unknownAccount, unknownGroup } from './identity';
import type { WrittenEntry } from './listen';

export interface ResolvedSocket {
  readonly options: SocketOptions;
  /** As they can be written, without those that none of the service's sockets can have. */
  readonly settings: Partial<SocketSettings>;
}

type SocketKey = keyof SocketSettings;

const SCOPES: Readonly<Record<SocketKey, OptionScope>> = {
  backlog: 'connection',
  nodelay: 'tcp',
  keepalive: 'tcp',
  user_timeout: 'tcp',
  defer_accept: 'tcp',
  fastopen: 'tcp',
  device: 'internet',
  freebind: 'internet',
  transparent: 'internet',
  reuse_port: 'internet',
  mark: 'internet',
  tos: 'internet',
  v6only: 'internet',
  receive_buffer: 'any',
  send_buffer: 'any',
  mode: 'unix-path',
  owner: 'unix-path',
  group: 'unix-path',
};

const SCOPE_NAMES: Readonly<Record<OptionScope, string>> = {
  any: 'sockets',
  connection: 'sockets that take connections',
  internet: 'TCP and UDP sockets',
  tcp: 'TCP sockets',
  'unix-path': 'Unix sockets with a path',
};

export function resolveSocket(
  { socket }: ServiceSettings,
  entries: readonly WrittenEntry[],
  machine: Machine,
  layers: Layers,
): ResolvedSocket {
  const keys = Object.keys(socket) as SocketKey[];
  const samples = entries.flatMap((entry) => entry.samples);
  reportOutOfScope(keys, samples, layers);
  const dual = socket.v6only ? undefined : findIpv4(entries);
  if (dual !== undefined && layers.isOwn(['socket', 'v6only'])) reportDual(dual, layers);
  const kept = keys.filter((key) => isUsed(key, samples) && (key !== 'v6only' || dual === undefined));
  const settings = pick(socket, kept);
  reportRights(settings, machine, layers);
  const owners = resolveOwners(settings, machine, layers);
  return { options: optionsOf(settings, owners), settings: { ...settings, ...describeOwners(settings, owners) } };
}

function pick(socket: SocketSettings, keys: readonly SocketKey[]): Partial<SocketSettings> {
  const entries = keys.filter((key) => socket[key] !== undefined).map((key) => [key, socket[key]]);
  return Object.fromEntries(entries) as Partial<SocketSettings>;
}

function isUsed(key: SocketKey, samples: readonly SocketAddress[]): boolean {
  return samples.some((sample) => isInScope(sample, SCOPES[key]));
}

/** Without a single sound address there is nothing to compare with. */
function reportOutOfScope(keys: readonly SocketKey[], samples: readonly SocketAddress[], layers: Layers): void {
  if (!layers.isOwn(['listen']) && layers.isOwn(['socket'])) {
    const problem = { message: '"socket" has no meaning without "listen"', remedy: 'remove "socket"' };
    layers.reportKey(['socket'], problem, ['socket']);
  }
  if (samples.length === 0) return;
  for (const key of keys) {
    if (isUsed(key, samples) || !layers.isOwn(['socket', key])) continue;
    const message = `"${key}" is for ${SCOPE_NAMES[SCOPES[key]]}, and "listen" (${layers.where(['listen'])}) has none`;
    layers.reportKey(['socket', key], { message, remedy: `remove "${key}"` }, ['socket', key]);
  }
}

function findIpv4(entries: readonly WrittenEntry[]): WrittenEntry | undefined {
  return entries.find(({ samples }) => samples.some(({ family }) => family === 'ipv4'));
}

/** An IPv6 socket that takes IPv4 as well is in the way of one for IPv4, and shows its clients as ::ffff:1.2.3.4. */
function reportDual({ entry, path }: WrittenEntry, layers: Layers): void {
  const message =
    `with "v6only: false" the IPv6 socket takes IPv4 clients as well, ` +
    `and ${formatListen(entry)} (${layers.where(path)}) is a socket for IPv4`;
  const remedy = 'remove "v6only"; or listen on PORT/tcp6 or PORT/udp6 alone, for one socket that sees ::ffff:1.2.3.4';
  layers.reportKey(['socket', 'v6only'], { message, remedy }, ['socket', 'v6only']);
}

function optionsOf(settings: Partial<SocketSettings>, { owner, group }: Owners): SocketOptions {
  const { backlog, nodelay, keepalive, mode } = settings;
  return {
    backlog: backlog ?? DEFAULT_BACKLOG,
    nodelay: nodelay ?? false,
    keepalive: keepalive !== undefined && keepalive !== false,
    extra: extraOf(settings),
    mode: mode === undefined ? null : Number.parseInt(mode, 8),
    owner,
    group,
  };
}

/** Of sockets that have no queue of clients, or are not there; nobody looks at it. */
const DEFAULT_BACKLOG = 4096;

function extraOf(settings: Partial<SocketSettings>): SocketOptions['extra'] {
  const { keepalive, user_timeout, receive_buffer, send_buffer } = settings;
  const { idle, interval, count } = typeof keepalive === 'object' ? keepalive : {};
  const all = {
    SO_BINDTODEVICE: settings.device,
    SO_REUSEPORT: flag(settings.reuse_port),
    SO_MARK: settings.mark,
    SO_RCVBUF: bytes(receive_buffer),
    SO_SNDBUF: bytes(send_buffer),
    IP_FREEBIND: flag(settings.freebind),
    IP_TRANSPARENT: flag(settings.transparent),
    IP_TOS: settings.tos,
    IPV6_V6ONLY: settings.v6only === false ? 0 : undefined,
    TCP_KEEPIDLE: seconds(idle),
    TCP_KEEPINTVL: seconds(interval),
    TCP_KEEPCNT: count,
    TCP_USER_TIMEOUT: user_timeout === undefined ? undefined : parseDuration(user_timeout),
    TCP_DEFER_ACCEPT: seconds(settings.defer_accept),
    TCP_FASTOPEN: settings.fastopen,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function flag(isSet: boolean | undefined): 1 | undefined {
  return isSet === true ? 1 : undefined;
}

function bytes(size: string | number | undefined): number | undefined {
  return size === undefined ? undefined : parseSize(String(size));
}

function seconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : (parseDuration(duration) ?? 0) / 1000;
}

const NET_RIGHTS: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];

/** A device needs no right since Linux 5.7, a foreign address that is bound with `freebind` never did. */
function reportRights({ transparent, mark, device }: Partial<SocketSettings>, machine: Machine, layers: Layers): void {
  const isAllowed = NET_RIGHTS.some((capability) => machine.hasCapability(capability));
  const remedy = `run as root, or give the capability ${NET_RIGHTS.join(' or ')}`;
  const refuse = (key: SocketKey): void => {
    layers.onMachine.report(['socket', key], { message: `stdiod has no right to set "${key}"`, remedy });
  };
  if (transparent === true && !isAllowed) refuse('transparent');
  if (mark !== undefined && !isAllowed) refuse('mark');
  const interfaces = machine.interfaces();
  if (device === undefined || interfaces.length === 0 || interfaces.includes(device)) return;
  const message = `there is no network interface "${device}"`;
  layers.onMachine.report(['socket', 'device'], {
    message,
    remedy: `the interfaces here are ${interfaces.join(', ')}`,
  });
}

interface Owners {
  readonly owner: number | null;
  readonly group: number | null;
}

function resolveOwners({ owner, group }: Partial<SocketSettings>, machine: Machine, layers: Layers): Owners {
  const uid = owner === undefined ? undefined : findAccount(owner, machine)?.uid;
  const gid = group === undefined ? undefined : findGid(group, machine);
  const report = (key: SocketKey, problem: Problem | null): void => {
    if (problem !== null) layers.onMachine.report(['socket', key], problem);
  };
  if (owner !== undefined) report('owner', uid === undefined ? unknownAccount(owner) : whyNotOwner(uid, machine));
  if (group !== undefined) report('group', gid === undefined ? unknownGroup(group) : whyNotGroup(gid, machine));
  return { owner: uid ?? null, group: gid ?? null };
}

function whyNotOwner(uid: number, machine: Machine): Problem | null {
  if (uid === machine.uid || machine.hasCapability('CAP_CHOWN')) return null;
  return { message: 'only root can give a socket to another user', remedy: 'run stdiod as root, or remove "owner"' };
}

function whyNotGroup(gid: number, machine: Machine): Problem | null {
  if (gid === machine.gid || machine.hasCapability('CAP_CHOWN')) return null;
  const self = machine.user(machine.uid);
  if (self !== undefined && machine.groupsOf(self).includes(gid)) return null;
  const remedy = 'run stdiod as root or as a member of the group, or remove "group"';
  return { message: 'stdiod is not in the group that the socket is to have', remedy };
}

/** Ids and not names, as several names may share an id; those that were not found stay as they were written. */
function describeOwners(settings: Partial<SocketSettings>, { owner, group }: Owners): Partial<SocketSettings> {
  return {
    ...(settings.mode === undefined ? {} : { mode: settings.mode.padStart(4, '0') }),
    ...(owner === null ? {} : { owner }),
    ...(group === null ? {} : { group }),
  };
}
