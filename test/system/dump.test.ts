/**
 * All that a program finds, told by services/dump: the same for every way to start one, and with each key nothing changed but what the
 * key says.
 */
import { dirname, join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, startWords, type Daemon, type DaemonOptions } from './daemon';
import { datagramClient } from './datagram-client';
import { dumpProgram, goldenDump, parseDump, plainDump, type Dump, type Value } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { testAsRoot, testIpv6 } from './machine';
import { askUnix, exchangeUnix } from './unix-client';

afterEach(endAll);

type Facts = Record<string, Value>;

/** How a program is started, and how a client gets its answer. */
interface Way {
  readonly listen?: string;
  readonly keys?: string;
  /** More services. */
  readonly services?: string;
  readonly options?: DaemonOptions;
  readonly ask?: (daemon: Daemon, path: string) => Promise<string>;
  /** What differs from the golden dump. */
  readonly differs?: Partial<Record<'descriptors' | 'environment', readonly Value[]>>;
}

const LISTEN = '127.0.0.1:0';

/** @param said what the keys are to change */
async function found(way: Way, keys = '', said: Facts = {}): Promise<Facts> {
  const [program, path] = [dumpProgram(), join(makeFolder(), 'socket')];
  const listen = (way.listen ?? `listen: "${LISTEN}",`).replace('PATH', path);
  const service = `{${listen} exec: ${program}, ${way.keys ?? ''} ${keys}}`;
  const yaml = `services:\n  ${way.services ?? ''}\n  it: ${service}\n`;
  const daemon = await startDaemon(yaml, way.options);
  return plain(await (way.ask ?? askTcp)(daemon, path), daemon, program, said);
}

async function plain(answer: string, daemon: Daemon, program: string, said: Facts = {}): Promise<Facts> {
  const dump: Dump = parseDump(answer);
  await daemon.waitFor('reaped', { pid: dump.pid });
  return plainDump(dump, daemon, dirname(program), Object.keys(said));
}

function askTcp(daemon: Daemon): Promise<string> {
  return exchange(daemon.port(), '');
}

async function askMux(daemon: Daemon): Promise<string> {
  const client = await connectTo(daemon.port());
  client.send('it\r\n');
  return client.rest();
}

async function askUdp(daemon: Daemon): Promise<string> {
  return (await datagramClient()).ask('hello', daemon.port());
}

async function askKind(kind: 'stream' | 'seqpacket' | 'dgram', path: string): Promise<string> {
  return (await askUnix(kind, path, 'hello')).join('\n');
}

// --- What the ways differ in ---

const SOCKET = {
  kind: 'socket',
  target: 'socket 1',
  access: 'read-write',
  blocking: true,
  append: false,
  close_on_exec: false,
  family: 'ipv4',
  type: 'stream',
  listening: false,
  local: '<local>',
  peer: '<peer>',
};
const PIPE = {
  kind: 'pipe',
  target: 'pipe 2',
  access: 'write',
  blocking: true,
  append: false,
  close_on_exec: false,
};

function connection(facts: Facts): Value[] {
  return [0, 1, 2].map((fd) => ({ fd, ...SOCKET, ...facts }));
}

/** Standard error is the log. */
function lent(facts: Facts): Value[] {
  const socket = { ...SOCKET, peer: null, ...facts };
  return [
    { fd: 0, ...socket },
    { fd: 1, ...socket },
    { fd: 2, ...PIPE },
    { fd: 3, ...socket },
  ];
}

const NAMES = ['STDIOD_SERVICE=it', 'STDIOD_CONNECTION=<connection>'];
const PASSED = ['LISTEN_FDS=1', 'LISTEN_FDNAMES=it', ...NAMES, 'LISTEN_PID=<pid>'];
const PERSON = ['LANG=C.UTF-8', "HOME=<user's>", "USER=<user's>", "LOGNAME=<user's>"];
const BASICS = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...PERSON];

