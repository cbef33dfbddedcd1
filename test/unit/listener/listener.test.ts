/**
 * When a listener is watched, who is told of it, and what a failed accept means.
 */
import { acceptFrom, isHeld, isHeldOnly, Listeners, type Hold, type Listener } from '../../../src/listener/listener';
import { addon } from '../../../src/native/addon';
import { PretendPollSet, PretendSockets, systemError, tcp } from '../server/pretended';
import { sampleSocketOptions } from '../service/sample';

jest.mock('../../../src/native/addon', () => ({
  ACCEPT_FIELDS: 6,
  addon: { accept: jest.fn(), hasWaiting: jest.fn() },
}));

const OPTIONS = sampleSocketOptions();
const kernel = jest.mocked(addon);

let sockets: PretendSockets;
let pollSet: PretendPollSet;
let listeners: Listeners<string>;
/** What was told of whom. */
let told: string[];
let onReadable: (listener: Listener<string>) => void;

beforeEach(() => {
  jest.useFakeTimers();
  [sockets, pollSet, told] = [new PretendSockets(), new PretendPollSet(), []];
  onReadable = ({ owner }): void => void told.push(owner);
  listeners = new Listeners<string>(sockets, pollSet, {
    onReadable: (listener): void => {
      onReadable(listener);
    },
    onFault: ({ owner }, error): void => void told.push(`${owner}: ${String(error)}`),
  });
});

afterEach(() => jest.useRealTimers());

function openOn(port: number): Listener<string> {
  return listeners.open(tcp(port), OPTIONS, `owner of ${port}`);
}

function serveOn(port: number): Listener<string> {
  const listener = openOn(port);
  listeners.letGo(listener, 'new');
  return listener;
}

function isWatched({ fd }: Listener<string>): boolean {
  return pollSet.watchers.has(fd);
}

test('a new listener is watched when the one who opened it says so, and not before', () => {
  const listener = openOn(80);
  expect([isWatched(listener), isHeldOnly(listener, 'new')]).toEqual([false, true]);
  listeners.letGo(listener, 'new');
  pollSet.makeReady(listener.fd);
  expect(told).toEqual(['owner of 80']);
});

test('who it tells is who has it now', () => {
  const listener = serveOn(80);
  listener.owner = 'the next';
  pollSet.makeReady(listener.fd);
  expect(told).toEqual(['the next']);
});

test.each<[Hold, Hold]>([
  ['paused', 'lent'],
  ['lent', 'resting'],
  ['resting', 'paused'],
  ['new', 'paused'],
])('a listener that is held as %s and as %s is watched only when both are gone', (one, two) => {
  for (const order of [
    [one, two],
    [two, one],
  ] as const) {
    const listener = serveOn(80 + sockets.addresses.length);
    for (const why of [one, two]) listeners.hold(listener, why);
    listeners.letGo(listener, order[0]);
    expect([isWatched(listener), isHeld(listener, order[1])]).toEqual([false, true]);
    listeners.letGo(listener, order[1]);
    expect(isWatched(listener)).toBe(true);
  }
});

test('to hold twice for one reason is to hold once, and to let go of what is not held changes nothing', () => {
  const watch = jest.spyOn(pollSet, 'watch');
  const listener = serveOn(80);
  listeners.hold(listener, 'paused');
  listeners.hold(listener, 'paused');
  listeners.letGo(listener, 'lent');
  expect(isWatched(listener)).toBe(false);
  listeners.letGo(listener, 'paused');
  listeners.letGo(listener, 'paused');
  expect([isWatched(listener), watch.mock.calls.length]).toEqual([true, 2]);
});

test('one that rests is watched again by itself', () => {
  const listener = serveOn(80);
  listeners.holdFor(listener, 'resting', 40);
  jest.advanceTimersByTime(39);
  expect(isWatched(listener)).toBe(false);
  jest.advanceTimersByTime(1);
  expect(isWatched(listener)).toBe(true);
});

test('one that was paused while it rested stays paused', () => {
  const listener = serveOn(80);
  listeners.holdFor(listener, 'resting', 40);
  listeners.hold(listener, 'paused');
  jest.runAllTimers();
  expect([isWatched(listener), isHeldOnly(listener, 'paused')]).toEqual([false, true]);
});

describe('one that epoll refuses to watch', () => {
  let listener: Listener<string>;

  beforeEach(() => {
    pollSet.isFull = true;
    listener = serveOn(80);
  });

  test('is tried again for as long as it takes', () => {
    expect(isHeldOnly(listener, 'unwatchable')).toBe(true);
    jest.advanceTimersByTime(1000);
    expect(isWatched(listener)).toBe(false);
    pollSet.isFull = false;
    jest.advanceTimersByTime(250);
    expect([isWatched(listener), jest.getTimerCount()]).toEqual([true, 0]);
  });

  test('and was paused meanwhile stays paused', () => {
    listeners.hold(listener, 'paused');
    pollSet.isFull = false;
    jest.runAllTimers();
    expect(isWatched(listener)).toBe(false);
    listeners.letGo(listener, 'paused');
    expect(isWatched(listener)).toBe(true);
  });

  test('and was closed meanwhile stays closed', () => {
    listeners.close(listener);
    pollSet.isFull = false;
    jest.runAllTimers();
    expect([isWatched(listener), jest.getTimerCount()]).toEqual([false, 0]);
  });
});

test('what is no failed system call is a fault of ours and is thrown on', () => {
  jest.spyOn(pollSet, 'watch').mockImplementationOnce(() => {
    throw new TypeError('ours');
  });
  expect(() => serveOn(80)).toThrow('ours');
});

