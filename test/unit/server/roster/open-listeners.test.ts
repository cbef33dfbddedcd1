import { describeFailure, ListenKeys, Opening } from '../../../../src/server/roster/open-listeners';
import { atOnce } from '../../../../src/native/slices';
import type { HostedListener } from '../../../../src/server/hosted/hosted';
import { formatAddress, type ListenAddress, type SocketAddress } from '../../../../src/service/address';
import type { Service } from '../../../../src/service/service';
import { sampleService, sampleSocketOptions } from '../../service/sample';
import { hostedService, PretendServer, tcp, udp } from '../pretended';

const OWNER = hostedService();
const KEYS = new ListenKeys((name) => (name === 'web' ? 3 : undefined));

function wildcard(port: number): ListenAddress {
  return { sockets: [tcp(port, '0.0.0.0'), tcp(port, '::')] };
}

function serviceOn(name: string, ...listen: ListenAddress[]): Service {
  return sampleService({ name, listen });
}

let server: PretendServer;
beforeEach(() => (server = new PretendServer()));

function open(services: readonly Service[], existing: ReadonlyMap<string, HostedListener> = new Map()): Opening {
  const opening = openingWith((key) => existing.get(key) ?? null);
  for (const service of services) atOnce(opening.open(service, OWNER));
  return opening;
}

function openingWith(find: (key: string) => HostedListener | null): Opening {
  return new Opening({ listeners: server.listeners, find, keys: KEYS, rebinder: { open: () => null } });
}

function openBefore(address: SocketAddress): HostedListener {
  return server.listeners.open(address, sampleSocketOptions(), OWNER);
}

function mustOpen(...parameters: Parameters<typeof open>): Opening {
  const opened = open(...parameters);
  if (opened.failures.length > 0) throw new Error(opened.failures.map(describeFailure).join('; '));
  return opened;
}

function addressesOf(all: Iterable<HostedListener> | undefined): string[] {
  return [...(all ?? [])].map(({ address }) => formatAddress(address));
}

test('opens every socket of every service, in the order of its listen', () => {
  const web = serviceOn('web', { sockets: [tcp(80)] }, { sockets: [tcp(81)] });
  const { byService, fresh } = mustOpen([web, serviceOn('echo', wildcard(7))]);
  expect(addressesOf(byService.get('web'))).toEqual(['127.0.0.1:80', '127.0.0.1:81']);
  expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:7', '[::]:7']);
  expect(addressesOf(fresh)).toEqual(server.sockets.addresses);
});

test('an address that is bound already keeps its very socket', () => {
  const kept = openBefore(tcp(80));
  const service = serviceOn('web', { sockets: [tcp(80)] }, { sockets: [tcp(81)] });
  const { byService, fresh } = mustOpen([service], new Map([['127.0.0.1:80', kept]]));
  expect(byService.get('web')?.[0]).toBe(kept);
  expect(addressesOf(fresh)).toEqual(['127.0.0.1:81']);
});

test('an address that cannot be bound is left out, and the others are there, known by what they are', () => {
  const kept = openBefore(tcp(80));
  server.sockets.taken.add('127.0.0.1:82');
  const service = serviceOn('web', { sockets: [tcp(80)] }, { sockets: [tcp(81)] }, { sockets: [tcp(82)] });
  const { byService, keysOf } = open([service], new Map([['127.0.0.1:80', kept]]));
  expect(addressesOf(byService.get('web'))).toEqual(['127.0.0.1:80', '127.0.0.1:81']);
  expect(keysOf.get('web')).toEqual(['127.0.0.1:80', '127.0.0.1:81']);
});

test('every address that cannot be bound is told, each with its service', () => {
  for (const port of [80, 82]) server.sockets.taken.add(`127.0.0.1:${port}`);
  const { failures } = open([
    serviceOn('web', { sockets: [tcp(80)] }, { sockets: [tcp(81)] }),
    serviceOn('mail', { sockets: [tcp(82)] }),
  ]);
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
    for (const port of [40000, 40001]) server.sockets.taken.add(`[::]:${port}`);
    const { byService, fresh } = mustOpen([serviceOn('echo', wildcard(0))]);
    expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:40002', '[::]:40002']);
    expect(addressesOf(fresh)).toEqual(server.sockets.addresses);
  });

  test('is in the end one family alone, when there is no such number', () => {
    for (let port = 40000; port < 40100; port += 1) server.sockets.taken.add(`[::]:${port}`);
    const { failures } = open([serviceOn('echo', wildcard(0))]);
    expect(failures).toMatchObject([
      { service: 'echo', address: { address: '::', port: 0 }, error: { code: 'EADDRINUSE' } },
    ]);
    expect(server.sockets.addresses).toEqual(['0.0.0.0:40015']);
  });

  test('has the number of the one family in the other when that comes later', () => {
    const existing = new Map([['echo 0 stream 0.0.0.0', openBefore(tcp(0, '0.0.0.0'))]]);
    const { byService, keysOf } = mustOpen([serviceOn('echo', wildcard(0))], existing);
    expect(addressesOf(byService.get('echo'))).toEqual(['0.0.0.0:40000', '[::]:40000']);
    expect(keysOf.get('echo')).toEqual(['echo 0 stream 0.0.0.0', 'echo 0 stream ::']);
  });

  test('keeps the numbers that it has', () => {
    const [four, six] = [openBefore(tcp(0, '0.0.0.0')), openBefore(wildcard(40000).sockets[1] ?? tcp(0))];
    const existing = new Map([
      ['echo 0 stream 0.0.0.0', four],
      ['echo 0 stream ::', six],
    ]);
    const { byService, fresh } = mustOpen([serviceOn('echo', wildcard(0))], existing);
    expect(byService.get('echo')).toEqual([four, six]);
    expect([...fresh]).toEqual([]);
  });
});

