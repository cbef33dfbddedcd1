/**
 * A wildcard and one of its own addresses change places while both are bound, or nothing changes.
 */
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { Rebinder } from '../../../../src/server/roster/rebind';
import { formatAddress, type SocketAddress, type UnixAddress } from '../../../../src/service/address';
import { sampleSocketOptions } from '../../service/sample';
import { hostedService, PretendServer, systemError, tcp, udp } from '../pretended';

const PATH: UnixAddress = { family: 'unix', type: 'stream', path: '/run/it' };
const WILDCARD = tcp(80, '0.0.0.0');
const PACKETS: UnixAddress = { ...PATH, type: 'seqpacket' };

let server: PretendServer;
let owner: Hosted;

beforeEach(() => {
  [server, owner] = [new PretendServer(), hostedService({ name: 'web' })];
});

/** What comes of an address that could not be bound because of these. */
type Opened = ReturnType<Rebinder['open']>;

function beside(goers: readonly HostedListener[], address: SocketAddress, options = sampleSocketOptions()): Opened {
  return rebinderOf(goers).open({ address, options, owner });
}

function rebinderOf(goers: readonly HostedListener[]): Rebinder {
  return new Rebinder(server.listeners, () => goers);
}

function addressOf(opened: Opened): SocketAddress | null {
  return opened !== null && 'fd' in opened ? opened.address : null;
}

test.each([
  ['a wildcard', 'one of its addresses', WILDCARD, tcp(80)],
  ['an address', 'its wildcard', tcp(80), WILDCARD],
  ['a wildcard of IPv6', 'one of its addresses', tcp(80, '::'), tcp(80, '::1')],
  ['a wildcard for datagrams', 'one of its addresses', udp(69, '0.0.0.0'), udp(69)],
])('after %s, %s is bound while the old one still serves', (_old, _new, before, after) => {
  const old = server.listen(owner, before);
  expect(addressOf(beside([old], after))).toEqual(after);
  expect([old.phase, server.isWatched(old), server.sockets.addresses.length]).toEqual(['open', true, 2]);
});

test('one that gives way to several has given way to each of them', () => {
  const rebinder = rebinderOf([server.listen(owner, WILDCARD)]);
  const addresses = [tcp(80), tcp(80, '127.0.0.2')];
  const opened = addresses.map((address) => rebinder.open({ address, options: sampleSocketOptions(), owner }));
  expect([opened.map(addressOf), server.sockets.sharing]).toEqual([addresses, []]);
});

test('one that was destroyed meanwhile is left alone, and whoever was bound in its place gives way', () => {
  const old = server.listen(owner, WILDCARD);
  let goers = [server.listen(owner, tcp(79, '0.0.0.0')), old];
  const rebinder = new Rebinder(server.listeners, () => goers);
  const open = (address: SocketAddress): Opened => rebinder.open({ address, options: sampleSocketOptions(), owner });
  expect(addressOf(open(tcp(79)))).toEqual(tcp(79));
  server.listeners.close(old);
  goers = [server.listen(owner, WILDCARD)];
  const giveWay = jest.spyOn(server.sockets, 'giveWay');
  expect(addressOf(open(tcp(80)))).toEqual(tcp(80));
  expect(giveWay.mock.calls.filter(([socket]) => socket === old.socket)).toEqual([]);
});

describe('at one path', () => {
  let old: HostedListener;

  beforeEach(() => {
    old = server.listen(owner, PATH);
  });

  test('a socket of another type is bound in the place of the old one', () => {
    expect(addressOf(beside([old], PACKETS))).toEqual(PACKETS);
    expect([old.phase, server.sockets.addresses]).toEqual(['open', ['unix-seqpacket:/run/it']]);
  });

  test('the old one has its path again when that fails', () => {
    server.sockets.taken.add('unix-seqpacket:/run/it');
    expect(beside([old], PACKETS)).toMatchObject({ code: 'EADDRINUSE' });
    expect([old.phase, server.isWatched(old), server.sockets.addresses]).toEqual(['open', true, ['unix:/run/it']]);
  });

  test('the old one has its path again when the new one is given up later on', () => {
    const rebinder = rebinderOf([old]);
    const opened = rebinder.open({ address: PACKETS, options: sampleSocketOptions(), owner });
    if (opened === null || !('fd' in opened)) throw new Error('not bound');
    server.listeners.close(opened);
    rebinder.restore();
    expect([server.sockets.addresses, server.isWatched(old)]).toEqual([['unix:/run/it'], true]);
  });

  test('the new one keeps it where it stays', () => {
    const rebinder = rebinderOf([old]);
    rebinder.open({ address: PACKETS, options: sampleSocketOptions(), owner });
    rebinder.restore();
    expect(server.sockets.addresses).toEqual(['unix-seqpacket:/run/it']);
  });

  test('one that was closed meanwhile is not touched any more', () => {
    const rebinder = rebinderOf([old]);
    rebinder.open({ address: PACKETS, options: sampleSocketOptions(), owner });
    server.listeners.close(old);
    const giveWay = jest.spyOn(server.sockets, 'giveWay');
    rebinder.restore();
    expect(giveWay).not.toHaveBeenCalled();
  });
});

