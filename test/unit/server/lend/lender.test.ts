/**
 * Lent sockets on a pretended kernel: who gets the socket, when it is watched again, and that a child that takes nothing is not
 * started in a loop.
 */
import { isFull } from '../../../../src/admission/slots';
import type { Exit } from '../../../../src/child/children';
import { isHeld, wasLent } from '../../../../src/listener/listener';
import { addon, type DatagramHead } from '../../../../src/native/addon';
import { Endings } from '../../../../src/server/hosted/endings';
import type { HostedListener } from '../../../../src/server/hosted/hosted';
import { Replacer } from '../../../../src/server/hosted/replace';
import { Lender, type LenderParts } from '../../../../src/server/lend/lender';
import { Looks } from '../../../../src/server/lend/looks';
import type { SocketAddress } from '../../../../src/service/address';
import { hostedService, PretendChildren, PretendServer, runAs, SAMPLE_PLAN, systemError, tcp, udp } from '../pretended';
import { NO_USAGE } from '../../service/sample';

jest.mock('../../../../src/native/addon', () => ({
  addon: {
    setBlocking: jest.fn(),
    takeBack: jest.fn(),
    isUsable: jest.fn(),
    dropFilter: jest.fn(),
    queueLength: jest.fn(),
    headOf: jest.fn(),
    dropHead: jest.fn(),
  },
}));

const UDP = udp(69);
const TCP = tcp(80);
const EXIT: Exit = { status: 0, signal: null, hasCore: false, usage: NO_USAGE, rssBytes: null, failure: null };
const FAILED: Exit = { ...EXIT, status: 127, failure: { step: 'execve', error: 'ENOENT' } };

const kernel = jest.mocked(addon);

let server: PretendServer;
let children: PretendChildren;
let parts: LenderParts;
let lender: Lender;
/** What waits in the socket. */
let queue: string[];
/** `80 full`: the listener's port and why. */
let paused: string[];
/** Those that were closed because they are retired. */
let closed: HostedListener[];

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  [server, children, queue, paused, closed] = [new PretendServer(), new PretendChildren(), [], [], []];
  kernel.isUsable.mockReturnValue(true);
  kernel.dropFilter.mockReturnValue(true);
  kernel.queueLength.mockImplementation(() => queue.length);
  kernel.headOf.mockImplementation(() => headOf(queue[0]));
  kernel.dropHead.mockImplementation(() => void queue.shift());
  const { slots, emit, listeners } = server;
  parts = {
    ...{
      emit,
      slots,
      children,
      listeners,
      nextId: () => `c${children.started.length}`,
      waits: new WeakMap(),
      looks: new Looks(),
    },
    endings: new Endings(slots, emit, () => undefined),
    pauses: { pause },
    replacer: new Replacer(listeners, emit, () => undefined),
    retired: { close: (listener): void => void closed.push(listener) },
  };
  lender = new Lender(SAMPLE_PLAN, parts);
});

afterEach(() => jest.useRealTimers());

function headOf(datagram: string | undefined): DatagramHead | null {
  return datagram === undefined ? null : { identity: datagram, peerAddress: '10.0.0.5', peerPort: 1069 };
}

function pause(listener: HostedListener, reason: string): void {
  paused.push(`${'port' in listener.address ? listener.address.port : 0} ${reason}`);
  server.listeners.hold(listener, 'paused');
}

function listenOn(address: SocketAddress, maxConnections = 5): HostedListener {
  return server.listen(hostedService({ name: 'tftp', wait: true, maxConnections }, { intake: lender }), address);
}

/** The kernel tells of it as long as it is watched and something is there. */
function poll(listener: HostedListener): void {
  if (queue.length > 0) server.pollSet.makeReady(listener.fd);
}

/** The child ends, having taken so much of the queue. */
function end(taken: number, exit = EXIT): void {
  queue.splice(0, taken);
  const child = children.running.shift();
  child?.errand.onExit(child, exit);
}

function lend(address: SocketAddress): HostedListener {
  const listener = listenOn(address);
  queue = ['a'];
  poll(listener);
  return listener;
}

/** Milliseconds until the socket is watched again. */
function waitOf(listener: HostedListener): number {
  const start = performance.now();
  while (!server.isWatched(listener) && jest.getTimerCount() > 0) jest.advanceTimersByTime(1);
  return Math.round(performance.now() - start);
}

