import type { SocketAddress } from '../../../src/service/address';
import { type OptionScope, isInScope } from '../../../src/service/socket-options';

const SCOPES: readonly OptionScope[] = ['any', 'connection', 'internet', 'tcp', 'unix-path'];

test.each<[string, SocketAddress, OptionScope[]]>([
  ['TCP', { family: 'ipv4', type: 'stream', address: '0.0.0.0', port: 1 }, ['any', 'connection', 'internet', 'tcp']],
  ['UDP', { family: 'ipv6', type: 'datagram', address: '::', port: 1 }, ['any', 'internet']],
  ['a Unix path', { family: 'unix', type: 'stream', path: '/x' }, ['any', 'connection', 'unix-path']],
  ['a Unix datagram path', { family: 'unix', type: 'datagram', path: '/x' }, ['any', 'unix-path']],
  ['an abstract name', { family: 'unix', type: 'seqpacket', path: '@x' }, ['any', 'connection']],
  ['vsock', { family: 'vsock', type: 'stream', port: 1 }, ['any', 'connection']],
  ['a passed stream', { family: 'passed', type: 'stream', name: 'x' }, ['any', 'connection', 'internet', 'tcp']],
  ['a passed datagram', { family: 'passed', type: 'datagram', name: 'x' }, ['any', 'internet']],
])('%s has its options and no others', (_title, address, expected) => {
  expect(SCOPES.filter((scope) => isInScope(address, scope))).toEqual(expected);
});
