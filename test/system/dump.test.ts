/**
 * All that a program finds, told by services/dump: the same for every way to start one, and with each key nothing changed but what the
 * key says.
 */
import { dirname, join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, startWords, type Daemon } from './daemon';
import { datagramClient } from './datagram-client';
import { dumpProgram, goldenDump, parseDump, plainDump, type Dump, type Value } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { isRoot, testAsRoot, testIpv6 } from './machine';
import { askUnix, exchangeUnix } from './unix-client';

// One daemon starts them all, as far as it can: what a service says must not show in another one.
afterAll(endAll);

type Facts = Record<string, Value>;

/** How a program is started, and how a client gets its answer. */
interface Way {
  readonly listen?: string;
  readonly keys?: string;
  readonly isForked?: boolean;
  readonly ask?: (service: Running) => Promise<string>;
  /** What differs from the golden dump. */
  readonly differs?: Partial<Record<'descriptors' | 'environment', readonly Value[]>>;
}

interface Running {
  readonly daemon: Daemon;
  readonly name: string;
  /** Of its socket, where it has one. */
  readonly path: string;
}

const LISTEN = '127.0.0.1:0';

/** By name, a service for each question. */
const services = new Map<string, { way: Way; keys: string }>();
let daemon: Daemon;
let forking: Daemon;
let [program, sockets] = ['', ''];

beforeAll(async () => {
  [program, sockets] = [dumpProgram(), makeFolder()];
  daemon = await startDaemon(configuration(false));
  forking = await startDaemon(configuration(true), { env: { STDIOD_SPAWN: 'fork' } });
});

/** @returns the name of a service of its own, which is there when tests run */
function serve(way: Way, keys = ''): string {
  const name = `s${services.size}`;
  services.set(name, { way, keys });
  return name;
}

function configuration(isForked: boolean): string {
  const lines = [...services].map(([name, { way, keys }]) => {
    const listen = (way.listen ?? `listen: "${LISTEN}",`).replace('PATH', join(sockets, name));
    return `  ${name}: {${listen} exec: ${program}, enabled: ${(way.isForked ?? false) === isForked}, ${way.keys ?? ''} ${keys}}\n`;
  });
  return `services:\n  mux: {listen: "${LISTEN}", builtin: tcpmux}\n${lines.join('')}`;
}

/** @param said what the keys are to change */
async function found(name: string, said: Facts = {}): Promise<Facts> {
  const way = services.get(name)?.way;
  const by = way?.isForked === true ? forking : daemon;
  const answer = await (way?.ask ?? askTcp)({ daemon: by, name, path: join(sockets, name) });
  return plain(answer, by, program, said);
}

async function plain(answer: string, daemon: Daemon, program: string, said: Facts = {}): Promise<Facts> {
  const dump: Dump = parseDump(answer);
  await daemon.waitFor('reaped', { pid: dump.pid });
  return plainDump(dump, daemon, dirname(program), Object.keys(said));
}

function askTcp({ daemon, name }: Running): Promise<string> {
  return exchange(daemon.port(name), '');
}

async function askMux({ daemon, name }: Running): Promise<string> {
  const client = await connectTo(daemon.port('mux'));
  client.send(`${name}\r\n`);
  return client.rest();
}

async function askUdp({ daemon, name }: Running): Promise<string> {
  return (await datagramClient()).ask('hello', daemon.port(name));
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

const NAMES = ['STDIOD_SERVICE=<service>', 'STDIOD_CONNECTION=<connection>'];
const PASSED = ['LISTEN_FDS=1', 'LISTEN_FDNAMES=<service>', ...NAMES, 'LISTEN_PID=<pid>'];
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
  'by a plain fork': { isForked: true },
  'by tcpmux': {
    listen: 'tcpmux: true,',
    ask: askMux,
  },
  'behind a Unix socket': {
    listen: 'listen: "unix:PATH", socket: {mode: "0666"},',
    ask: ({ path }) => exchangeUnix(path),
    differs: {
      descriptors: connection({ family: 'unix', peer: null }),
      environment: [...UNIX_PEER, ...NAMES, ...BASICS],
    },
  },
  'behind a Unix socket of packets': {
    listen: 'listen: "unix-seqpacket:PATH", socket: {mode: "0666"},',
    ask: ({ path }) => askKind('seqpacket', path),
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
    ask: ({ path }) => askKind('dgram', path),
    differs: {
      descriptors: lent({ family: 'unix', type: 'datagram' }),
      environment: ['PROTO=UNIX', 'UNIXLOCALPATH=<path>', ...PASSED, ...BASICS],
    },
  },
};

const GOLDEN = goldenDump();
const OF_OTHER = 'user: 54321, group: 54322, groups: [54323, 54324], capabilities: [net_raw, kill]';
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
  const [ordinary, many] = [serve(way), serve(way, MANY)];
  const ofOther = isRoot ? serve(way, OF_OTHER) : '';

  test('finds what the golden dump has, and nothing else', async () => {
    expect(await found(ordinary)).toEqual({ ...GOLDEN, ...way.differs });
  });

  test('finds what the file says, and nothing else has changed', async () => {
    expect(await found(many, OF_MANY)).toEqual({ ...GOLDEN, ...OF_MANY, ...way.differs });
  });

  testAsRoot('is whom the file says, with the rights that the file gives (needs root)', async () => {
    const set = ['kill', 'net_raw'];
    const sets = { effective: set, permitted: set, inheritable: set, ambient: set, bounding: set };
    const ids = { uid: four(54321), gid: four(54322), groups: [54323, 54324], capabilities: sets };
    const environment = asNumber((way.differs?.environment ?? GOLDEN.environment) as readonly string[]);
    expect(await found(ofOther)).toEqual({ ...GOLDEN, ...ids, ...way.differs, environment });
  });
});

const OVER_IPV6 = serve({
  listen: 'listen: "[::1]:0",',
  ask: ({ daemon, name }) => exchange(daemon.port(name), '', '::1'),
});

testIpv6('over IPv6 only the addresses differ', async () => {
  const environment = GOLDEN.environment.map((variable) => variable.replace('127.0.0.1', '::1'));
  expect(await found(OVER_IPV6)).toEqual({ ...GOLDEN, descriptors: connection({ family: 'ipv6' }), environment });
});

test('under try a program finds the PATH and the folder of the caller, and its standard error is the log', async () => {
  const program = dumpProgram();
  const daemon = await startWords(['try', LISTEN, '--', program], { env: { PATH: '/usr/bin:/bin' } });
  const found = await plain(await exchange(daemon.port(), ''), daemon, program);
  const environment = GOLDEN.environment.map((variable) => variable.replace(/^PATH=.*/, 'PATH=/usr/bin:/bin'));
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

const KEYED = KEYS.map(([keys, differs]): [string, string, Facts] => [keys, serve({}, keys), differs]);

test.each(KEYED)('%s changes that and nothing else', async (_, name, differs) => {
  expect(await found(name, differs)).toEqual({ ...GOLDEN, ...differs });
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
