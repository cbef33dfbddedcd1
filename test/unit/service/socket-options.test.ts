import type { SocketAddress } from '../../../src/service/address';
import { type OptionScope, isInScope, resetsOf } from '../../../src/service/socket-options';

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

describe('what a socket is not to have any more', () => {
  test('is set to what a new socket has', () => {
    const before = { IP_TOS: 16, SO_MARK: 7, SO_BINDTODEVICE: 'eth0', TCP_DEFER_ACCEPT: 5 };
    const values = { SO_BINDTODEVICE: '', SO_MARK: 0, TCP_DEFER_ACCEPT: 0 };
    expect(resetsOf(before, { IP_TOS: 8 })).toEqual({ values, stuck: [] });
  });

  test('sticks where the kernel has no value for that', () => {
    const before = { SO_RCVBUF: 4096, TCP_KEEPIDLE: 60, IPV6_V6ONLY: 0, IP_TOS: 16 };
    expect(resetsOf(before, {})).toEqual({
      values: { IP_TOS: 0 },
      stuck: ['SO_RCVBUF', 'IPV6_V6ONLY', 'TCP_KEEPIDLE'],
    });
  });

  test('is nothing when it keeps what it had, with whatever value', () => {
    expect(resetsOf({ IP_TOS: 16 }, { IP_TOS: 8, SO_MARK: 7 })).toEqual({ values: {}, stuck: [] });
  });
});
