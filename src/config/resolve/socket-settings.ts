/**
 * From `socket` to the options of a service's sockets: names become ids and kernel options, and what none of the service's
 * sockets can have is refused, or, when it comes from `defaults`, left out.
 */
import type { SocketAddress } from '../../service/address';
import type { Capability } from '../../service/capabilities';
import { parseDuration } from '../../service/duration';
import { formatListen } from '../../service/listen-text';
import type { SocketOptions } from '../../service/service';
import { parseSize } from '../../service/size';
import { SOCKET_KEYS, SOCKET_OPTIONS, isInScope } from '../../service/socket-options';
import type { OptionScope, OptionUnit, OptionValues } from '../../service/socket-options';
import type { Layers } from '../keys/layers';
import type { ServiceSettings, SocketSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import { valueAt } from '../report/path';
import type { Problem } from '../report/problems';
import { whyNoInterface } from './interface';
import { findAccount, findGid, orNow, unknownAccount, unknownGroup, whyNoName } from './identity';
import type { WrittenEntry } from './listen';

export interface ResolvedSocket {
  readonly options: SocketOptions;
  /** As they can be written, without those that none of the service's sockets can have. */
  readonly settings: Partial<SocketSettings>;
}

type SocketKey = keyof SocketSettings;

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
  const owners = resolveOwners(settings, machine, layers);
  const options = optionsOf(settings, owners);
  reportRights(options.extra, machine, layers);
  reportDevice(settings, machine, layers);
  return { options, settings: { ...settings, ...describeOwners(settings, owners) } };
}

function pick(socket: SocketSettings, keys: readonly SocketKey[]): Partial<SocketSettings> {
  const entries = keys.filter((key) => socket[key] !== undefined).map((key) => [key, socket[key]]);
  return Object.fromEntries(entries) as Partial<SocketSettings>;
}

function isUsed(key: SocketKey, samples: readonly SocketAddress[]): boolean {
  return samples.some((sample) => isInScope(sample, SOCKET_KEYS[key].scope));
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
    const message = `"${key}" is for ${SCOPE_NAMES[SOCKET_KEYS[key].scope]}, and "listen" (${layers.where(['listen'])}) has none`;
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

function extraOf(settings: Partial<SocketSettings>): OptionValues {
  const values = SOCKET_OPTIONS.map(({ name, path, unit }) => {
    const written = valueAt(settings, path);
    return [name, written === undefined ? undefined : KERNEL_VALUES[unit](written)] as const;
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** The schema has seen to the types. undefined: a new socket has it already. */
const KERNEL_VALUES: Readonly<Record<OptionUnit, (written: unknown) => number | string | undefined>> = {
  text: String,
  number: Number,
  bytes: (written) => parseSize(String(written)),
  seconds: (written) => (parseDuration(String(written)) ?? 0) / 1000,
  milliseconds: (written) => parseDuration(String(written)),
  'switched-on': (written) => (written === true ? 1 : undefined),
  'switched-off': (written) => (written === false ? 0 : undefined),
};

const NET_RIGHTS: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];

/** A device needs no right since Linux 5.7, a foreign address that is bound in advance never did. */
function reportRights(values: OptionValues, machine: Machine, layers: Layers): void {
  if (NET_RIGHTS.some((capability) => machine.hasCapability(capability))) return;
  const remedy = `run as root, or give the capability ${NET_RIGHTS.join(' or ')}`;
  for (const { name, path, isPrivileged } of SOCKET_OPTIONS) {
    if (isPrivileged !== true || values[name] === undefined) continue;
    const message = `stdiod has no right to set "${path.join('.')}"`;
    layers.onMachine.report(['socket', ...path], { message, remedy });
  }
}

function reportDevice({ device }: Partial<SocketSettings>, machine: Machine, layers: Layers): void {
  const problem = device === undefined ? null : whyNoInterface(device, machine);
  if (problem !== null) layers.onMachine.report(['socket', 'device'], problem);
}

interface Owners {
  readonly owner: number | null;
  readonly group: number | null;
}

function resolveOwners(settings: Partial<SocketSettings>, machine: Machine, layers: Layers): Owners {
  const misspelt = settings.owner === undefined ? null : whyNoName(settings.owner);
  if (misspelt !== null) layers.report(['socket', 'owner'], misspelt);
  const wanted = misspelt === null ? settings : { ...settings, owner: undefined };
  const found = orNow(
    () => findOwners(wanted, machine, layers),
    (problem) => {
      layers.onMachine.report(['socket'], problem);
    },
  );
  return found ?? { owner: null, group: null };
}

function findOwners(
  { owner, group }: { readonly [Key in keyof SocketSettings]?: SocketSettings[Key] | undefined },
  machine: Machine,
  layers: Layers,
): Owners {
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
