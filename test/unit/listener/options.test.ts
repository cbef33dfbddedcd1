import { optionsFor } from '../../../src/listener/options';
import type { SocketAddress } from '../../../src/service/address';
import { SOCKET_OPTIONS, type SocketOption } from '../../../src/service/socket-options';
import { sampleSocketOptions } from '../service/sample';

const NAMES = SOCKET_OPTIONS.map(({ name }) => name);
const ALL = Object.fromEntries(NAMES.map((name) => [name, 1]));
const TCP_OPTIONS = NAMES.filter((name) => name.startsWith('TCP_'));
const BUFFERS: readonly SocketOption[] = ['SO_RCVBUF', 'SO_SNDBUF'];
const NOT_FOR_TCP_ALONE = NAMES.filter((name) => !TCP_OPTIONS.includes(name));

test.each<[string, SocketAddress, readonly SocketOption[]]>([
  ['TCP', { family: 'ipv4', type: 'stream', address: '0.0.0.0', port: 1 }, NAMES],
  ['UDP', { family: 'ipv6', type: 'datagram', address: '::', port: 1 }, NOT_FOR_TCP_ALONE],
  ['a Unix path', { family: 'unix', type: 'stream', path: '/x' }, BUFFERS],
  ['an abstract name', { family: 'unix', type: 'datagram', path: '@x' }, BUFFERS],
  ['vsock', { family: 'vsock', type: 'stream', port: 1 }, BUFFERS],
])('of a service’s options, %s gets those that mean something to it', (_, address, expected) => {
  const options = sampleSocketOptions({ extra: ALL, backlog: 7, nodelay: true });
  const { extra, ...rest } = optionsFor(address, options);
  expect(Object.keys(extra)).toEqual(expected);
  expect(rest).toMatchObject({ backlog: 7, nodelay: true });
});

test('the options of the service itself stay as they are', () => {
  const options = sampleSocketOptions({ extra: ALL });
  optionsFor({ family: 'unix', type: 'stream', path: '/x' }, options);
  expect(options.extra).toEqual(ALL);
});
