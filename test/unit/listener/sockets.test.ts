/**
 * What is done with a listening socket, by the way in which we came by it, on a pretended addon.
 */
import { PassedSockets } from '../../../src/listener/passed';
import type { ListeningSocket } from '../../../src/listener/socket';
import { Sockets } from '../../../src/listener/sockets';
import { addon, type Fd } from '../../../src/native/addon';
import type { SocketAddress } from '../../../src/service/address';
import type { SocketOptions } from '../../../src/service/service';
import { systemError, tcp, udp } from '../server/pretended';
import { sampleSocketOptions } from '../service/sample';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    openListener: jest.fn(() => ({ fd: 1024, port: 40_000 })),
    setListenerOptions: jest.fn(),
    setBlocking: jest.fn(),
    sharePort: jest.fn(),
    stopListening: jest.fn(),
    holdOff: jest.fn(),
    close: jest.fn(),
    takePassed: jest.fn(() => ({
      ...{ fd: 1030, family: 'ipv4', type: 'stream', isListening: true, address: '127.0.0.1', port: 80 },
    })),
  },
}));

const kernel = jest.mocked(addon);
const PASSED: SocketAddress = { family: 'passed', type: 'stream', name: 'web' };
const ABSTRACT: SocketAddress = { family: 'unix', type: 'stream', path: '@web' };
const VSOCK: SocketAddress = { family: 'vsock', type: 'stream', port: 5 };
const FD = 1024 as Fd;
const BORROWER = { service: 'tftp', identity: null };

let sockets: Sockets;

beforeEach(() => {
  jest.clearAllMocks();
  const environment = { LISTEN_PID: String(process.pid), LISTEN_FDS: '1', LISTEN_FDNAMES: 'web' };
  sockets = new Sockets(PassedSockets.fromEnvironment(environment));
});

function open(address: SocketAddress, options: Partial<SocketOptions> = {}): ListeningSocket {
  return sockets.open(address, sampleSocketOptions(options));
}

test('a socket that we bind is known by the port that the kernel chose', () => {
  const options = sampleSocketOptions();
  expect(sockets.open(tcp(0), options)).toEqual({
    ...{
      fd: FD,
      address: tcp(40_000),
      configured: tcp(0),
      origin: { kind: 'bound' },
      options,
      past: { borrower: null },
    },
  });
});

test('a name in the abstract namespace has no file', () => {
  expect(open(ABSTRACT)).toMatchObject({ address: ABSTRACT, origin: { kind: 'bound' } });
});

test('gets the options that mean something to it, and remembers them all', () => {
  const extra = { TCP_KEEPIDLE: 60, SO_RCVBUF: 65_536 };
  const socket = open(udp(69), { extra });
  expect(kernel.openListener).toHaveBeenCalledWith(udp(69), expect.objectContaining({ extra: { SO_RCVBUF: 65_536 } }));
  expect(socket.options.extra).toEqual(extra);
});

test.each([
  [
    'TCP alone',
    tcp(80),
    [
      [FD, true],
      [FD, false],
    ],
  ],
  ['not UDP', udp(80), []],
  ['not abstract names', ABSTRACT, []],
  ['not vsock', VSOCK, []],
])('clients can be kept away and let in again, %s', (_, address, calls) => {
  const socket = open(address);
  sockets.holdOff(socket);
  sockets.welcome(socket);
  expect(kernel.holdOff.mock.calls).toEqual(calls);
});

test('where the kernel lets nobody keep clients away, they go on coming', () => {
  kernel.holdOff.mockImplementationOnce(() => {
    throw systemError('EPERM', 'setsockopt');
  });
  expect(() => {
    sockets.holdOff(open(tcp(80)));
  }).not.toThrow();
});

test('options are changed while it serves', () => {
  const socket = open(tcp(80));
  const options = sampleSocketOptions({ nodelay: true, backlog: 7 });
  sockets.change(socket, options);
  expect(kernel.setListenerOptions).toHaveBeenCalledWith(FD, options);
  expect(socket.options).toBe(options);
});

test('what the kernel refused is not remembered as set, so that the next reload tries again', () => {
  const socket = open(tcp(80));
  const { options } = socket;
  kernel.setListenerOptions.mockImplementationOnce(() => {
    throw systemError('EPERM', 'setsockopt');
  });
  expect(() => {
    sockets.change(socket, sampleSocketOptions({ nodelay: true }));
  }).toThrow('EPERM');
  expect(socket.options).toBe(options);
});

test.each([
  ['nothing', undefined, false],
  ['that it is', 1, true],
])('its port is shared for a moment, and afterwards as its own options say: %s', (_, own, after) => {
  const extra = own === undefined ? {} : { SO_REUSEPORT: own };
  const socket = open(tcp(80), { extra });
  const { options } = socket;
  for (const isShared of [true, false]) sockets.sharePort(socket, options, isShared);
  expect(kernel.sharePort.mock.calls).toEqual([
    [FD, true],
    [FD, after],
  ]);
  // It would listen again, which is not ours to do with one that a child has.
  expect(kernel.setListenerOptions).not.toHaveBeenCalled();
  expect(socket.options).toBe(options);
});

test('is closed by its number', () => {
  sockets.close(open(tcp(80)));
  expect(kernel.close.mock.calls).toEqual([[FD]]);
});

test.each([
  ['one that was lent listens for nobody any more', tcp(80), true, [[FD]]],
  ['one that was not lent is only closed', tcp(80), false, []],
  ['one of datagrams would keep its port all the same', udp(69), true, []],
  ['a passed one is somebody else’s too', PASSED, true, []],
])('when it is closed: %s', (_, address, isLent, stopped) => {
  const socket = open(address);
  socket.past.borrower = isLent ? BORROWER : null;
  sockets.close(socket);
  expect(kernel.stopListening.mock.calls).toEqual(stopped);
});

test('what a passed socket has been through is known to whoever takes it again', () => {
  open(PASSED).past.borrower = BORROWER;
  expect([open(PASSED).past.borrower, open(tcp(80)).past.borrower]).toEqual([BORROWER, null]);
});

test('a passed socket is neither held off nor closed: who passed it may want it again', () => {
  const socket = open(PASSED);
  sockets.holdOff(socket);
  sockets.welcome(socket);
  sockets.close(socket);
  expect(socket).toMatchObject({ fd: 1030, origin: { kind: 'passed' }, configured: PASSED });
  expect([kernel.holdOff, kernel.close].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
});