test('a fault of its owner costs a listener a moment, and no other anything', () => {
  const [faulty, other] = [serveOn(80), serveOn(81)];
  onReadable = ({ owner }): void => {
    if (owner === 'owner of 80') throw new TypeError('ours');
    told.push(owner);
  };
  for (const { fd } of [faulty, other]) pollSet.makeReady(fd);
  expect(told).toEqual(['owner of 80: TypeError: ours', 'owner of 81']);
  expect([faulty, other].map(isWatched)).toEqual([false, true]);
  jest.advanceTimersByTime(250);
  expect(isWatched(faulty)).toBe(true);
});

test('a passed socket that is opened again before its old listener is closed is still told of', () => {
  const old = serveOn(80);
  jest.spyOn(sockets, 'open').mockReturnValueOnce(old.socket);
  const fresh = listeners.open(tcp(80), OPTIONS, 'the new owner');
  listeners.close(old);
  listeners.letGo(fresh, 'new');
  pollSet.makeReady(fresh.fd);
  expect(told).toEqual(['the new owner']);
});

test('to close the old listener of a passed socket does not unwatch the new one', () => {
  const old = serveOn(80);
  listeners.hold(old, 'paused');
  jest.spyOn(sockets, 'open').mockReturnValueOnce(old.socket);
  const fresh = serveOn(80);
  listeners.close(old);
  expect(isWatched(fresh)).toBe(true);
});

test('a closed listener is closed once, watched no more, and nothing brings it back', () => {
  const close = jest.spyOn(sockets, 'close');
  const listener = serveOn(80);
  listeners.close(listener);
  listeners.close(listener);
  listeners.hold(listener, 'paused');
  listeners.letGo(listener, 'paused');
  expect([close.mock.calls.length, isWatched(listener), listener.phase]).toEqual([1, false, 'closed']);
});

test('the number of a closed listener may be somebody else’s by now: it is not unwatched again', () => {
  const listener = serveOn(80);
  listeners.close(listener);
  const stranger = { onReadable: () => undefined, onFault: () => undefined };
  pollSet.watch(listener.fd, stranger);
  listeners.hold(listener, 'paused');
  listeners.close(listener);
  expect(pollSet.watchers.get(listener.fd)).toBe(stranger);
});

test('a retired listener keeps new clients away and goes on telling of those in its queue', () => {
  const listener = serveOn(80);
  listeners.retire(listener);
  expect([listener.phase, sockets.heldOff.has(listener.fd), isWatched(listener)]).toEqual(['retired', true, true]);
  listeners.revive(listener);
  expect([listener.phase, sockets.heldOff.has(listener.fd)]).toEqual(['open', true]);
  listeners.welcome(listener);
  expect(sockets.heldOff.has(listener.fd)).toBe(false);
});

test('is known by the port that the kernel chose, and keeps what it was configured with', () => {
  const listener = listeners.open(tcp(0), OPTIONS, 'web');
  expect(listener).toMatchObject({ address: tcp(40_000), socket: { configured: tcp(0), options: OPTIONS } });
});

describe('accept', () => {
  let listener: Listener<string>;

  beforeEach(() => (listener = openOn(80)));

  function give(ends: string, ...written: number[]): void {
    kernel.accept.mockImplementationOnce((_, numbers) => {
      numbers.set(written);
      return ends;
    });
  }

  function failAccept(code: string): void {
    kernel.accept.mockImplementationOnce(() => {
      throw systemError(code, 'accept4');
    });
  }

  test('gives the connection, or says that nobody waits', () => {
    give('10.0.0.5\x00127.0.0.1', 5, 51_034, 40_000);
    expect(acceptFrom(listener)).toEqual({
      kind: 'connection',
      fd: 5,
      peer: { family: 'ipv4', address: '10.0.0.5', port: 51_034 },
      local: { address: '127.0.0.1', port: 40_000 },
    });
    kernel.accept.mockReturnValueOnce(null);
    expect(acceptFrom(listener)).toEqual({ kind: 'empty' });
  });

  test('of a Unix client gives what the kernel noted, and the path that was configured', () => {
    const unix = listeners.open({ family: 'unix', type: 'stream', path: '/run/web' }, OPTIONS, 'web');
    give('@client\0/run/.temporary', 5, 0, 0, 7, 0xfffffffe, 9);
    expect(acceptFrom(unix)).toMatchObject({
      peer: { family: 'unix', path: '@client', credentials: { pid: 7, uid: 0xfffffffe, gid: 9 } },
      local: { address: '/run/web', port: 0 },
    });
  });

  test('without a free descriptor there is a fault when somebody waits, and none when nobody does', () => {
    failAccept('EMFILE');
    kernel.hasWaiting.mockReturnValueOnce(true);
    expect(acceptFrom(listener)).toEqual({ kind: 'fault', fault: 'tired', code: 'EMFILE' });
    failAccept('EMFILE');
    kernel.hasWaiting.mockReturnValueOnce(false);
    expect(acceptFrom(listener)).toEqual({ kind: 'empty' });
  });

  test('a client that is gone is a fault of its own, whoever else waits', () => {
    failAccept('ECONNABORTED');
    kernel.hasWaiting.mockReturnValueOnce(false);
    expect(acceptFrom(listener)).toEqual({ kind: 'fault', fault: 'gone', code: 'ECONNABORTED' });
  });

  test('an error that is not a failed system call is a fault of ours and is thrown on', () => {
    kernel.accept.mockImplementationOnce(() => {
      throw new TypeError('ours');
    });
    expect(() => acceptFrom(listener)).toThrow('ours');
  });
});
