import { formatAddress } from '../../../../src/service/address';
import { asAlice } from '../pretend-machine';
import { load, problemsOf, service, withKeys } from '../loading';

function two(first: string, second: string): string {
  return `services:\n  a: {listen: ${first}, exec: cat}\n  b: {listen: ${second}, exec: cat}\n`;
}

test('takes one address or a list, ports by number or by name', () => {
  const { listen } = service(withKeys('listen: [7007, "127.0.0.1:http", "[::1]:10-11"]'));
  expect(listen.map(({ sockets }) => sockets.map(formatAddress))).toEqual([
    ['0.0.0.0:7007', '[::]:7007'],
    ['127.0.0.1:80'],
    ['[::1]:10'],
    ['[::1]:11'],
  ]);
});

test.each([
  ['80', '80', '0.0.0.0:80'],
  ['80', '"*:http"', '0.0.0.0:80'],
  ['80', '127.0.0.1:80', '127.0.0.1:80'],
  ['127.0.0.1:80', '80', '0.0.0.0:80'],
  ['"[::1]:80"', '80/tcp6', '[::]:80'],
  ['80/tcp6', '"[::1]:80"', '[::1]:80'],
  ['10-20', '15', '0.0.0.0:15'],
  ['127.0.0.1:80', '127.0.0.1:80', '127.0.0.1:80'],
])('refuses %s and %s on one machine, and shows both places', (first, second, address) => {
  expect(problemsOf(two(first, second))).toEqual([
    `3:15 services.b.listen: ${address} is already taken by services.a.listen (services.yaml:2:15)` +
      ' (give one of them another port or address, or "enabled: false")',
  ]);
});

test.each([
  ['80/tcp4', '80/tcp6'],
  ['80/tcp4', '"[::1]:80"'],
  ['127.0.0.1:80', '127.0.0.2:80'],
  ['80', '81'],
  ['0', '0'],
  ['127.0.0.1:0', '0'],
  ['"[fe80::1%eth0]:80"', '"[fe80::1%eth1]:80"'],
])('lets %s and %s stand side by side', (first, second) => {
  expect(problemsOf(two(first, second))).toEqual([]);
});

test('refuses one address twice in one service', () => {
  expect(problemsOf(withKeys('listen: [80, "127.0.0.1:80"]'))[0]).toContain(
    '3:18 services.a.listen[1]: 127.0.0.1:80 is already taken by services.a.listen[0] (services.yaml:3:14)',
  );
});

test('reports two ranges that meet once, not for each port', () => {
  expect(problemsOf(two('1-65535', '1-65535'))).toHaveLength(1);
});

test('lets a disabled service name an address that another one has', () => {
  const text = 'services:\n  a: {listen: 80, exec: cat}\n  b: {listen: 80, exec: cat, enabled: false}\n';
  expect(load(text).configuration.services.map(({ enabled }) => enabled)).toEqual([true, false]);
});

test('refuses a port that stdiod has no right to bind', () => {
  expect(problemsOf(withKeys('listen: [8080, 80, 0, "127.0.0.1:1000-2000"]'), asAlice)).toEqual([
    '3:20 services.a.listen[1]: stdiod has no right to bind port 80' +
      ' (run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up)',
    '3:27 services.a.listen[3]: stdiod has no right to bind port 1000' +
      ' (run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up)',
  ]);
});

test('without IPv6 serves IPv4 alone and refuses an IPv6 address', () => {
  const noIpv6 = { hasIpv6: false };
  expect(service(withKeys('listen: 80'), noIpv6).listen[0]?.sockets.map(formatAddress)).toEqual(['0.0.0.0:80']);
  expect(problemsOf(withKeys('listen: "[::1]:80"'), noIpv6)[0]).toContain('this machine has no IPv6');
  expect(problemsOf(withKeys('listen: 80/tcp6'), noIpv6)[0]).toContain('this machine has no IPv6');
});
