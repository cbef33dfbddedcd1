/**
 * A wildcard and one of its own addresses change places while both are bound, or nothing changes.
 */
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { ListenKeys, type ListenFailure, type OpenedSockets } from '../../../../src/server/roster/open-listeners';
import { openBeside } from '../../../../src/server/roster/rebind';
import type { SocketAddress, UnixAddress } from '../../../../src/service/address';
import type { Service } from '../../../../src/service/service';
import { sampleService, sampleSocketOptions } from '../../service/sample';
import { hostedService, PretendServer, systemError, tcp, udp } from '../pretended';

const PATH: UnixAddress = { family: 'unix', type: 'stream', path: '/run/it' };
const WILDCARD = tcp(80, '0.0.0.0');
const ERROR = Object.assign(systemError('EADDRINUSE', 'bind'), { code: 'EADDRINUSE', syscall: 'bind' });

let server: PretendServer;
let owner: Hosted;

beforeEach(() => {
  [server, owner] = [new PretendServer(), hostedService({ name: 'web' })];
});

function failureOf(address: SocketAddress): ListenFailure {
  return { service: 'web', address, error: ERROR };
}

/** What the service wants now, when the first try to bind it has failed with these. */
function beside(
  goers: readonly HostedListener[],
  addresses: readonly SocketAddress[],
  failures = addresses.map(failureOf),
  fields: Partial<Service> = {},
): OpenedSockets {
  const service = sampleService({ name: 'web', listen: [{ sockets: addresses }], ...fields });
  owner.service = service;
  const first = { byService: new Map(), keysOf: new Map(), fresh: [], failures };
  return openBeside(goers, first, new Map([[service, owner]]), {
    listeners: server.listeners,
    keys: new ListenKeys(() => undefined),
    find: () => null,
    optionsOf: ({ socket }) => socket,
  });
}

test.each([
  ['a wildcard', 'one of its addresses', WILDCARD, tcp(80)],
  ['an address', 'its wildcard', tcp(80), WILDCARD],
  ['a wildcard of IPv6', 'one of its addresses', tcp(80, '::'), tcp(80, '::1')],
  ['a wildcard for datagrams', 'one of its addresses', udp(69, '0.0.0.0'), udp(69)],
])('after %s, %s is bound while the old one still serves', (_old, _new, before, after) => {
  const old = server.listen(owner, before);
  const opened = beside([old], [after]);
  expect(opened.fresh.map(({ address }) => address)).toEqual([after]);
  expect([old.phase, server.isWatched(old), server.sockets.addresses.length]).toEqual(['open', true, 2]);
});

test('at one path a socket of another type is bound in the place of the old one', () => {
  const [stream, packets] = (['stream', 'seqpacket'] as const).map((type): UnixAddress => ({ ...PATH, type }));
  if (stream === undefined || packets === undefined) throw new Error('no address');
  const old = server.listen(owner, stream);
  const opened = beside([old], [packets]);
  expect(opened.fresh.map(({ address }) => address)).toEqual([packets]);
  expect([old.phase, server.sockets.addresses]).toEqual(['open', ['unix-seqpacket:/run/it']]);
});

test('when that fails the old one has its path again', () => {
  const old = server.listen(owner, PATH);
  server.sockets.taken.add('unix-seqpacket:/run/it');
  const wanted: UnixAddress = { ...PATH, type: 'seqpacket' };
  expect(beside([old], [wanted]).failures).toMatchObject([{ address: wanted, error: { code: 'EADDRINUSE' } }]);
  expect([old.phase, server.isWatched(old), server.sockets.addresses]).toEqual(['open', true, ['unix:/run/it']]);
});

test('afterwards nobody else may be bound beside them', () => {
  beside([server.listen(owner, WILDCARD)], [tcp(80)]);
  expect(server.sockets.sharing).toEqual([]);
});

test('a new one has the options of its service, and no more', () => {
  const socket = sampleSocketOptions({ extra: { TCP_KEEPIDLE: 60 } });
  const opened = beside([server.listen(owner, WILDCARD)], [tcp(80)], undefined, { socket });
  expect(opened.fresh.map((listener) => listener.socket.options)).toEqual([socket]);
});

