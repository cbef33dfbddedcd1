/**
 * Lent sockets on a pretended kernel: who gets the socket, when it is watched again, and that a child that takes nothing is not
 * started in a loop.
 */
import { Slots } from '../../../src/admission/slots';
import type { Child, Children, Exit } from '../../../src/child/children';
import type { Plan } from '../../../src/child/plan';
import type { LogEvent } from '../../../src/log/events';
import type { Log } from '../../../src/log/log';
import { addon, type DatagramHead } from '../../../src/native/addon';
import type { SocketAddress } from '../../../src/service/address';
import { Handovers } from '../../../src/server/handovers';
import type { Hosted, HostedListener } from '../../../src/server/hosted';
import type { Pauses } from '../../../src/server/pauses';
import { sampleService } from '../service/sample';
import { PretendListeners } from './pretend-listeners';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    setBlocking: jest.fn(),
    isUsable: jest.fn(),
    queueLength: jest.fn(),
    headOf: jest.fn(),
    dropHead: jest.fn(),
  },
}));

const UDP: SocketAddress = { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port: 69 };
const TCP: SocketAddress = { family: 'ipv4', type: 'stream', address: '127.0.0.1', port: 80 };
const EXIT: Exit = { status: 0, signal: null, cpuSeconds: 0, rssBytes: null, failure: null };
const FAILED: Exit = { ...EXIT, status: 127, failure: { step: 'execve', error: 'ENOENT' } };

const kernel = jest.mocked(addon);

let told: LogEvent[];
let slots: Slots;
let listeners: PretendListeners;
let handovers: Handovers;
let running: { facts: string; onEnd: (exit: Exit) => void }[];
let started: number;
/** What waits in the socket. */
let queue: string[];
let refusal: Error | null;
let paused: HostedListener[];

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  [told, running, started, queue, refusal, paused] = [[], [], 0, [], null, []];
  slots = new Slots(100);
  listeners = new PretendListeners();
  kernel.isUsable.mockReturnValue(true);
  kernel.queueLength.mockImplementation(() => queue.length);
  kernel.headOf.mockImplementation(() => headOf(queue[0]));
  kernel.dropHead.mockImplementation(() => queue.shift());
  handovers = new Handovers({
    log: { emit: (event: LogEvent) => told.push(event) } as unknown as Log,
    slots,
    children: { spawn } as unknown as Children<Hosted>,
    listeners: listeners.asListeners,
    pauses: pretendPauses(),
    nextId: () => `c${started}`,
  });
});

afterEach(() => jest.useRealTimers());

function headOf(datagram: string | undefined): DatagramHead | null {
  return datagram === undefined ? null : { identity: datagram, peerAddress: '10.0.0.5', peerPort: 1069 };
}

function spawn(_plan: Plan, _fd: number, { facts }: { facts: string }, about: Omit<Child<Hosted>, 'pid'>): unknown {
  if (refusal !== null) throw refusal;
  started += 1;
  const { onEnd, owner } = about;
  const end = (exit: Exit): void => {
    slots.release(owner.gate);
    onEnd?.(exit);
  };
  running.push({ facts, onEnd: end });
  return { pid: 4711 };
}

function pretendPauses(): Pauses {
  const pauses = {
    pause: (listener: HostedListener): void => {
      paused.push(listener);
      listener.isWatched = false;
    },
    has: (listener: HostedListener) => paused.includes(listener),
  };
  return pauses as unknown as Pauses;
}

function listenOn(address: SocketAddress, limit = 5): HostedListener {
  const service = sampleService({ name: 'tftp', wait: true });
  const plan = { native: {}, varying: null } as unknown as Plan;
  const owner: Hosted = { service, plan, gate: { limit, inUse: 0 }, listeners: [], pausedListeners: 0 };
  const listener = listeners.open(address, {}, owner);
  owner.listeners = [listener];
  listeners.resume(listener);
  return listener;
}

/** The child ends, having taken so much of the queue. */
function end(taken: number, exit = EXIT): void {
  queue.splice(0, taken);
  running.shift()?.onEnd(exit);
}

/** A turn of the event loop: the poller tells of what it watches. */
function poll(listener: HostedListener): void {
  if (listener.isWatched && queue.length > 0) handovers.onReadable(listener);
}

/** Milliseconds until the socket is watched again. */
function waitOf(listener: HostedListener): number {
  const start = performance.now();
  while (!listener.isWatched && jest.getTimerCount() > 0) jest.advanceTimersByTime(1);
  return Math.round(performance.now() - start);
}

test('the child gets the blocking socket, and it is left alone until the child ends', () => {
  const listener = listenOn(UDP);
  queue = ['a'];
  poll(listener);
  expect(listener).toMatchObject({ isLent: true, isWatched: false });
  expect(kernel.setBlocking).toHaveBeenCalledWith(listener.fd, true);
  expect(running[0]?.facts).toMatch('LISTEN_FDS=1\0');
  expect(started).toBe(1);
});

test('a start is told with the address, because there is no single peer', () => {
  const listener = listenOn(TCP);
  queue = ['a'];
  poll(listener);
  expect(told).toEqual([
    {
      ...{ event: 'started', service: 'tftp', connection: 'c0', address: '127.0.0.1:80' },
      ...{ pid: 4711, children: 1, limit: 5 },
    },
  ]);
});

test.each([
  ['a datagram', UDP],
  ['a client', TCP],
])('a child that has taken %s is followed by the next one at once', (_, address) => {
  const listener = listenOn(address);
  for (let times = 0; times < 5; times += 1) {
    queue = ['a', 'b'].map((each) => `${each}${times}`);
    poll(listener);
    end(1);
    expect(listener).toMatchObject({ isLent: false, isWatched: true });
  }
  expect(started).toBe(5);
});

