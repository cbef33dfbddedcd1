/**
 * A listener that is of no use any more: what stands in its place, and what is told when nothing can.
 */
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { addon } from '../../../../src/native/addon';
import { Replacer } from '../../../../src/server/hosted/replace';
import type { SocketAddress } from '../../../../src/service/address';
import { sampleSocketOptions } from '../../service/sample';
import { hostedService, markLent, PretendServer, tcp } from '../pretended';

let server: PretendServer;
let owner: Hosted;
let forgotten: HostedListener[];
let replacer: Replacer;

beforeEach(() => {
  jest.useFakeTimers();
  [server, forgotten] = [new PretendServer(), []];
  owner = hostedService({ name: 'tftp' });
  replacer = new Replacer(server.listeners, server.emit, (listener) => forgotten.push(listener));
});

afterEach(() => jest.useRealTimers());

test('another socket stands in its place, at the same address, and is watched', () => {
  const [one, two, three] = [80, 81, 82].map((port) => server.listen(owner, tcp(port)));
  if (two === undefined) throw new Error('no listener');
  replacer.replace(two);
  const [, fresh] = owner.listeners;
  expect(owner.listeners).toEqual([one, fresh, three]);
  expect(fresh).toMatchObject({ address: tcp(81), owner, phase: 'open', socket: { past: { borrower: null } } });
  expect([two.phase, forgotten, fresh?.fd === two.fd]).toEqual(['closed', [two], false]);
  expect(owner.listeners.map((listener) => server.isWatched(listener))).toEqual([true, true, true]);
});

test('the new one is bound before the old one goes: nobody else can take the port, and no client finds nobody there', () => {
  const listener = server.listen(owner);
  const close = server.sockets.close.bind(server.sockets);
  let bound: string[] = [];
  jest.spyOn(server.sockets, 'close').mockImplementation((socket) => {
    bound = server.sockets.addresses;
    close(socket);
  });
  replacer.replace(listener);
  expect(bound).toEqual(['127.0.0.1:80', '127.0.0.1:80']);
  expect([server.sockets.addresses, server.sockets.sharing]).toEqual([['127.0.0.1:80'], []]);
});

test('the port that the kernel chose stays', () => {
  const listener = server.listen(owner, tcp(0));
  replacer.replace(listener);
  expect(owner.listeners).toMatchObject([{ address: tcp(40_000) }]);
});

test('the new one has the options that its service has by now', () => {
  const listener = server.listen(owner);
  const socket = sampleSocketOptions({ nodelay: true });
  owner.service = { ...owner.service, socket };
  replacer.replace(listener);
  expect(owner.listeners[0]?.socket.options).toBe(socket);
});

test('one that is on its way out is only closed', () => {
  const listener = server.listen(owner);
  server.listeners.retire(listener);
  replacer.replace(listener);
  expect([listener.phase, server.sockets.addresses, owner.listeners]).toEqual(['closed', [], [listener]]);
});

test('one that its service does not have any more is closed, and nothing comes in its place', () => {
  const listener = server.listen(owner);
  owner.listeners = [];
  replacer.replace(listener);
  expect([server.sockets.addresses, owner.listeners]).toEqual([[], []]);
});

test('one that was destroyed is told, and its successor rests for a moment', () => {
  const listener = server.listen(owner);
  replacer.replaceDestroyed(listener);
  const [fresh] = owner.listeners;
  if (fresh === undefined) throw new Error('no listener');
  expect(server.told).toEqual([
    {
      ...{ event: 'failed', verb: 'accept', address: '127.0.0.1:80', service: 'tftp' },
      ...{ error: 'the socket was destroyed', action: 'bound anew' },
    },
  ]);
  expect(server.isWatched(fresh)).toBe(false);
  jest.advanceTimersByTime(250);
  expect(server.isWatched(fresh)).toBe(true);
});

describe('one that was passed, and that a child has had', () => {
  const PASSED: SocketAddress = { family: 'passed', type: 'stream', name: 'web' };

  function replaceLent(wait: boolean, canDropFilter = true): HostedListener {
    jest.spyOn(addon, 'isUsable').mockReturnValue(true);
    jest.spyOn(addon, 'dropFilter').mockReturnValue(canDropFilter);
    owner = hostedService({ name: 'web', wait });
    const listener = server.listen(owner, PASSED);
    markLent(listener);
    replacer.replace(listener);
    return listener;
  }

  test('serves on where it is lent again', () => {
    expect([replaceLent(true).phase, server.told]).toEqual(['open', []]);
  });

  test('is given up where it has a filter that cannot be taken off', () => {
    expect([replaceLent(true, false).phase, server.events]).toEqual(['closed', ['failed web']]);
  });

  test('is given up where the service accepts by itself, and told with the remedy', () => {
    expect([replaceLent(false).phase, server.sockets.addresses]).toEqual(['closed', []]);
    expect(server.told).toEqual([
      {
        ...{ event: 'failed', verb: 'listen', address: 'fd:web', service: 'web' },
        error: 'the socket that was passed to stdiod was lent to a program: stdiod does not accept from it by itself',
        action: 'not served until stdiod starts anew',
      },
    ]);
  });
});

describe('an address that somebody keeps', () => {
  /** When it was tried, milliseconds: at first beside the old one, then in its place. */
  let tries: number[];
  let listener: HostedListener;

  beforeEach(() => {
    const start = performance.now();
    listener = server.listen(owner);
    server.sockets.taken.add('127.0.0.1:80');
    tries = [];
    const open = server.sockets.open.bind(server.sockets);
    jest.spyOn(server.sockets, 'open').mockImplementation((...words) => {
      tries.push(Math.round(performance.now() - start));
      return open(...words);
    });
    replacer.replace(listener);
  });

  test('is tried ever more seldom and told once, until it can be bound', () => {
    jest.advanceTimersByTime(30_000);
    expect(tries).toEqual([0, 0, 250, 750, 1750, 3750, 7750, 15_750, 25_750]);
    expect(server.events).toEqual(['failed tftp']);
    server.sockets.taken.clear();
    jest.advanceTimersByTime(10_000);
    expect(server.events).toEqual(['failed tftp', 'listening tftp']);
    expect(owner.listeners).toMatchObject([{ address: tcp(80), phase: 'open' }]);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('is tried no more when its service has it no more', () => {
    owner.listeners = [];
    jest.advanceTimersByTime(30_000);
    expect([tries, jest.getTimerCount()]).toEqual([[0, 0], 0]);
  });
});

test('an address that cannot be bound anew is told, with what was done about it', () => {
  const listener = server.listen(owner);
  server.sockets.taken.add('127.0.0.1:80');
  replacer.replace(listener);
  expect(server.told).toEqual([
    {
      ...{ event: 'failed', verb: 'listen', address: '127.0.0.1:80', service: 'tftp' },
      ...{ error: 'EADDRINUSE address already in use', action: 'tried again until it can be bound' },
    },
  ]);
  expect([owner.listeners, listener.phase]).toEqual([[listener], 'closed']);
});
