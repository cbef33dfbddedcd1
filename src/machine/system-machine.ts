/**
 * The machine that stdiod runs on, as the configuration asks it: answered by the addon, /proc and the files themselves.
 */
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { NotNow, type Machine } from '../config/machine/machine';
import type { Addon } from '../native/addon';
import { AddonError, loadAddon, packageRoot } from '../native/load-addon';
import { asSystemError, errnoName, isSystemError } from '../native/system-error';
import { capabilityNumber, type Capability } from '../service/capabilities';
import type { PassedSocket } from '../service/listen-text';
import { readCgroupFacts } from './cgroup';
import { absolute, readBinaryFormats, readContents, readEntry, readFacts, readHead, readProc, realPath } from './files';
import { readProfiles } from './apparmor';
import { readStartBytes } from './start-bytes';
import { readPortNames } from './port-names';
import { highestLimit, lowestNice, ownCpus, ownOomScore } from './resources';
import { type NativeAnswers, withoutAddon } from './without-addon';

const FIRST_UNPRIVILEGED = 1024;

/** @param passed the sockets that stdiod was started with (listener/passed.ts) */
export function systemMachine(passed: readonly PassedSocket[]): Machine {
  const firstUnprivileged = readFirstUnprivilegedPort();
  const effective = readEffectiveCapabilities();
  const native = nativeAnswers();
  const hasCapability = (name: Capability): boolean => ((effective >> BigInt(capabilityNumber(name))) & 1n) === 1n;
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    architecture: process.arch,
    startBytes: readStartBytes(),
    suidDumpable: Number(readProc('/proc/sys/fs/suid_dumpable') ?? 0),
    landlockVersion: native.landlockVersion(),
    apparmorProfiles: readProfiles,
    hasSelinux: existsSync('/sys/fs/selinux/enforce'),
    hasIpv6: existsSync('/proc/net/if_inet6'),
    environment: process.env,
    ownProgram: (name) => join(packageRoot(), 'dist/services', name),
    hasCapability,
    highestLimit: (resource) => highestLimit(resource, hasCapability('CAP_SYS_RESOURCE')),
    lowestNice,
    oomScore: ownOomScore,
    cpus: ownCpus,
    cgroup: () => readCgroupFacts(native),
    mayBindPort: (port) => port === 0 || hasCapability('CAP_NET_BIND_SERVICE') || port >= firstUnprivileged,
    user: (nameOrId) => orNotNow(() => native.findUser(nameOrId)),
    group: (nameOrId) => orNotNow(() => native.findGroup(nameOrId)),
    groupsOf: ({ name, gid }) => native.groupsOf(name, gid),
    portNames: (protocol) => readPortNames(protocol),
    passedSockets: () => passed,
    interfaces: () => native.interfaces(),
    hasInterface: (name) => native.hasInterface(name),
    addresses: ownAddresses,
    hasAddress: (address) => hasAddress(native, address),
    file: readFacts,
    entry: readEntry,
    absolute,
    head: readHead,
    contents: readContents,
    realPath,
    whyNotExecutable: (path, identity) => errnoNameOrNull(native.whyNoAccess(path, 'execute', identity)),
    whyNotReadable: (path, identity) => errnoNameOrNull(native.whyNoAccess(path, 'read', identity)),
    whyNotWritable: (path, identity) => errnoNameOrNull(native.whyNoAccess(path, 'write', identity)),
    binaryFormats: readBinaryFormats,
  };
}

function nativeAnswers(): NativeAnswers {
  try {
    return loadAddon() as Addon;
  } catch (error) {
    if (error instanceof AddonError) return withoutAddon;
    throw error;
  }
}

function orNotNow<Answer>(ask: () => Answer): Answer {
  try {
    return ask();
  } catch (error) {
    throw new NotNow(asSystemError(error).code);
  }
}

function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.map(({ address }) => address);
}

/** Asked with a datagram socket on a port that the kernel chooses: nobody can be in its way, and nobody notices it. */
function hasAddress(native: NativeAnswers, address: string): boolean {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const options = { backlog: 1, nodelay: false, keepalive: false, extra: {} };
  try {
    native.close(native.openListener({ family, type: 'datagram', address, port: 0 }, options).fd);
    return true;
  } catch (error) {
    return !(isSystemError(error) && error.code === 'EADDRNOTAVAIL');
  }
}

function errnoNameOrNull(error: number): string | null {
  return error === 0 ? null : errnoName(error);
}

function readFirstUnprivilegedPort(): number {
  const text = readProc('/proc/sys/net/ipv4/ip_unprivileged_port_start');
  return text === null ? FIRST_UNPRIVILEGED : Number(text);
}

function readEffectiveCapabilities(): bigint {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readProc('/proc/self/status') ?? '')?.[1] ?? '0';
  return BigInt(`0x${hex}`);
}
