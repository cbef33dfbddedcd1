/**
 * How exposed is a child with `sandbox: strict`, by the measure of `systemd-analyze security`? Its checks and weights are those of
 * src/analyze/analyze-security.c in systemd; each is judged by what services/dump and test/fixtures/tries.py find inside such a child, and
 * not by what a file says. Beside them: what a unit of systemd's has at best for /bin/cat with its connection as standard input.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon } from './daemon';
import { parseDump, type Dump, type Value } from './dump';
import { endAll } from './endings';
import { fixture, makeFolder, project } from './fixtures';
import { hasLandlock, testAsRoot } from './machine';

afterEach(endAll);

interface Facts {
  readonly dump: Dump;
  /** stdiod's own, by kind. */
  readonly outside: Readonly<Record<string, string>>;
  /** By the attempt: what came of it. */
  readonly tried: ReadonlyMap<string, string>;
}

/** 0: as good as can be, 1: as bad. */
interface Check {
  readonly name: string;
  readonly weight: number;
  readonly judge: (facts: Facts) => number;
  /** Of a unit with everything on; absent: 0. */
  readonly best?: number;
}

const [EACCES, EROFS, EPERM] = ['"EACCES"', '"EROFS"', '"EPERM"'];
const CREATE = (path: string): string => `open("${path}/stdiod-exposure", "w").close()`;
const READ = (path: string): string => `open("${path}", "rb").close()`;
const LIST = (path: string): string => `os.listdir("${path}")`;
const SYSTEM = ['/', '/etc', '/usr', '/var', '/opt'].map(CREATE);
const CGROUPS = CREATE('/sys/fs/cgroup');
const TUNABLES = 'open("/proc/sys/kernel/core_pattern", "w").close()';
const HOMES = ['/home', '/root'].map(LIST);
const [OTHERS, KERNEL] = ['os.path.exists("/proc/1")', 'os.path.exists("/proc/meminfo")'];
/** A null device where no unit would look for one. */
const STRAY = 'STRAY';

const is = (bad: boolean): number => (bad ? 1 : 0);
const denied = ({ dump }: Facts, ...calls: (number | string)[]): boolean => {
  const all = dump['denied_calls'];
  return Array.isArray(all) && calls.every((call) => all.includes(call));
};
const calls = (name: string, weight: number, ...wanted: (number | string)[]): Check => ({
  name,
  weight,
  judge: (facts) => is(!denied(facts, ...wanted)),
});
const failed = ({ tried }: Facts, attempts: readonly string[]): boolean =>
  attempts.every((attempt) => [EACCES, EROFS, EPERM].includes(tried.get(attempt) ?? ''));
const files = (name: string, weight: number, ...attempts: string[]): Check => ({
  name,
  weight,
  judge: (facts) => is(!failed(facts, attempts)),
});
const own = (name: string, weight: number, kind: string): Check => ({
  name,
  weight,
  judge: ({ dump, outside }) => is(outside[kind] === undefined || member(dump, 'namespaces', kind) === outside[kind]),
});
/** Neither held nor to be had. */
const capabilities = (words: string, weight: number): Check => ({
  name: `CapabilityBoundingSet=~${words}`,
  weight,
  judge: ({ dump }) => {
    const held = ['bounding', 'permitted'].flatMap((set) => member(dump, 'capabilities', set));
    return is(words.split(' ').some((word) => held.includes(word)));
  },
});

function member(dump: Dump, name: string, key: string): unknown {
  return new Map(Object.entries(dump[name] ?? {})).get(key);
}