/** Of a child that takes so much of the one thing that waits. */
function waitAfter(listener: HostedListener, taken: number): number {
  queue = ['a'];
  poll(listener);
  end(taken);
  return waitOf(listener);
}

test('the child gets the blocking socket, and it is left alone until the child ends', () => {
  const listener = lend(UDP);
  expect([isHeld(listener, 'lent'), server.isWatched(listener), wasLent(listener)]).toEqual([true, false, true]);
  expect(kernel.setBlocking.mock.calls).toEqual([[listener.fd, true]]);
  expect(children.started).toMatchObject([{ fd: listener.fd }]);
  expect(children.started[0]?.facts).toMatch('LISTEN_FDS=1\0');
  end(1);
  expect(kernel.takeBack.mock.calls).toEqual([[listener.fd, true]]);
  expect([isHeld(listener, 'lent'), server.isWatched(listener)]).toEqual([false, true]);
});

test('a start is told with the address, because there is no single peer', () => {
  lend(TCP);
  expect(server.told).toEqual([
    {
      ...{ event: 'started', service: 'tftp', connection: 'c0', address: '127.0.0.1:80' },
      ...{ pid: 4711, children: 1, limit: 5 },
    },
  ]);
});

test('the end of a child goes to whoever lent it the socket, is told, and gives the slot back', () => {
  const listener = lend(TCP);
  end(1, { ...EXIT, status: 3 });
  expect(server.told[1]).toMatchObject({ event: 'reaped', connection: 'c0', pid: 4711, exit: 3, children: 0 });
  expect([listener.owner.gate.inUse, server.slots.server.inUse]).toEqual([0, 0]);
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
    expect(server.isWatched(listener)).toBe(true);
  }
  expect(children.started).toHaveLength(5);
});

test.each([
  ['datagrams', UDP],
  ['clients', TCP],
])('a child that takes none of the %s is started ever later, and in the end every 10 seconds', (_, address) => {
  const listener = listenOn(address);
  const waits = Array.from({ length: 13 }, () => waitAfter(listener, 0));
  expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000, 10_000]);
});

test('a program that says that all is well while clients come and go waits no more than a moment', () => {
  const listener = listenOn(TCP);
  const waits = Array.from({ length: 8 }, () => {
    queue = ['a', 'b'];
    poll(listener);
    end(0);
    return waitOf(listener);
  });
  expect(waits).toEqual([10, 20, 40, 80, 160, 200, 200, 200]);
});

test('after progress the waits begin anew', () => {
  const listener = listenOn(TCP);
  const waits = [0, 0, 1, 0].map((taken) => waitAfter(listener, taken));
  expect(waits).toEqual([10, 20, 0, 10]);
});

test('a reload of the service does not make it forget how long to wait', () => {
  const listener = listenOn(TCP);
  waitAfter(listener, 0);
  listener.owner.intake = new Lender(SAMPLE_PLAN, parts);
  expect(waitAfter(listener, 0)).toBe(20);
});

