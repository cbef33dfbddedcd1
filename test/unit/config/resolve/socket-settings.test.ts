import { schemaAt } from '../../../../src/config/keys/schema-at';
import { socketSchema } from '../../../../src/config/keys/socket-keys';
import type { SocketOptions } from '../../../../src/service/service';
import { SOCKET_OPTIONS } from '../../../../src/service/socket-options';
import { asAlice } from '../pretend-machine';
import { load, problemsOf, service, withKeys } from '../loading';

function socketOf(keys: string, changes = {}): SocketOptions {
  return service(withKeys(keys), changes).socket;
}

test('are given by the kernel’s names and in its units, and only those that are written', () => {
  expect(socketOf('').extra).toEqual({});
  const keys =
    'socket: {device: lo, freebind: true, transparent: true, reuse_port: true, mark: 4294967295, tos: 184,' +
    ' receive_buffer: 64K, send_buffer: 4096, keepalive: {idle: 1m, interval: 5s, count: 3}, user_timeout: 1500ms,' +
    ' defer_accept: 10s, fastopen: 16}';
  expect(socketOf(keys)).toMatchObject({
    keepalive: true,
    extra: {
      SO_BINDTODEVICE: 'lo',
      SO_REUSEPORT: 1,
      SO_MARK: 0xffffffff,
      SO_RCVBUF: 65_536,
      SO_SNDBUF: 4096,
      IP_FREEBIND: 1,
      IP_TRANSPARENT: 1,
      IP_TOS: 184,
      TCP_KEEPIDLE: 60,
      TCP_KEEPINTVL: 5,
      TCP_KEEPCNT: 3,
      TCP_USER_TIMEOUT: 1500,
      TCP_DEFER_ACCEPT: 10,
      TCP_FASTOPEN: 16,
    },
  });
});

test('every option of the kernel has a key that sets it', () => {
  expect(SOCKET_OPTIONS.filter(({ path }) => schemaAt(socketSchema, path) === undefined)).toEqual([]);
});

test('keepalive is a switch, or a map that switches it on', () => {
  expect(socketOf('socket: {keepalive: true}')).toMatchObject({ keepalive: true, extra: {} });
  expect(socketOf('socket: {keepalive: {}}')).toMatchObject({ keepalive: true, extra: {} });
  expect(socketOf('socket: {keepalive: false}')).toMatchObject({ keepalive: false, extra: {} });
});

test('of a Unix socket with a path are its permissions and its owners', () => {
  const keys = 'listen: unix:/tmp/x\nsocket: {mode: "660", owner: alice, group: games}';
  expect(socketOf(keys)).toMatchObject({ mode: 0o660, owner: 1000, group: 60 });
  expect(socketOf('listen: unix:/tmp/x\nsocket: {owner: 4242}')).toMatchObject({
    mode: null,
    owner: 4242,
    group: null,
  });
});

test.each([
  ['7/udp', 'nodelay: true', 'TCP sockets'],
  ['7/udp', 'keepalive: false', 'TCP sockets'],
  ['7/udp', 'user_timeout: 5s', 'TCP sockets'],
  ['7/udp', 'defer_accept: 5s', 'TCP sockets'],
  ['7/udp', 'fastopen: 5', 'TCP sockets'],
  ['7/udp', 'backlog: 5', 'sockets that take connections'],
  ['7', 'mode: "0660"', 'Unix sockets with a path'],
  ['7', 'owner: root', 'Unix sockets with a path'],
  ['"unix:@x"', 'group: root', 'Unix sockets with a path'],
  ['unix:/tmp/x', 'nodelay: true', 'TCP sockets'],
  ['unix:/tmp/x', 'device: lo', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'freebind: true', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'transparent: true', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'reuse_port: true', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'mark: 1', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'tos: 1', 'TCP and UDP sockets'],
  ['unix:/tmp/x', 'v6only: true', 'TCP and UDP sockets'],
])('on %s, %s has no meaning', (listen, option, scope) => {
  const key = option.replace(/:.*/, '');
  expect(problemsOf(withKeys(`listen: ${listen}\nsocket: {${option}}`))).toEqual([
    `4:14 services.a.socket.${key}: "${key}" is for ${scope}, and "listen" (services.yaml:3:5) has none` +
      ` (remove "${key}")`,
  ]);
});

test('that defaults have for other kinds of sockets are left out', () => {
  const defaults = 'defaults: {socket: {nodelay: true, mode: "0660", tos: 8, backlog: 9, v6only: false}}\n';
  expect(service(`${defaults}${withKeys('listen: 7/udp')}`).socket).toMatchObject({
    nodelay: false,
    mode: null,
    extra: { IP_TOS: 8 },
  });
  expect(service(`${defaults}${withKeys('listen: unix:/tmp/x')}`).socket).toMatchObject({
    backlog: 9,
    mode: 0o660,
    extra: {},
  });
  const { effective } = load(`${defaults}${withKeys('listen: 7/udp')}`);
  expect(effective.services['a']?.socket).not.toHaveProperty('nodelay');
});