/** By numbers of x86-64; what other ways there are to each stands in the same sets. */
const CHECKS: readonly Check[] = [
  { name: 'User=', weight: 2000, judge: ({ dump }) => ({ 0: 1, 65534: 0.9 })[idOf(dump, 'uid')] ?? 0 },
  { name: 'SupplementaryGroups=', weight: 200, judge: ({ dump }) => is(hasOtherGroups(dump)) },
  files('PrivateDevices=', 1000, STRAY, 'os.open("/dev/ptmx", os.O_RDWR)'),
  own('PrivateMounts=', 1000, 'mnt'),
  own('PrivateNetwork=', 2500, 'net'),
  {
    name: 'PrivateTmp=',
    weight: 1000,
    judge: ({ tried }) => is(tried.get(LIST('/var/tmp')) !== tried.get(LIST('/tmp'))),
  },
  own('PrivateUsers=', 1000, 'user'),
  files('ProtectControlGroups=', 1000, CGROUPS),
  calls('ProtectKernelModules=', 1000, 175, 176, 313),
  files('ProtectKernelTunables=', 1000, TUNABLES),
  {
    name: 'ProtectKernelLogs=',
    weight: 1000,
    judge: (facts) => is(!denied(facts, 103) || !failed(facts, [READ('/dev/kmsg')])),
  },
  calls('ProtectClock=', 1000, 159, 164, 227, 305),
  files('ProtectHome=', 1000, ...HOMES),
  calls('ProtectHostname=', 50, 170, 171),
  files('ProtectSystem=', 1000, ...SYSTEM),
  {
    name: 'RootDirectory=',
    weight: 200,
    judge: ({ tried }) => is(tried.get('os.path.exists("/etc/passwd")') === 'true'),
    best: 1,
  },
  calls('LockPersonality=', 100, 'personality'),
  calls('MemoryDenyWriteExecute=', 100, 'mmap: write and execute', 'mprotect: execute', 'shmat: execute'),
  { name: 'NoNewPrivileges=', weight: 1000, judge: ({ dump }) => is(dump['no_new_privileges'] !== true) },
  capabilities('sys_admin', 1500),
  capabilities('setuid setgid setpcap', 1500),
  capabilities('sys_ptrace', 1500),
  capabilities('sys_time', 1000),
  capabilities('net_admin', 1000),
  capabilities('sys_rawio', 1000),
  capabilities('sys_module', 1000),
  capabilities('audit_control audit_read audit_write', 500),
  capabilities('syslog', 500),
  capabilities('sys_nice sys_resource', 500),
  capabilities('mknod', 500),
  capabilities('chown fsetid setfcap', 1000),
  capabilities('dac_override dac_read_search fowner ipc_owner', 1000),
  capabilities('kill', 500),
  capabilities('net_bind_service net_broadcast net_raw', 500),
  capabilities('sys_boot', 100),
  capabilities('mac_admin mac_override', 100),
  capabilities('linux_immutable', 75),
  capabilities('ipc_lock', 50),
  capabilities('sys_chroot', 50),
  capabilities('block_suspend', 25),
  capabilities('wake_alarm', 25),
  capabilities('lease', 25),
  capabilities('sys_tty_config', 25),
  capabilities('sys_pacct', 25),
  { name: 'UMask=', weight: 100, judge: ({ dump }) => badnessOfUmask(dump['umask']) },
  calls('KeyringMode=', 1000, 248, 249, 250),
  { name: 'ProtectProc=', weight: 1000, judge: ({ tried }) => is(tried.get(OTHERS) !== 'false') },
  { name: 'ProcSubset=', weight: 10, judge: ({ tried }) => is(tried.get(KERNEL) !== 'false') },
  {
    name: 'NotifyAccess=',
    weight: 1000,
    judge: ({ dump }) => is(dump.environment.some((each) => each.startsWith('NOTIFY_SOCKET='))),
  },
  // What it leaves behind is in a namespace that goes with the service.
  own('RemoveIPC=', 100, 'ipc'),
  files('Delegate=', 100, CGROUPS),
  calls('RestrictRealtime=', 500, 142, 144, 314),
  // openat2 and fchmodat2: the one is not there, of the other the mode is looked at.
  calls(
    'RestrictSUIDSGID=',
    1000,
    'fchmod: set-user-ID',
    'fchmod: set-group-ID',
    'mkdirat: set-group-ID',
    'openat: set-user-ID',
  ),
  ...['NEWUSER 1500', 'NEWNS 500', 'NEWIPC 500', 'NEWPID 500', 'NEWCGROUP 500', 'NEWNET 500', 'NEWUTS 100'].map(
    (each) => {
      const [kind = '', weight] = each.split(' ');
      return calls(`RestrictNamespaces=~CLONE_${kind}`, Number(weight), 272, 308, 'clone: namespaces');
    },
  ),
  ...['INET 1500', 'UNIX 25', 'NETLINK 200', 'PACKET 1000', '… 1250'].map((each) => {
    const [family = '', weight] = each.split(' ');
    return calls(`RestrictAddressFamilies=~AF_${family}`, Number(weight), 41);
  }),
  // Those of x32 are denied and those of i386 end the program: test/system/sandbox.test.ts.
  { name: 'SystemCallArchitectures=', weight: 1000, judge: ({ dump }) => is(dump['seccomp'] !== 'filter') },
  calls('SystemCallFilter=~@swap', 1000, 167, 168),
  calls('SystemCallFilter=~@obsolete', 250, 134, 136, 139, 156, 174, 177, 178, 181, 182, 183, 184, 185, 236),
  calls('SystemCallFilter=~@clock', 1000, 159, 164, 227, 305),
  calls('SystemCallFilter=~@cpu-emulation', 250, 154),
  calls('SystemCallFilter=~@debug', 1000, 101, 212, 298, 438),
  calls('SystemCallFilter=~@mount', 1000, 155, 161, 165, 166, 428, 429, 430, 431, 432, 433, 442),
  calls('SystemCallFilter=~@module', 1000, 175, 176, 313),
  calls('SystemCallFilter=~@raw-io', 1000, 172, 173),
  calls('SystemCallFilter=~@reboot', 1000, 169, 246, 320),
  calls(
    'SystemCallFilter=~@privileged',
    700,
    92,
    93,
    94,
    260,
    105,
    113,
    116,
    117,
    122,
    126,
    153,
    163,
    179,
    180,
    300,
    301,
    304,
    321,
    443,
  ),
  calls('SystemCallFilter=~@resources', 700, 141, 142, 144, 160, 203, 237, 238, 251, 256, 279, 314, 450),
  // Its connection is all that it has, and it can make no other.
  {
    name: 'IPAddressDeny=',
    weight: 1000,
    judge: (facts) => is(!denied(facts, 41) || member(facts.dump, 'namespaces', 'net') === facts.outside['net']),
  },
  // With ProtectClock= systemd opens the clock's device again.
  { ...files('DeviceAllow=', 1000, STRAY), best: 0.5 },
  {
    name: 'AmbientCapabilities=',
    weight: 500,
    judge: ({ dump }) => is(!isEmpty(member(dump, 'capabilities', 'ambient'))),
  },
];