test('afterwards nobody else may be bound beside them', () => {
  beside([server.listen(owner, WILDCARD)], tcp(80));
  expect(server.sockets.sharing).toEqual([]);
});

test('a new one has the options of its service, and no more', () => {
  const options = sampleSocketOptions({ extra: { TCP_KEEPIDLE: 60 } });
  const opened = beside([server.listen(owner, WILDCARD)], tcp(80), options);
  expect(opened).toMatchObject({ socket: { options } });
});

test('a service that shares its port by itself goes on sharing it', () => {
  const options = sampleSocketOptions({ extra: { SO_REUSEPORT: 1 } });
  beside([server.listen(owner, WILDCARD)], tcp(80), options);
  expect(server.sockets.sharing).toEqual(['127.0.0.1:80']);
});

test('an address that cannot be bound all the same is told, and the old one is as it was', () => {
  const old = server.listen(owner, WILDCARD);
  const { options } = old.socket;
  server.sockets.taken.add('127.0.0.1:80');
  expect(beside([old], tcp(80))).toMatchObject({ code: 'EADDRINUSE' });
  expect([server.sockets.addresses, server.sockets.sharing]).toEqual([['0.0.0.0:80'], []]);
  expect([old.phase, server.isWatched(old), old.socket.options]).toEqual(['open', true, options]);
});

test.each([
  ['another port', tcp(81, '0.0.0.0')],
  ['the other family', tcp(80, '::')],
  ['datagrams', udp(80, '0.0.0.0')],
  ['no address at all', { family: 'vsock', type: 'stream', port: 80 } as const],
])('a socket for %s is not what stands in the way: it is not touched', (_, address) => {
  const share = jest.spyOn(server.sockets, 'sharePort');
  expect(beside([server.listen(owner, address)], tcp(80))).toBeNull();
  expect(share).not.toHaveBeenCalled();
});

describe('when a step of it fails', () => {
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
    server.listeners.close(wildcard);
    const [stays, other] = ['127.0.0.8', '127.0.0.9'].map((host) => server.listen(owner, tcp(80, host)));
    if (stays === undefined || other === undefined) throw new Error('two listeners');
    const giveWay = server.sockets.giveWay.bind(server.sockets);
    jest.spyOn(server.sockets, 'giveWay').mockImplementation((socket, isGiven) => {
      if (socket === stays.socket) throw systemError('EINVAL', 'setsockopt');
      giveWay(socket, isGiven);
    });
    expect(beside([stays, other], WILDCARD)).toMatchObject({ code: 'EADDRINUSE' });
    expect([server.sockets.sharing, server.isWatched(other)]).toEqual([[], true]);
  });

  test('what we did not foresee leaves nothing behind', () => {
    jest.spyOn(server.sockets, 'open').mockImplementation(() => {
      throw new TypeError('ours');
    });
    for (const [goer, address] of [[path, PACKETS] as const, [wildcard, tcp(80)] as const])
      expect(() => beside([goer], address)).toThrow('ours');
    expectUnchanged();
  });

  test('a new one that would go on sharing its port is not kept', () => {
    jest.spyOn(server.sockets, 'sharePort').mockImplementation((socket, _options, isShared) => {
      if (!isShared && formatAddress(socket.address) !== '0.0.0.0:80') throw systemError('ENOMEM', 'setsockopt');
    });
    expect(beside([path], PACKETS)).toMatchObject({ code: 'ENOMEM' });
    expectUnchanged();
  });
});

test('only those whom nobody wants any more give way', () => {
  server.listen(owner, WILDCARD);
  expect(beside([], tcp(80))).toBeNull();
});
