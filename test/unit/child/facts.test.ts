/**
 * What a child is told of its connection, for every kind of socket.
 */
import { connectionFacts, connectionValues, lentFacts, lentValues } from '../../../src/child/facts';
import { FACT_NAMES } from '../../../src/service/fact-names';
import type { SocketAddress } from '../../../src/service/address';
import type { LocalEnd, Peer } from '../../../src/service/peer';
import { PLACEHOLDERS } from '../../../src/service/template';

const NAMES = { service: 'finger', connection: 'c1a7' };
const OWN = ['STDIOD_SERVICE=finger', 'STDIOD_CONNECTION=c1a7', ''];

const TCP: SocketAddress = { family: 'ipv6', type: 'stream', address: '::', port: 79 };
const UDP: SocketAddress = { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port: 69 };
const UNIX: SocketAddress = { family: 'unix', type: 'stream', path: '/run/finger' };
const VSOCK: SocketAddress = { family: 'vsock', type: 'stream', port: 5 };
const PASSED: SocketAddress = { family: 'passed', type: 'stream', name: 'web' };

const PEER: Peer = { family: 'ipv6', address: 'fe80::1%eth0', port: 51034 };
const LOCAL: LocalEnd = { address: 'fe80::2%eth0', port: 79 };
const FROM_UNIX: Peer = { family: 'unix', path: '@client', credentials: { pid: 4711, uid: 1000, gid: 100 } };
const AT_UNIX: LocalEnd = { address: '/run/finger', port: 0 };
const FROM_VSOCK: Peer = { family: 'vsock', address: '3', port: 1025 };
const AT_VSOCK: LocalEnd = { address: '4', port: 5 };

function namesIn(facts: string): string[] {
  return facts
    .split('\0')
    .filter(Boolean)
    .map((fact) => fact.split('=')[0] ?? '');
}

test('a TCP peer is told in every dialect, each fact ended by NUL', () => {
  expect(connectionFacts(PEER, LOCAL, NAMES).split('\0')).toEqual([
    'PROTO=TCP',
    'TCPREMOTEIP=fe80::1%eth0',
    'TCPREMOTEPORT=51034',
    'TCPLOCALIP=fe80::2%eth0',
    'TCPLOCALPORT=79',
    'REMOTE_ADDR=fe80::1%eth0',
    'REMOTE_PORT=51034',
    'REMOTE_HOST=fe80::1%eth0',
    ...OWN,
  ]);
});

test('a Unix peer is told by its process, user and group, and by its name if it has one', () => {
  expect(connectionFacts(FROM_UNIX, AT_UNIX, NAMES).split('\0')).toEqual([
    'PROTO=UNIX',
    'UNIXLOCALPATH=/run/finger',
    'UNIXREMOTEPATH=@client',
    'UNIXREMOTEPID=4711',
    'UNIXREMOTEEUID=1000',
    'UNIXREMOTEEGID=100',
    ...OWN,
  ]);
  expect(connectionFacts({ ...FROM_UNIX, path: '' }, AT_UNIX, NAMES)).toContain('\0UNIXREMOTEPATH=\0');
});

test('a vsock peer is told by its context and port', () => {
  expect(connectionFacts(FROM_VSOCK, AT_VSOCK, NAMES).split('\0')).toEqual([
    'PROTO=VSOCK',
    'REMOTE_ADDR=3',
    'REMOTE_PORT=1025',
    ...OWN,
  ]);
});

const LISTEN = ['LISTEN_FDS=1', 'LISTEN_FDNAMES=finger'];

test.each<[string, SocketAddress, string[]]>([
  ['TCP', TCP, ['PROTO=TCP', 'TCPLOCALIP=::', 'TCPLOCALPORT=79']],
  ['UDP', UDP, ['PROTO=UDP', 'UDPLOCALIP=127.0.0.1', 'UDPLOCALPORT=69']],
  ['Unix', UNIX, ['PROTO=UNIX', 'UNIXLOCALPATH=/run/finger']],
  ['vsock', VSOCK, []],
])('a child that gets the %s socket itself is told of one passed socket', (_, local, facts) => {
  expect(lentFacts(local, NAMES).split('\0')).toEqual([...facts, ...LISTEN, ...OWN]);
});

test('no fact is told that a variable could forge, and none is kept from variables without being told', () => {
  const told = [
    connectionFacts(PEER, LOCAL, NAMES),
    connectionFacts(FROM_UNIX, AT_UNIX, NAMES),
    connectionFacts(FROM_VSOCK, AT_VSOCK, NAMES),
    ...[TCP, UDP, UNIX, VSOCK, PASSED].map((local) => lentFacts(local, NAMES)),
  ].map(namesIn);
  expect(new Set([...told.flat(), 'LISTEN_PID'])).toEqual(FACT_NAMES);
  for (const names of told) expect(names).toHaveLength(new Set(names).size);
});

test('placeholders stand for the facts of the connection', () => {
  expect(connectionValues(PEER, LOCAL, NAMES)).toEqual({
    'peer.address': 'fe80::1%eth0',
    'peer.port': '51034',
    'local.address': 'fe80::2%eth0',
    'local.port': '79',
    fd: '0',
    ...NAMES,
  });
});

test.each<[string, SocketAddress, string, string]>([
  ['TCP', TCP, '::', '79'],
  ['UDP', UDP, '127.0.0.1', '69'],
  ['Unix', UNIX, '/run/finger', ''],
  ['vsock', VSOCK, '', '5'],
])('under wait there is no peer, and %s has its own end', (_, local, address, port) => {
  expect(lentValues(local, NAMES)).toEqual({
    'peer.address': '',
    'peer.port': '',
    'local.address': address,
    'local.port': port,
    fd: '0',
    ...NAMES,
  });
});

test('every placeholder has a value, for a connection and for a socket that is handed over', () => {
  for (const values of [connectionValues(PEER, LOCAL, NAMES), lentValues(PASSED, NAMES)]) {
    expect(Object.keys(values).sort()).toEqual([...PLACEHOLDERS].sort());
  }
});

test.each([
  ['/run/client', '/run/client'],
  ['@client', '@client'],
  ['', ''],
  ['-oa file', ''],
  ['../secret', ''],
  ['/run/../secret', ''],
  ['@a/b', '@a/b'],
  ['@/../secret', ''],
])('of a Unix client bound to %j a program is told %j: no option, and no way out of a folder', (path, told) => {
  const peer: Peer = { family: 'unix', path, credentials: null };
  expect(connectionValues(peer, AT_UNIX, NAMES)['peer.address']).toBe(told);
  expect(connectionFacts(peer, AT_UNIX, NAMES)).toContain(`\0UNIXREMOTEPATH=${told}\0`);
});