function idOf(dump: Dump, name: string): number {
  return Number([dump[name]].flat()[0]);
}

function hasOtherGroups(dump: Dump): boolean {
  return [dump['groups']].flat().some((group) => group !== idOf(dump, 'gid'));
}

function badnessOfUmask(told: Value | undefined): number {
  const mask = typeof told === 'string' ? Number.parseInt(told, 8) : 0;
  const rows: [bit: number, badness: number][] = [
    [0o2, 1],
    [0o4, 0.5],
    [0o20, 0.2],
    [0o40, 0.1],
  ];
  return rows.find(([bit]) => (mask & bit) === 0)?.[1] ?? 0;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** As systemd writes it, from 0 to 10, rounded up. */
function exposureOf(badness: (check: Check) => number): number {
  const weights = CHECKS.reduce((sum, { weight }) => sum + weight, 0);
  const sum = CHECKS.reduce((all, check) => all + Math.ceil(badness(check) * check.weight), 0);
  return Math.ceil((sum * 100) / weights) / 10;
}

/** It reads the program from its client and becomes it: what lies in the /tmp of tests it does not see. */
const LOADER =
  'import os, sys; data = sys.stdin.buffer.read(int(sys.stdin.buffer.readline())); ' +
  'path = "/tmp/dump-" + str(os.getpid()); file = open(path, "wb"); file.write(data); file.close(); os.chmod(path, 0o700); os.execv(path, [path])';

async function look(user: string): Promise<Facts & { peer: string; client: string }> {
  const service = (name: string, script: string): string =>
    `  ${name}: {listen: "127.0.0.1:0", directory: /, sandbox: strict, ${user} exec: [python3, -c, ${JSON.stringify(script.replaceAll('%', '%%'))}]}\n`;
  const tries = readFileSync(fixture('tries.py'), 'utf8');
  const daemon = await startDaemon(`services:\n${service('dump', LOADER)}${service('tries', tries)}`);
  const program = readFileSync(join(project, 'dist/services/dump'), 'latin1');
  const dump = parseDump(await exchange(daemon.port('dump'), `${program.length}\n${program}`));
  const outside = parseDump(execFileSync(join(project, 'dist/services/dump'), { encoding: 'utf8' }))['namespaces'];
  const client = await connectTo(daemon.port('tries'));
  const peer = await client.ask('peer()');
  return {
    dump,
    outside: stringsOf(outside),
    tried: await tryAll((each) => client.ask(each)),
    peer,
    client: client.address,
  };
}

function stringsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(value ?? {}).map(([name, each]) => [name, String(each)]));
}