test('a service that shares its port by itself goes on sharing it', () => {
  const socket = sampleSocketOptions({ extra: { SO_REUSEPORT: 1 } });
  const old = server.listen(owner, WILDCARD);
  beside([old], [tcp(80)], undefined, { socket });
  expect(server.sockets.sharing).toEqual(['127.0.0.1:80']);
});

test('an address that cannot be bound all the same is left out, and the old one is as it was', () => {
  const old = server.listen(owner, WILDCARD);
  const { options } = old.socket;
  server.sockets.taken.add('127.0.0.1:81');
  const opened = beside([old], [tcp(80), tcp(81)], [failureOf(tcp(80))]);
  expect(opened.failures).toMatchObject([{ service: 'web', address: tcp(81), error: { code: 'EADDRINUSE' } }]);
  expect([server.sockets.addresses, server.sockets.sharing]).toEqual([['0.0.0.0:80', '127.0.0.1:80'], []]);
  expect([old.phase, server.isWatched(old), old.socket.options]).toEqual(['open', true, options]);
});

test.each([
  ['another port', tcp(81, '0.0.0.0')],
  ['the other family', tcp(80, '::')],
  ['datagrams', udp(80, '0.0.0.0')],
  ['no address at all', { family: 'vsock', type: 'stream', port: 80 } as const],
])('a socket for %s is not what stands in the way: it is not touched, and the failure stays', (_, address) => {
  const share = jest.spyOn(server.sockets, 'sharePort');
  const failures = [failureOf(tcp(80))];
  expect(beside([server.listen(owner, address)], [tcp(80)], failures).failures).toBe(failures);
  expect(share).not.toHaveBeenCalled();
});

describe('when a step of it fails', () => {
  const packets: UnixAddress = { ...PATH, type: 'seqpacket' };
  let path: HostedListener;
  let wildcard: HostedListener;

  beforeEach(() => {
    [path, wildcard] = [server.listen(owner, PATH), server.listen(owner, WILDCARD)];
  });

  /** As before, and whoever stepped aside is in its place again. */
  function expectUnchanged(): void {
    expect([...server.sockets.addresses].sort()).toEqual(['0.0.0.0:80', 'unix:/run/it']);
    expect(server.sockets.sharing).toEqual([]);
    expect([path, wildcard].map((listener) => server.isWatched(listener))).toEqual([true, true]);
  }

  test('one that cannot give way keeps nobody else aside', () => {
    const giveWay = server.sockets.giveWay.bind(server.sockets);
    jest.spyOn(server.sockets, 'giveWay').mockImplementation((socket, isGiven) => {
      if (socket === wildcard.socket) throw systemError('EINVAL', 'setsockopt');
      giveWay(socket, isGiven);
    });
    server.sockets.taken.add('unix-seqpacket:/run/it');
    const { failures } = beside([path, wildcard], [packets, tcp(80)]);
    expect(failures).toMatchObject([{ address: packets }, { address: tcp(80) }]);
    expectUnchanged();
  });

  test('what we did not foresee leaves nothing behind', () => {
    const open = server.sockets.open.bind(server.sockets);
    jest.spyOn(server.sockets, 'open').mockImplementation((address, options) => {
      if (address === WILDCARD) throw new TypeError('ours');
      return open(address, options);
    });
    expect(() => beside([path, wildcard], [packets, tcp(80), WILDCARD], [failureOf(packets)])).toThrow('ours');
    expectUnchanged();
  });

  test('a new one that would go on sharing its port is not kept', () => {
    jest.spyOn(server.sockets, 'sharePort').mockImplementation((_socket, _options, isShared) => {
      if (!isShared) throw systemError('ENOMEM', 'setsockopt');
    });
    expect(() => beside([path], [packets])).toThrow('ENOMEM');
    expectUnchanged();
  });
});

test('only those whom nobody wants any more give way', () => {
  server.listen(owner, WILDCARD);
  const failures = [failureOf(tcp(80))];
  expect(beside([], [tcp(80)], failures).failures).toBe(failures);
});