const UNIX_PEER = [
  'PROTO=UNIX',
  'UNIXLOCALPATH=<path>',
  'UNIXREMOTEPATH=',
  'UNIXREMOTEPID=<peer pid>',
  `UNIXREMOTEEUID=${process.getuid?.() ?? ''}`,
  `UNIXREMOTEEGID=${process.getgid?.() ?? ''}`,
];

const WAYS: Readonly<Record<string, Way>> = {
  'for a connection': {},
  'by a plain fork': { options: { env: { STDIOD_SPAWN: 'fork' } } },
  'by tcpmux': {
    listen: 'tcpmux: true,',
    services: `mux: {listen: "${LISTEN}", builtin: tcpmux}`,
    ask: askMux,
  },
  'behind a Unix socket': {
    listen: 'listen: "unix:PATH", socket: {mode: "0666"},',
    ask: (_, path) => exchangeUnix(path),
    differs: {
      descriptors: connection({ family: 'unix', peer: null }),
      environment: [...UNIX_PEER, ...NAMES, ...BASICS],
    },
  },
  'behind a Unix socket of packets': {
    listen: 'listen: "unix-seqpacket:PATH", socket: {mode: "0666"},',
    ask: (_, path) => askKind('seqpacket', path),
    differs: {
      descriptors: connection({ family: 'unix', type: 'seqpacket', peer: null }),
      environment: [...UNIX_PEER, ...NAMES, ...BASICS],
    },
  },
  'with wait': {
    keys: 'wait: true,',
    differs: {
      descriptors: lent({ listening: true }),
      environment: ['PROTO=TCP', 'TCPLOCALIP=127.0.0.1', 'TCPLOCALPORT=<local port>', ...PASSED, ...BASICS],
    },
  },
  'for datagrams': {
    listen: `listen: "${LISTEN}/udp",`,
    ask: askUdp,
    differs: {
      descriptors: lent({ type: 'datagram' }),
      environment: ['PROTO=UDP', 'UDPLOCALIP=127.0.0.1', 'UDPLOCALPORT=<local port>', ...PASSED, ...BASICS],
    },
  },
  'for Unix datagrams': {
    listen: 'listen: "unix-dgram:PATH", socket: {mode: "0666"},',
    ask: (_, path) => askKind('dgram', path),
    differs: {
      descriptors: lent({ family: 'unix', type: 'datagram' }),
      environment: ['PROTO=UNIX', 'UNIXLOCALPATH=<path>', ...PASSED, ...BASICS],
    },
  },
};

const GOLDEN = goldenDump();
/** Keys of every kind at once; what they mean for who has no right to more. */
const MANY =
  'directory: /, umask: "0027", nice: 19, scheduling: batch, cpu_affinity: 0, io_priority: best-effort:6, argv0: me, ' +
  'no_new_privileges: false, rlimits: {open_files: 64, core_size: 0, address_space: 512M, cpu_time: "10s:20s"}';
const OF_MANY: Facts = {
  directory: '/',
  umask: '0027',
  nice: 19,
  scheduling: 'batch',
  cpu_affinity: [0],
  io_priority: 'best-effort:6',
  argv: ['me'],
  no_new_privileges: false,
  rlimits: limitsWith({
    open_files: { soft: 64, hard: 64 },
    core_size: { soft: 0, hard: 0 },
    address_space: { soft: 536870912, hard: 536870912 },
    cpu_time: { soft: 10, hard: 20 },
  }),
};