test('are for the sockets that have them when a service listens on several kinds', () => {
  expect(problemsOf(withKeys('listen: [7, unix:/tmp/x]\nsocket: {nodelay: true, mode: "0660"}'))).toEqual([]);
});

describe('v6only: false', () => {
  test('is for IPv6 addresses alone', () => {
    for (const listen of ['7/tcp6', '7/udp6', '"[::]:7"']) {
      expect(socketOf(`listen: ${listen}\nsocket: {v6only: false}`).extra).toEqual({ IPV6_V6ONLY: 0 });
    }
    expect(socketOf('socket: {v6only: true}').extra).toEqual({});
  });

  test.each(['7', '"127.0.0.1:7"', '["[::]:7", 8/tcp4]'])('explains itself on %s', (listen) => {
    expect(problemsOf(withKeys(`listen: ${listen}\nsocket: {v6only: false}`)).join()).toMatch(
      /^4:14 services.a.socket.v6only: with "v6only: false" the IPv6 socket takes IPv4 clients as well, and .* \(services.yaml:3:\d+\) is a socket for IPv4 \(remove "v6only"; or listen on PORT\/tcp6/,
    );
  });

  test('of defaults is left out where it cannot be', () => {
    expect(service(`defaults: {socket: {v6only: false}}\n${withKeys('')}`).socket.extra).toEqual({});
  });
});

test('that need rights are refused without them', () => {
  for (const option of ['transparent: true', 'mark: 1']) {
    expect(problemsOf(withKeys(`socket: {${option}}`), asAlice).join()).toContain(
      `stdiod has no right to set "${option.replace(/:.*/, '')}" (run as root, or give the capability CAP_NET_ADMIN or`,
    );
  }
  expect(problemsOf(withKeys('socket: {device: lo, freebind: true, transparent: false}'), asAlice)).toEqual([]);
});

test('without root a socket stays with stdiod’s own user and groups', () => {
  const problem = (option: string): string =>
    problemsOf(withKeys(`listen: unix:/tmp/x\nsocket: {${option}}`), asAlice).join();
  expect(problem('owner: root')).toContain('only root can give a socket to another user');
  expect(problem('group: root')).toContain('stdiod is not in the group that the socket is to have');
  expect([problem('owner: alice'), problem('group: alice'), problem('group: games')]).toEqual(['', '', '']);
});

test('takes an interface by another name of it', () => {
  expect(problemsOf(withKeys('socket: {device: uplink}'))).toEqual([]);
});

test.each([
  ['listen: unix:/tmp/x\nsocket: {owner: nosuch}', 'services.a.socket.owner: unknown user "nosuch"'],
  ['listen: unix:/tmp/x\nsocket: {group: nosuch}', 'services.a.socket.group: unknown group "nosuch"'],
  ['socket: {device: nosuch0}', 'there is no network interface "nosuch0" (the interfaces here are'],
  ['socket: {device: "a/b"}', '"a/b" is not a name for a network interface'],
  ['socket: {device: 0123456789abcdef}', 'is not a name for a network interface'],
  ['socket: {tos: 256}', 'must be at most 255'],
  ['socket: {mark: -1}', 'must be at least 0'],
  ['socket: {fastopen: 0}', 'must be at least 1'],
  ['socket: {receive_buffer: 64k}', '"64k" is not a size (write bytes, or a number and K, M or G: 64K, 10M)'],
  ['socket: {send_buffer: 2G}', '"2G" is larger than the largest size, 1G'],
  ['socket: {send_buffer: 0K}', '"0K" is not a size: at least 1'],
  ['socket: {mode: 0660}', 'services.a.socket.mode: expected a string, got the number 660 (write the mode in quotes'],
  ['socket: {keepalive: 5}', 'expected true or false or a map, got the number 5'],
  [
    'socket: {keepalive: {idle: 5}}',
    'services.a.socket.keepalive.idle: expected a string, got the number 5 (write 5s)',
  ],
  ['socket: {keepalive: {idle: 500ms}}', '"500ms" is not a whole number of seconds'],
  ['socket: {keepalive: {interval: 0s}}', '"0s" is shorter than 1s'],
  ['socket: {keepalive: {idle: 10h}}', '"10h" is longer than 32767s'],
  ['socket: {keepalive: {count: 128}}', 'services.a.socket.keepalive.count: must be at most 127, got 128'],
  ['socket: {user_timeout: 0s}', '"0s" is shorter than 1ms'],
  ['socket: {defer_accept: 100ms}', '"100ms" is not a whole number of seconds'],
])('refuses %s', (keys, expected) => {
  expect(problemsOf(withKeys(keys)).join('\n')).toContain(expected);
});
