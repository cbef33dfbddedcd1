import { formatAddress } from '../../../../src/service/address';
import { asAlice } from '../pretend-machine';
import { problemsOf, service, withKeys } from '../loading';

test('takes one address or a list, ports by number or by name', () => {
  const { listen } = service(withKeys('listen: [7007, "127.0.0.1:http", "[::1]:10-11"]'));
  expect(listen.map(({ sockets }) => sockets.map(formatAddress))).toEqual([
    ['0.0.0.0:7007', '[::]:7007'],
    ['127.0.0.1:80'],
    ['[::1]:10'],
    ['[::1]:11'],
  ]);
});

test('refuses a port that stdiod has no right to bind', () => {
  expect(problemsOf(withKeys('listen: [8080, 80, 0, "127.0.0.1:1000-2000"]'), asAlice)).toEqual([
    '3:20 services.a.listen[1]: stdiod has no right to bind port 80' +
      ' (run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up)',
    '3:27 services.a.listen[3]: stdiod has no right to bind port 1000' +
      ' (run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up)',
  ]);
});

test.each(['fe80::1', '::1'])('refuses [%s] on an interface that is not there', (address) => {
  expect(problemsOf(withKeys(`listen: "[${address}%nosuch]:80"`))).toEqual([
    '3:13 services.a.listen: there is no network interface "nosuch" (the interfaces here are lo, eth0, eth1)',
  ]);
  for (const name of ['lo', 'uplink']) expect(problemsOf(withKeys(`listen: "[${address}%${name}]:80"`))).toEqual([]);
});

test('without IPv6 serves IPv4 alone and refuses an IPv6 address', () => {
  const noIpv6 = { hasIpv6: false };
  expect(service(withKeys('listen: 80'), noIpv6).listen[0]?.sockets.map(formatAddress)).toEqual(['0.0.0.0:80']);
  expect(problemsOf(withKeys('listen: "[::1]:80"'), noIpv6)[0]).toContain('this machine has no IPv6');
  expect(problemsOf(withKeys('listen: 80/tcp6'), noIpv6)[0]).toContain('this machine has no IPv6');
});
