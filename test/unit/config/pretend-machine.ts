/**
 * A machine that is the same wherever the tests run: its accounts, its groups, its port names, its rights.
 * Files are real (each test makes its own); who may execute them is decided by their permission bits alone.
 */
import { statSync } from 'node:fs';
import type { Account, CgroupFacts, Entry, Group, Machine } from '../../../src/config/machine/machine';
import { absolute, readContents, readEntry, readFacts, readHead, realPath } from '../../../src/machine/files';
import type { Identity } from '../../../src/service/service';

const ACCOUNTS: readonly Account[] = [
  { name: 'root', uid: 0, gid: 0, home: '/root', shell: '/bin/bash' },
  { name: 'alice', uid: 1000, gid: 1000, home: '/home/alice', shell: '/bin/zsh' },
  { name: 'nobody', uid: 65534, gid: 65534, home: '/nonexistent', shell: '/usr/sbin/nologin' },
];

const GROUPS: readonly Group[] = [
  { name: 'root', gid: 0 },
  { name: 'games', gid: 60 },
  { name: 'alice', gid: 1000 },
  { name: 'nogroup', gid: 65534 },
];

const PORTS = {
  tcp: new Map([
    ['http', 80],
    ['echo', 7],
    ['daytime', 13],
  ]),
  udp: new Map([
    ['tftp', 69],
    ['echo', 7],
  ]),
};

export const DELEGATED: CgroupFacts = {
  folder: '/sys/fs/cgroup/system.slice/stdiod.service',
  isDelegated: true,
  isWritable: true,
  strangers: [],
  controllers: ['cpu', 'io', 'memory', 'pids'],
  known: ['cpu', 'io', 'memory', 'pids'],
  hasKill: true,
  hasFile: () => true,
};

export function pretendMachine(changes: Partial<Machine> = {}): Machine {
  return {
    uid: 0,
    gid: 0,
    architecture: process.arch,
    startBytes: 2_097_152,
    oomScore: () => 0,
    suidDumpable: 0,
    landlockVersion: 3,
    apparmorProfiles: () => ['web', 'mail//child'],
    hasSelinux: true,
    hasIpv6: true,
    environment: { PATH: '/usr/bin:/bin', TZ: 'UTC', SECRET: 'x' },
    user: (nameOrId) => ACCOUNTS.find(({ name, uid }) => name === nameOrId || uid === nameOrId),
    group: (nameOrId) => GROUPS.find(({ name, gid }) => name === nameOrId || gid === nameOrId),
    groupsOf: ({ name, gid }) => (name === 'alice' ? [gid, 60] : [gid]),
    whyNotExecutable: judgeByMode,
    mayBindPort: () => true,
    portNames: (protocol) => PORTS[protocol],
    passedSockets: () => [],
    hasCapability: () => true,
    highestLimit: () => -1,
    lowestNice: () => -20,
    cpus: () => [0, 1],
    cgroup: () => DELEGATED,
    whyNotReadable: () => null,
    whyNotWritable: () => null,
    interfaces: () => ['lo', 'eth0', 'eth1'],
    hasInterface: (name) => ['lo', 'eth0', 'eth1', 'uplink'].includes(name),
    addresses: () => ['127.0.0.1', '::1', '192.0.2.7', '2001:db8::7'],
    hasAddress: (address) => !address.startsWith('10.99.') && !address.startsWith('2001:db8:99:'),
    file: readFacts,
    entry: ownedByRoot,
    absolute,
    head: readHead,
    contents: readContents,
    realPath,
    binaryFormats: () => [],
    ownProgram: () => '/bin/cat',
    ...changes,
  };
}

export const asAlice: Partial<Machine> = {
  uid: 1000,
  gid: 1000,
  mayBindPort: (port) => port >= 1024,
  hasCapability: () => false,
};

/** Whoever runs the tests owns what they make. */
function ownedByRoot(path: string): Entry | string {
  const entry = readEntry(path);
  return typeof entry !== 'string' && entry.uid === process.getuid?.() ? { ...entry, uid: 0 } : entry;
}

function judgeByMode(path: string, identity: Identity | null): string | null {
  try {
    const { mode } = statSync(path);
    const bits = identity === null || identity.uid === 0 ? 0o111 : 0o001;
    return (mode & bits) === 0 ? 'EACCES' : null;
  } catch {
    return 'ENOENT';
  }
}