test.each([
  ['datagrams', UDP],
  ['clients', TCP],
])('a child that takes none of the %s is started ever later, and in the end every 10 seconds', (_, address) => {
  const listener = listenOn(address);
  const waits: number[] = [];
  for (let times = 0; times < 13; times += 1) {
    queue = [`${times}`];
    poll(listener);
    end(0);
    waits.push(waitOf(listener));
  }
  expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000, 10_000]);
});

test('after progress the waits begin anew', () => {
  const listener = listenOn(TCP);
  const wait = (taken: number): number => {
    queue = ['a'];
    poll(listener);
    end(taken);
    return waitOf(listener);
  };
  expect([wait(0), wait(0), wait(1), wait(0)]).toEqual([10, 20, 0, 10]);
});

test('the one datagram that a child left unread is dropped and told, and no other', () => {
  const listener = listenOn(UDP);
  queue = ['a', 'b', 'c'];
  poll(listener);
  end(0);
  expect(queue).toEqual(['b', 'c']);
  expect(told.slice(1)).toEqual([
    {
      ...{ event: 'dropped', service: 'tftp', address: '127.0.0.1:69/udp' },
      ...{ peer: '10.0.0.5:1069', reason: 'unread' },
    },
  ]);
});

test('no client of a stream is ever dropped', () => {
  const listener = listenOn(TCP);
  queue = ['a', 'b'];
  poll(listener);
  end(0);
  expect([queue, told.map(({ event }) => event)]).toEqual([['a', 'b'], ['started']]);
  expect(kernel.dropHead).not.toHaveBeenCalled();
});

test('a program that cannot be started waits as one that takes nothing', () => {
  const listener = listenOn(TCP);
  queue = ['a', 'b'];
  poll(listener);
  end(1, FAILED);
  expect(waitOf(listener)).toBe(10);
});

test('a spawn that the system refuses gives the slot back, is told, and is tried again', () => {
  const listener = listenOn(UDP);
  queue = ['a'];
  refusal = Object.assign(new Error('clone'), { code: 'EAGAIN', syscall: 'clone' });
  poll(listener);
  expect(listener.owner.gate.inUse).toBe(0);
  expect(told).toEqual([
    {
      ...{ event: 'dropped', service: 'tftp', connection: 'c0' },
      ...{ peer: '10.0.0.5:1069', step: 'clone', error: 'EAGAIN' },
    },
  ]);
  refusal = null;
  expect(waitOf(listener)).toBe(10);
  poll(listener);
  expect([started, queue]).toEqual([1, ['a']]);
});

test('without a slot the listener is paused and what waits stays in the queue', () => {
  const listener = listenOn(UDP, 0);
  queue = ['a'];
  expect(handovers.onReadable(listener)).toBe('paused');
  expect([paused, started, queue]).toEqual([[listener], 0, ['a']]);
});

test('nothing is started for what is gone when it is looked at', () => {
  const listener = listenOn(UDP);
  expect(handovers.onReadable(listener)).toBe('empty');
  expect([started, listener.owner.gate.inUse, listener.isWatched]).toEqual([0, 0, true]);
});

test('a listener that the child has shut down is made anew on the same port, and watched', () => {
  const listener = listenOn({ ...TCP, port: 0 });
  queue = ['a'];
  poll(listener);
  kernel.isUsable.mockReturnValue(false);
  end(0);
  const [fresh] = listener.owner.listeners;
  expect(listener.isClosed).toBe(true);
  expect(fresh).not.toBe(listener);
  expect(fresh).toMatchObject({ isWatched: true, isLent: false, address: { ...TCP, port: 40000 } });
});

test('an address that cannot be bound anew is told, with what was done about it', () => {
  const listener = listenOn(TCP);
  queue = ['a'];
  poll(listener);
  kernel.isUsable.mockReturnValue(false);
  listeners.taken.add('127.0.0.1:80');
  end(0);
  expect(told.at(-1)).toEqual({
    ...{ event: 'failed', verb: 'listen', address: '127.0.0.1:80', service: 'tftp' },
    ...{ error: 'EADDRINUSE address already in use', action: 'not served until the next reload' },
  });
});

test('a listener that was closed while it was lent is not touched again', () => {
  const listener = listenOn(UDP);
  queue = ['a'];
  poll(listener);
  listeners.close(listener);
  end(0);
  expect([queue, listener.isWatched, jest.getTimerCount()]).toEqual([['a'], false, 0]);
});

test('a listener that was closed while it waited is not watched again', () => {
  const listener = listenOn(UDP);
  queue = ['a'];
  poll(listener);
  end(0);
  listeners.close(listener);
  jest.advanceTimersByTime(20_000);
  expect(listener.isWatched).toBe(false);
});

test('while it waits for its next start no child has the socket: a stop need not wait for one', () => {
  const listener = listenOn(UDP);
  queue = ['a'];
  poll(listener);
  end(0);
  expect(listener).toMatchObject({ isWatched: false, isLent: false });
});

test('a service that takes nothing does not hold up another', () => {
  const [idle, busy] = [listenOn(UDP), listenOn({ ...UDP, port: 70 })];
  queue = ['a'];
  poll(idle);
  end(0);
  queue = ['b'];
  poll(busy);
  end(1);
  expect([idle.isWatched, busy.isWatched]).toEqual([false, true]);
});