describe.each(Object.entries(WAYS))('a program that was started %s', (_, way) => {
  test('finds what the golden dump has, and nothing else', async () => {
    expect(await found(way)).toEqual({ ...GOLDEN, ...way.differs });
  });

  test('finds what the file says, and nothing else has changed', async () => {
    expect(await found(way, MANY, OF_MANY)).toEqual({ ...GOLDEN, ...OF_MANY, ...way.differs });
  });

  testAsRoot('is whom the file says, with the rights that the file gives (needs root)', async () => {
    const keys = 'user: 54321, group: 54322, groups: [54323, 54324], capabilities: [net_raw, kill]';
    const set = ['kill', 'net_raw'];
    const sets = { effective: set, permitted: set, inheritable: set, ambient: set, bounding: set };
    const ids = { uid: four(54321), gid: four(54322), groups: [54323, 54324], capabilities: sets };
    const environment = asNumber((way.differs?.environment ?? GOLDEN.environment) as readonly string[]);
    expect(await found(way, keys)).toEqual({ ...GOLDEN, ...ids, ...way.differs, environment });
  });
});

testIpv6('over IPv6 only the addresses differ', async () => {
  const way = { listen: 'listen: "[::1]:0",', ask: (daemon: Daemon) => exchange(daemon.port(), '', '::1') };
  const environment = GOLDEN.environment.map((variable) => variable.replace('127.0.0.1', '::1'));
  expect(await found(way)).toEqual({ ...GOLDEN, descriptors: connection({ family: 'ipv6' }), environment });
});

test('under try a program finds the PATH and the folder of the caller, and its standard error is the log', async () => {
  const program = dumpProgram();
  const daemon = await startWords(['try', LISTEN, '--', program], { env: { PATH: '/usr/bin:/bin' } });
  const found = await plain(await askTcp(daemon), daemon, program);
  const environment = GOLDEN.environment.map((variable) =>
    variable.replace(/^PATH=.*/, 'PATH=/usr/bin:/bin').replace(/^(STDIOD_SERVICE)=.*/, '$1=try'),
  );
  const descriptors = [...connection({}).slice(0, 2), { fd: 2, ...PIPE }];
  expect(found).toEqual({ ...GOLDEN, descriptors, environment });
});

const NULL = { kind: 'null', target: '/dev/null', access: 'read-write', blocking: true, append: false };

const KEYS: readonly [keys: string, differs: Facts][] = [
  ['directory: /', { directory: '/' }],
  ['umask: "0777"', { umask: '0777' }],
  ['nice: 19', { nice: 19 }],
  ['scheduling: idle', { scheduling: 'idle' }],
  ['io_priority: idle', { io_priority: 'idle' }],
  ['cpu_affinity: 0', { cpu_affinity: [0] }],
  ['argv0: "-a name"', { argv: ['-a name'] }],
  ['no_new_privileges: false', { no_new_privileges: false }],
  ['rlimits: {open_files: 40:50}', { rlimits: limitsWith({ open_files: { soft: 40, hard: 50 } }) }],
  ['rlimits: {stack: 1M}', { rlimits: limitsWith({ stack: { soft: 1048576, hard: 1048576 } }) }],
  ['stderr: null', { descriptors: [...connection({}).slice(0, 2), { fd: 2, ...NULL, close_on_exec: false }] }],
  ['stderr: log', { descriptors: [...connection({}).slice(0, 2), { fd: 2, ...PIPE }] }],
  ['env: {B: "x y", A: "%{peer.port}"}', { environment: withVariables('B=x y', 'A=<peer port>') }],
];

test.each(KEYS)('%s changes that and nothing else', async (keys, differs) => {
  expect(await found({}, keys, differs)).toEqual({ ...GOLDEN, ...differs });
});

function limitsWith(limits: Facts): Value {
  return { ...(GOLDEN['rlimits'] as Facts), ...limits };
}

/** A placeholder is filled in before what all children have alike. */
function withVariables(plain: string, filled: string): string[] {
  return [...GOLDEN.environment.slice(0, -BASICS.length), filled, ...BASICS, plain];
}

function four(id: number): number[] {
  return [id, id, id, id];
}

/** Of a user who has no account. */
function asNumber(environment: readonly string[]): string[] {
  return environment.map((variable) => variable.replace(/^(USER|LOGNAME)=.*/, "$1=<user's>"));
}
