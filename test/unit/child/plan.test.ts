import { connectionFacts, FACT_NAMES } from '../../../src/child/facts';
import { planOf } from '../../../src/child/plan';
import type { AcceptedSocket } from '../../../src/native/addon';
import { sampleService } from '../service/sample';

const NULL_FD = 17;

const SOCKET = {
  fd: 5,
  peerAddress: 'fe80::1%eth0',
  peerPort: 51034,
  localAddress: 'fe80::2%eth0',
  localPort: 79,
} as AcceptedSocket;

test('a plan says what the service says', () => {
  const identity = { user: 'nobody', uid: 65534, gid: 65534, groups: [65534] };
  const service = sampleService({
    command: { path: '/usr/bin/tr', argv: ['-tr', 'a-z', ''] },
    identity,
    directory: '/srv',
    umask: 0o77,
  });
  expect(planOf(service, NULL_FD)).toEqual({
    path: '/usr/bin/tr',
    argv: ['-tr', 'a-z', ''],
    environment: ['PATH=/bin'],
    identity,
    directory: '/srv',
    umask: 0o77,
    openFiles: 1024,
    stderrFd: -1,
  });
});

test('stderr is the connection, or /dev/null', () => {
  expect(planOf(sampleService({ stderr: 'socket' }), NULL_FD).stderrFd).toBe(-1);
  expect(planOf(sampleService({ stderr: 'null' }), NULL_FD).stderrFd).toBe(NULL_FD);
});

test('a fact of the connection outranks a variable of the same name', () => {
  const forged = Object.fromEntries([...FACT_NAMES].map((name) => [name, 'forged']));
  const service = sampleService({ environment: { ...forged, PATH: '/bin', REMOTE_ADDRESS: 'kept' } });
  expect(planOf(service, NULL_FD).environment).toEqual(['PATH=/bin', 'REMOTE_ADDRESS=kept']);
});

test('the facts of a connection are told in every dialect, each ended by NUL', () => {
  expect(connectionFacts(SOCKET, 'finger', 'c1a7').split('\0')).toEqual([
    'PROTO=TCP',
    'TCPREMOTEIP=fe80::1%eth0',
    'TCPREMOTEPORT=51034',
    'TCPLOCALIP=fe80::2%eth0',
    'TCPLOCALPORT=79',
    'REMOTE_ADDR=fe80::1%eth0',
    'REMOTE_PORT=51034',
    'REMOTE_HOST=fe80::1%eth0',
    'STDIOD_SERVICE=finger',
    'STDIOD_CONNECTION=c1a7',
    '',
  ]);
});

test('no fact is told that a variable could forge, and none is kept from variables without being told', () => {
  const told = connectionFacts(SOCKET, 's', 'c')
    .split('\0')
    .filter(Boolean)
    .map((fact) => fact.split('=')[0]);
  expect(new Set(told)).toEqual(FACT_NAMES);
  expect(told).toHaveLength(FACT_NAMES.size);
});