test('opens sockets of every family, and a port that only one family has is no pair', () => {
  const others: SocketAddress[] = [
    { family: 'unix', type: 'stream', path: '/run/web' },
    { family: 'unix', type: 'datagram', path: '@web' },
    { family: 'vsock', type: 'stream', port: 5 },
    { family: 'passed', type: 'stream', name: 'web' },
    udp(0),
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

describe('what was found and is lost before it comes in force', () => {
  const service = serviceOn('web', { sockets: [tcp(80)] }, { sockets: [tcp(81)] });
  let known: Map<string, HostedListener>;

  beforeEach(() => {
    known = new Map([80, 81].map((port) => [`127.0.0.1:${port}`, openBefore(tcp(port))]));
  });

  /** @param inPlace what is there of ours when it is looked for again */
  function loseOne(inPlace: HostedListener | null): Opening {
    const opening = openingWith((key) => known.get(key) ?? null);
    atOnce(opening.open(service, OWNER));
    const [lost] = known.values();
    if (lost !== undefined) server.listeners.close(lost);
    known = new Map(inPlace === null ? [] : [['127.0.0.1:80', inPlace]]);
    opening.renew(service, OWNER);
    return opening;
  }

  test('is bound anew where there is no other', () => {
    const kept = known.get('127.0.0.1:81');
    const { byService, fresh, failures } = loseOne(null);
    expect([addressesOf(byService.get('web')), byService.get('web')?.[1] === kept]).toEqual([
      ['127.0.0.1:80', '127.0.0.1:81'],
      true,
    ]);
    expect([addressesOf(fresh), failures]).toEqual([['127.0.0.1:80'], []]);
  });

  test('is the one that was put in its place', () => {
    const other = openBefore(tcp(82));
    const { byService, fresh } = loseOne(other);
    expect([byService.get('web')?.[0] === other, fresh.size]).toEqual([true, 0]);
  });

  test('is left out and told where somebody else has it by now', () => {
    server.sockets.taken.add('127.0.0.1:80');
    const { byService, keysOf, failures } = loseOne(null);
    expect([addressesOf(byService.get('web')), keysOf.get('web')]).toEqual([['127.0.0.1:81'], ['127.0.0.1:81']]);
    expect(failures.map(describeFailure)).toEqual(['listen 127.0.0.1:80 (web): EADDRINUSE address already in use']);
  });
});

test('a new listener is not watched before its service is installed', () => {
  const { fresh } = mustOpen([serviceOn('web', { sockets: [tcp(80)] })]);
  expect([...fresh].map((listener) => server.isWatched(listener))).toEqual([false]);
});

test('one number is two listeners, one for streams and one for datagrams, chosen or not', () => {
  for (const port of [0, 53]) expect(KEYS.ofEntry('dns', 0, tcp(port))).not.toBe(KEYS.ofEntry('dns', 0, udp(port)));
});

test('a listener is known by its address, and where the kernel chose the port, by its place in its service', () => {
  const key = KEYS.ofEntry('web', 1, tcp(0));
  expect(KEYS.ofEntry('web', 1, tcp(80))).toBe(KEYS.ofEntry('mail', 0, tcp(80)));
  for (const other of [KEYS.ofEntry('mail', 1, tcp(0)), KEYS.ofEntry('web', 0, tcp(0))]) expect(other).not.toBe(key);
  expect(KEYS.ofEntry('web', 1, tcp(0, '0.0.0.0'))).not.toBe(key);
});

test('a passed socket is one, by its name and by its number', () => {
  const keyOf = (name: string): string => KEYS.ofAddress({ family: 'passed', type: 'stream', name });
  expect([keyOf('web'), keyOf('mail')]).toEqual(['fd 3', 'fd mail']);
});

test('the keys of a service stand in the order in which its sockets are opened', () => {
  const web = serviceOn('web', { sockets: [tcp(80)] }, wildcard(0), { sockets: [udp(53)] });
  expect(KEYS.ofService(web)).toEqual(['127.0.0.1:80', 'web 1 stream 0.0.0.0', 'web 1 stream ::', '127.0.0.1:53/udp']);
});