/** In no folder that a wall is in front of. */
function strayDevice(): string {
  const folder = existsSync('/dev/shm') ? '/dev/shm' : makeFolder();
  const path = join(folder, `stdiod-test-${process.pid}`);
  execFileSync('rm', ['-f', path]);
  execFileSync('mknod', ['-m', '666', path, 'c', '1', '3']);
  return path;
}

async function tryAll(ask: (attempt: string) => Promise<string>): Promise<Map<string, string>> {
  const stray = strayDevice();
  const others = [
    OTHERS,
    KERNEL,
    'os.path.exists("/etc/passwd")',
    'os.open("/dev/ptmx", os.O_RDWR)',
    LIST('/tmp'),
    LIST('/var/tmp'),
  ];
  const tried = new Map<string, string>([[STRAY, await ask(`os.open("${stray}", os.O_RDONLY)`)]]);
  for (const each of [...SYSTEM, CGROUPS, TUNABLES, ...HOMES, READ('/dev/kmsg'), ...others])
    tried.set(each, await ask(each));
  execFileSync('rm', ['-f', stray]);
  return tried;
}

/** Checks in which it is worse than the best unit. docs/decisions/29-sandbox.md says why. */
function worse(facts: Facts): string[] {
  return CHECKS.filter((check) => check.judge(facts) > (check.best ?? 0)).map(({ name }) => name);
}

const testStrict = hasLandlock && process.arch === 'x64' ? testAsRoot : test.skip;

testStrict(
  'a strict child with a user of its own is nearly as little exposed as cat in the hardest unit (needs root and Landlock)',
  async () => {
    const facts = await look('user: 54321, group: 54321,');
    expect(facts.peer).toBe(`"${facts.client}"`);
    expect(worse(facts)).toEqual(['PrivateUsers=', 'ProcSubset=']);
    expect(exposureOf(({ best = 0 }) => best)).toBe(0.2);
    expect(exposureOf(({ judge }) => judge(facts))).toBe(0.3);
  },
);

testStrict(
  'a strict child that is nobody, as others are, is little more exposed (needs root and Landlock)',
  async () => {
    const facts = await look('');
    expect(facts.peer).toBe(`"${facts.client}"`);
    expect(worse(facts)).toEqual(['User=', 'PrivateUsers=', 'ProcSubset=']);
    expect(exposureOf(({ judge }) => judge(facts))).toBe(0.6);
  },
);
