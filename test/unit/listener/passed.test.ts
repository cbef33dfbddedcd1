/**
 * The protocol of sd_listen_fds(3), on a pretended addon that has whatever sockets a test wants.
 */
import { PassedSockets } from '../../../src/listener/passed';
import type { ListeningSocket } from '../../../src/listener/socket';
import type { PassedSocketFacts } from '../../../src/native/addon';
import type { PassedAddress } from '../../../src/service/address';
import type { PassedSocket } from '../../../src/service/listen-text';
import type { SocketOptions } from '../../../src/service/service';
import { sampleSocketOptions } from '../service/sample';

const mockSockets = new Map<number, Partial<PassedSocketFacts>>();
const mockCalls = { setListenerOptions: jest.fn(), setBlocking: jest.fn(), close: jest.fn() };

jest.mock('../../../src/native/addon', () => ({
  addon: {
    takePassed: (number: number): unknown => {
      const facts = mockSockets.get(number);
      if (facts === undefined) throw Object.assign(new Error('ENOTSOCK'), { code: 'ENOTSOCK', syscall: 'getsockname' });
      return {
        fd: number + 1021,
        family: 'ipv4',
        type: 'stream',
        isListening: true,
        address: '127.0.0.1',
        port: 80,
        ...facts,
      };
    },
    setListenerOptions: (...words: unknown[]): unknown => mockCalls.setListenerOptions(...words),
    setBlocking: (...words: unknown[]): unknown => mockCalls.setBlocking(...words),
    close: (...words: unknown[]): unknown => mockCalls.close(...words),
  },
}));

beforeEach(() => {
  jest.clearAllMocks();
  mockSockets.clear();
  for (const number of [3, 4, 5]) mockSockets.set(number, {});
});

function variables(count: string, names?: string, pid = String(process.pid)): NodeJS.ProcessEnv {
  const known = names === undefined ? {} : { LISTEN_FDNAMES: names };
  return { PATH: '/bin', LISTEN_PID: pid, LISTEN_FDS: count, ...known };
}

function listOf(environment: NodeJS.ProcessEnv): readonly PassedSocket[] {
  return PassedSockets.fromEnvironment(environment).list;
}

function takeWeb(options: Partial<SocketOptions> = {}): ListeningSocket {
  return PassedSockets.fromEnvironment(variables('1', 'web')).take(address('web'), sampleSocketOptions(options));
}

function address(name: string): PassedAddress {
  return { family: 'passed', type: 'stream', name };
}

test('takes as many sockets as it was told, from 3 on, each with its name', () => {
  mockSockets.set(4, { type: 'datagram' });
  expect(listOf(variables('2', 'web:dns'))).toEqual([
    { name: 'web', number: 3, type: 'stream' },
    { name: 'dns', number: 4, type: 'datagram' },
  ]);
});

test('a socket without a name is called unknown, as sd_listen_fds_with_names does', () => {
  const names = (text?: string): string[] => listOf(variables('2', text)).map(({ name }) => name);
  expect(names()).toEqual(['unknown', 'unknown']);
  expect(names('web')).toEqual(['web', 'unknown']);
});

test('what is no socket is passed over, and the others keep their numbers and names', () => {
  mockSockets.delete(4);
  expect(listOf(variables('3', 'a:b:c'))).toEqual([
    { name: 'a', number: 3, type: 'stream' },
    { name: 'c', number: 5, type: 'stream' },
  ]);
});

test.each([
  ['somebody else', variables('2', 'a:b', '1')],
  ['nobody', variables('2', 'a:b', '')],
  ['an unset variable', { PATH: '/bin', LISTEN_FDS: '2' }],
])('sockets for %s are not taken', (_, environment) => {
  expect(listOf(environment)).toEqual([]);
});

test.each(['0', '', 'two', '-1'])('takes nothing when the number of sockets is %j', (count) => {
  expect(listOf(variables(count))).toEqual([]);
});