test('the one datagram that a child left unread is dropped and told, and no other', () => {
  const listener = listenOn(UDP);
  queue = ['a', 'b', 'c'];
  poll(listener);
  end(0);
  expect(queue).toEqual(['b', 'c']);
  expect(server.told.slice(2)).toEqual([
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
  expect([queue, server.events]).toEqual([
    ['a', 'b'],
    ['started tftp', 'reaped tftp'],
  ]);
  expect(kernel.dropHead).not.toHaveBeenCalled();
});

test('a program that cannot be started waits as one that takes nothing', () => {
  const listener = listenOn(TCP);
  queue = ['a', 'b'];
  poll(listener);
  end(1, FAILED);
  expect(waitOf(listener)).toBe(10);
});

test.each([
  ['EAGAIN', 'processes'],
  ['EMFILE', 'open-files'],
  ['ENOMEM', 'memory'],
])(
  'a spawn that the system refuses with %s is a pause, which gives the slot back and loses nothing',
  (code, reason) => {
    children.refusal = systemError(code, 'clone');
    const listener = lend(UDP);
    expect([paused, queue, server.told]).toEqual([[`69 ${reason}`], ['a'], []]);
    expect([listener.owner.gate.inUse, server.slots.server.inUse, server.slots.takeFreed().size]).toEqual([0, 0, 0]);
    expect([isHeld(listener, 'lent'), isHeld(listener, 'resting'), server.isWatched(listener)]).toEqual([
      false,
      false,
      false,
    ]);
    children.refusal = null;
    server.listeners.letGo(listener, 'paused');
    poll(listener);
    expect(children.started).toHaveLength(1);
  },
);

test('a spawn that fails for good is told, gives the slot back, and is tried ever later', () => {
  children.refusal = systemError('EPERM', 'clone');
  const listener = lend(UDP);
  expect(server.told).toEqual([
    {
      ...{ event: 'dropped', service: 'tftp', connection: 'c0' },
      ...{ peer: '10.0.0.5:1069', step: 'clone', error: 'EPERM' },
    },
  ]);
  expect([listener.owner.gate.inUse, server.slots.takeFreed().size, paused]).toEqual([0, 0, []]);
  expect(waitOf(listener)).toBe(10);
  poll(listener);
  expect(waitOf(listener)).toBe(20);
  children.refusal = null;
  poll(listener);
  expect([children.started.length, queue]).toEqual([1, ['a']]);
});

test.each(['EPERM', 'EMFILE'])('a socket that no child could be made for (%s) is ours as before', (code) => {
  children.refusal = systemError(code, 'clone');
  const listener = lend(TCP);
  expect(kernel.setBlocking.mock.calls).toEqual([
    [listener.fd, true],
    [listener.fd, false],
  ]);
  expect(wasLent(listener)).toBe(false);
});

test('without a slot of the server the listener is paused, and what waits stays in the queue', () => {
  server.slots.server.limit = 0;
  const listener = lend(UDP);
  expect([paused, children.started, queue]).toEqual([['69 server-full'], [], ['a']]);
  expect(isHeld(listener, 'lent')).toBe(false);
});

test('whoever else the service has, each of its sockets has its one child', () => {
  const listener = listenOn(UDP, 1);
  const other = server.slots.take(listener.owner.gate);
  queue = ['a'];
  poll(listener);
  expect([isFull(other), children.started.length, listener.owner.gate.inUse]).toEqual([false, 1, 2]);
});

describe('ready, and nothing there', () => {
  test('starts nothing, takes no slot, and rests ever longer: nobody spins', () => {
    const listener = listenOn(UDP);
    const waits = Array.from({ length: 6 }, () => {
      expect(lender.onReadable(listener)).toBe('empty');
      return waitOf(listener);
    });
    expect(waits).toEqual([10, 20, 40, 80, 160, 200]);
    expect([children.started, server.told, listener.owner.gate.inUse]).toEqual([[], [], 0]);
  });

  test('a socket that somebody has shut down is bound anew', () => {
    const listener = listenOn(TCP);
    kernel.isUsable.mockReturnValue(false);
    expect(lender.onReadable(listener)).toBe('empty');
    const [fresh] = listener.owner.listeners;
    expect([listener.phase, fresh === listener, children.started]).toEqual(['closed', false, []]);
    expect(fresh === undefined ? null : server.isWatched(fresh)).toBe(true);
  });
});

test('a listener that the child has shut down is bound anew on the same port, and watched', () => {
  const listener = lend(tcp(0));
  kernel.isUsable.mockReturnValue(false);
  end(0);
  const [fresh] = listener.owner.listeners;
  expect([listener.phase, fresh === listener]).toEqual(['closed', false]);
  expect(fresh).toMatchObject({ address: tcp(40_000), phase: 'open', socket: { past: { borrower: null } }, holds: 0 });
});

test('a start that cannot be told has its slot all the same', () => {
  const emit = (): never => {
    throw new Error('unforeseen');
  };
  lender = new Lender(SAMPLE_PLAN, { ...parts, emit });
  const listener = lend(TCP);
  expect([children.running.length, listener.owner.gate.inUse, isHeld(listener, 'lent')]).toEqual([1, 1, true]);
  end(1);
  expect([listener.owner.gate.inUse, isHeld(listener, 'lent')]).toEqual([0, false]);
});

describe('a socket that somebody has locked', () => {
  function unlock(): void {
    kernel.takeBack.mockReset();
  }

  beforeEach(() => {
    kernel.takeBack.mockImplementation(() => {
      throw systemError('ETIMEDOUT', 'lock_sock');
    });
  });

  afterEach(unlock);

  test('stays, rests ever longer, and is told once', () => {
    const listener = lend(UDP);
    end(1);
    queue = ['b'];
    const waits = Array.from({ length: 4 }, () => {
      const waitMs = waitOf(listener);
      poll(listener);
      return waitMs;
    });
    expect([waits, children.started.length, listener.phase]).toEqual([[10, 20, 40, 80], 1, 'open']);
    expect(server.events.filter((event) => event.startsWith('failed'))).toEqual(['failed tftp']);
  });

  test('is put right before it is lent again', () => {
    const listener = lend(UDP);
    end(1);
    unlock();
    queue = ['b'];
    waitOf(listener);
    poll(listener);
    expect([kernel.takeBack.mock.calls.length, children.started.length]).toEqual([1, 2]);
  });

  test('is bound anew where it goes to another service', () => {
    const listener = lend(UDP);
    listener.owner.service = { ...listener.owner.service, wait: false };
    end(1);
    expect([listener.phase, listener.owner.listeners.length]).toEqual(['closed', 1]);
  });
});

test('a socket with a filter that the child has locked is bound anew', () => {
  const listener = lend(UDP);
  kernel.dropFilter.mockReturnValue(false);
  end(1);
  expect([listener.phase, listener.owner.listeners[0]?.phase]).toEqual(['closed', 'open']);
});

test('one that came to a service of another name or user while the child had it is bound anew', () => {
  const [named, other] = [lend(TCP), lend(UDP)];
  named.owner.service = { ...named.owner.service, name: 'news' };
  other.owner.service = { ...other.owner.service, run: runAs(7) };
  for (const listener of [named, other]) {
    end(1);
    expect([listener.phase, listener.owner.listeners[0]?.phase]).toEqual(['closed', 'open']);
  }
});

test('one whose service accepts by itself now is bound anew: somebody could make our accept wait', () => {
  const listener = lend(TCP);
  listener.owner.service = { ...listener.owner.service, wait: false };
  end(1);
  expect([listener.phase, listener.owner.listeners.includes(listener), server.sockets.addresses]).toEqual([
    'closed',
    false,
    ['127.0.0.1:80'],
  ]);
});

describe('a listener that is on its way out', () => {
  test('is closed when its child leaves, and is not touched before', () => {
    const listener = lend(UDP);
    server.listeners.retire(listener);
    end(0);
    expect([closed, queue, jest.getTimerCount()]).toEqual([[listener], ['a'], 0]);
    expect(kernel.setBlocking.mock.calls).toEqual([[listener.fd, true]]);
  });

  test('is lent to nobody', () => {
    const listener = listenOn(UDP);
    server.listeners.retire(listener);
    queue = ['a'];
    expect([lender.onReadable(listener), children.started]).toEqual(['empty', []]);
  });

  test('is lent again when a reload has taken it back before its child left', () => {
    const listener = lend(UDP);
    server.listeners.retire(listener);
    server.listeners.revive(listener);
    end(1);
    queue = ['b'];
    poll(listener);
    expect([closed, children.started.length]).toEqual([[], 2]);
  });
});

test('a listener that was closed while it waited is not watched again', () => {
  const listener = lend(UDP);
  end(0);
  server.listeners.close(listener);
  jest.advanceTimersByTime(20_000);
  expect(server.isWatched(listener)).toBe(false);
});

test('while it waits for its next start no child has the socket: a stop need not wait for one', () => {
  const listener = lend(UDP);
  end(0);
  expect([server.isWatched(listener), isHeld(listener, 'lent'), isHeld(listener, 'resting')]).toEqual([
    false,
    false,
    true,
  ]);
});

test('a service that takes nothing does not hold up another', () => {
  const [idle, busy] = [listenOn(UDP), listenOn(udp(70))];
  queue = ['a'];
  poll(idle);
  end(0);
  queue = ['b'];
  poll(busy);
  end(1);
  expect([idle, busy].map((listener) => server.isWatched(listener))).toEqual([false, true]);
});

test('a fault of ours is told, gives the slot back, and costs the listener no more than a moment', () => {
  children.refusal = new TypeError('ours');
  const listener = lend(TCP);
  expect(server.told).toMatchObject([{ event: 'dropped', step: 'prepare', error: 'TypeError: ours' }]);
  expect([listener.owner.gate.inUse, isHeld(listener, 'lent'), waitOf(listener)]).toEqual([0, false, 10]);
});
