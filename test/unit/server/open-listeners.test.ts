import { formatAddress, type ListenAddress, type SocketAddress } from '../../../src/service/address';
import type { Service } from '../../../src/service/service';
import type { Hosted, HostedListener } from '../../../src/server/hosted';
import {
  describeFailure,
  listenKey,
  openListeners,
  type ListenFailure,
  type OpenedSockets,
} from '../../../src/server/open-listeners';
import { sampleService } from '../service/sample';
import { PretendListeners } from './pretend-listeners';

const OWNER = {} as Hosted;

function ipv4(port: number, address = '127.0.0.1'): SocketAddress {
  return { family: 'ipv4', type: 'stream', address, port };
}

function wildcard(port: number): ListenAddress {
  return { sockets: [ipv4(port, '0.0.0.0'), { family: 'ipv6', type: 'stream', address: '::', port }] };
}

function serviceOn(name: string, ...listen: ListenAddress[]): Service {
  return sampleService({ name, listen });
}

let listeners: PretendListeners;
beforeEach(() => (listeners = new PretendListeners()));

function open(
  services: readonly Service[],
  existing: ReadonlyMap<string, HostedListener> = new Map(),
): OpenedSockets | readonly ListenFailure[] {
  const wanted = new Map(services.map((service) => [service, OWNER]));
  return openListeners(wanted, listeners.asListeners, (key) => existing.get(key) ?? null);
}

function mustOpen(...parameters: Parameters<typeof open>): OpenedSockets {
  const opened = open(...parameters);
  if ('byService' in opened) return opened;
  throw new Error(opened.map(describeFailure).join('; '));
}

function addressesOf(all: readonly HostedListener[] | undefined): string[] {
  return (all ?? []).map(({ address }) => formatAddress(address));
}

test('opens every socket of every service, in the order of its listen', () => {
  const web = serviceOn('web', { sockets: [ipv4(80)] }, { sockets: [ipv4(81)] });
  const { byService, fresh } = mustOpen([web, serviceOn('echo', wildcard(7))]);
  expect(addressesOf(byService.get('web'))).toEqual(['127.0.0.1:80', '127.0.0.1:81']);
  expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:7', '[::]:7']);
  expect(addressesOf(fresh)).toEqual(listeners.addresses);
});

test('an address that is bound already keeps its very socket', () => {
  const kept = listeners.open(ipv4(80), {}, OWNER);
  const service = serviceOn('web', { sockets: [ipv4(80)] }, { sockets: [ipv4(81)] });
  const { byService, fresh } = mustOpen([service], new Map([['127.0.0.1:80', kept]]));
  expect(byService.get('web')?.[0]).toBe(kept);
  expect(addressesOf(fresh)).toEqual(['127.0.0.1:81']);
});

test('if one address cannot be bound, all new ones are closed again and those that serve stay', () => {
  const kept = listeners.open(ipv4(80), {}, OWNER);
  listeners.taken.add('127.0.0.1:82');
  const service = serviceOn('web', { sockets: [ipv4(80)] }, { sockets: [ipv4(81)] }, { sockets: [ipv4(82)] });
  open([service], new Map([['127.0.0.1:80', kept]]));
  expect(listeners.addresses).toEqual(['127.0.0.1:80']);
});

test('every address that cannot be bound is told, each with its service', () => {
  for (const port of [80, 82]) listeners.taken.add(`127.0.0.1:${port}`);
  const failures = open([
    serviceOn('web', { sockets: [ipv4(80)] }, { sockets: [ipv4(81)] }),
    serviceOn('mail', { sockets: [ipv4(82)] }),
  ]) as readonly ListenFailure[];
  expect(failures.map(describeFailure)).toEqual([
    'listen 127.0.0.1:80 (web): EADDRINUSE address already in use',
    'listen 127.0.0.1:82 (mail): EADDRINUSE address already in use',
  ]);
});

describe('port 0 on every address', () => {
  test('is one number in both families', () => {
    const { byService } = mustOpen([serviceOn('echo', wildcard(0))]);
    expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:40000', '[::]:40000']);
  });

  test('is another number when somebody holds the first one in the other family', () => {
    for (const port of [40000, 40001]) listeners.taken.add(`[::]:${port}`);
    const { byService, fresh } = mustOpen([serviceOn('echo', wildcard(0))]);
    expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:40002', '[::]:40002']);
    expect(addressesOf(fresh)).toEqual(listeners.addresses);
  });

  test('fails in the end, and leaves nothing behind, when there is no such number', () => {
    for (let port = 40000; port < 40100; port += 1) listeners.taken.add(`[::]:${port}`);
    const failures = open([serviceOn('echo', wildcard(0))]);
    expect(failures).toMatchObject([
      { service: 'echo', address: { address: '::', port: 0 }, error: { code: 'EADDRINUSE' } },
    ]);
    expect(listeners.addresses).toEqual([]);
  });

  test('keeps the numbers that it has', () => {
    const [four, six] = [
      listeners.open(ipv4(0, '0.0.0.0'), {}, OWNER),
      listeners.open(wildcard(40000).sockets[1] ?? ipv4(0), {}, OWNER),
    ];
    const existing = new Map([
      ['echo 0 stream 0.0.0.0', four],
      ['echo 0 stream ::', six],
    ]);
    const { byService, fresh } = mustOpen([serviceOn('echo', wildcard(0))], existing);
    expect(byService.get('echo')).toEqual([four, six]);
    expect(fresh).toEqual([]);
  });
});

test('opens sockets of every family, and a port that only one family has is no pair', () => {
  const others: SocketAddress[] = [
    { family: 'unix', type: 'stream', path: '/run/web' },
    { family: 'unix', type: 'datagram', path: '@web' },
    { family: 'vsock', type: 'stream', port: 5 },
    { family: 'passed', type: 'stream', name: 'web' },
    { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port: 0 },
  ];
  const listen = others.map((address) => ({ sockets: [address] }));
  const { byService } = mustOpen([serviceOn('web', ...listen)]);
  expect(addressesOf(byService.get('web'))).toEqual([
    'unix:/run/web',
    'unix-dgram:@web',
    'vsock:5',
    'fd:web',
    '127.0.0.1:40000/udp',
  ]);
});

test('one number is two listeners, one for streams and one for datagrams, chosen or not', () => {
  for (const port of [0, 53]) {
    const udp: SocketAddress = { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port };
    expect(listenKey('dns', 0, ipv4(port))).not.toBe(listenKey('dns', 0, udp));
  }
});

test('a listener is known by its address, and where the kernel chose the port, by its place in its service', () => {
  expect(listenKey('web', 1, ipv4(80))).toBe(listenKey('mail', 0, ipv4(80)));
  expect(listenKey('web', 1, ipv4(0))).not.toBe(listenKey('mail', 1, ipv4(0)));
  expect(listenKey('web', 1, ipv4(0))).not.toBe(listenKey('web', 0, ipv4(0)));
  expect(listenKey('web', 1, ipv4(0))).not.toBe(listenKey('web', 1, ipv4(0, '0.0.0.0')));
});