test.each([String(process.pid), '1'])(
  'the variables are gone afterwards and others stay, with LISTEN_PID=%s',
  (pid) => {
    const environment = variables('2', 'a:b', pid);
    listOf(environment);
    expect(environment).toEqual({ PATH: '/bin' });
  },
);

test('a taken socket is bound to where it was bound, and made ready to be accepted from', () => {
  expect(takeWeb({ backlog: 7 })).toMatchObject({
    fd: 1024,
    address: { family: 'ipv4', type: 'stream', address: '127.0.0.1', port: 80 },
    configured: address('web'),
    origin: { kind: 'passed' },
  });
  expect(mockCalls.setListenerOptions).toHaveBeenCalledWith(1024, expect.objectContaining({ backlog: 7 }));
  expect(mockCalls.setBlocking).toHaveBeenCalledWith(1024, false);
});

test('gets the options that mean something to what it turned out to be', () => {
  mockSockets.set(3, { family: 'unix', address: '/run/web' });
  const socket = takeWeb({ extra: { TCP_KEEPIDLE: 60, SO_RCVBUF: 65536 } });
  expect(socket.address).toEqual({ family: 'unix', type: 'stream', path: '/run/web' });
  expect(mockCalls.setListenerOptions).toHaveBeenCalledWith(
    1024,
    expect.objectContaining({ extra: { SO_RCVBUF: 65536 } }),
  );
});

test.each<[Partial<PassedSocketFacts>, unknown]>([
  [
    { family: 'vsock', address: '4', port: 5 },
    { family: 'vsock', type: 'stream', port: 5 },
  ],
  [
    { family: 'ipv6', type: 'datagram', address: '::', port: 69 },
    { family: 'ipv6', type: 'datagram', address: '::', port: 69 },
  ],
  [{ family: 'other', address: '' }, address('web')],
])('its address is told as far as it has one: %p', (facts, expected) => {
  mockSockets.set(3, facts);
  expect(takeWeb().address).toEqual(expected);
});

test('is found by its number too, and a name is preferred', () => {
  const passed = PassedSockets.fromEnvironment(variables('3', 'web:3:mail'));
  const fdOf = (name: string): number => passed.take(address(name), sampleSocketOptions()).fd;
  expect([fdOf('web'), fdOf('5'), fdOf('3')]).toEqual([1024, 1026, 1025]);
});

test('its name and its number are one socket', () => {
  const passed = PassedSockets.fromEnvironment(variables('2', 'web:mail'));
  expect(['web', '3', 'mail', 'news'].map((name) => passed.numberOf(name))).toEqual([3, 3, 4, undefined]);
});

test('can be taken again by a reload, and is the same socket', () => {
  const passed = PassedSockets.fromEnvironment(variables('1', 'web'));
  const fds = [1, 2].map(() => passed.take(address('web'), sampleSocketOptions()).fd);
  expect([fds, mockCalls.close.mock.calls]).toEqual([[1024, 1024], []]);
});

test('two books of passed sockets know nothing of each other', () => {
  const [one, other] = [variables('1', 'web'), {}].map((environment) => PassedSockets.fromEnvironment(environment));
  expect([one?.list.length, other?.list.length]).toEqual([1, 0]);
});

test.each([
  ['was not passed', 'mail', 'EBADF', 'LISTEN_FDS'],
  ['does not listen', 'web', 'EINVAL', 'accept'],
])('one that %s is an error', (_, name, code, syscall) => {
  mockSockets.set(3, { isListening: false });
  const passed = PassedSockets.fromEnvironment(variables('1', 'web'));
  expect(() => passed.take(address(name), sampleSocketOptions())).toThrow(
    expect.objectContaining({ code, syscall }) as Error,
  );
});

test('a datagram socket needs no listen', () => {
  mockSockets.set(3, { type: 'datagram', isListening: false });
  expect(takeWeb().fd).toBe(1024);
});
