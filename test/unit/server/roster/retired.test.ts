/**
 * Listeners on their way out: whose clients are still served, and when each is closed.
 */
import { isHeld } from '../../../../src/listener/listener';
import { addon } from '../../../../src/native/addon';
import type { HostedListener, Outcome } from '../../../../src/server/hosted/hosted';
import { RetiredListeners } from '../../../../src/server/roster/retired';
import type { Service } from '../../../../src/service/service';
import { hostedService, markLent, PretendServer, tcp } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({ addon: { hasWaiting: jest.fn() } }));

/** One look at the queues. */
const LOOK_MS = 100;

let server: PretendServer;
let retired: RetiredListeners;
let forgotten: HostedListener[];
/** Whose children have them for too long. */
let overdue: HostedListener[];
/** What was thrown at whoever looked. */
let faults: unknown[];
/** How often the last one was closed. */
let emptied: number;
/** Batches of clients in the queue of whichever listener. */
let batches: number;
/** Batches that were taken. */
let taken: number;
/** Without a slot nobody is taken. */
let isFull: boolean;

beforeEach(() => {
  jest.useFakeTimers();
  [server, forgotten, overdue, emptied] = [new PretendServer(), [], [], 0];
  [batches, taken, isFull, faults] = [0, 0, false, []];
  jest.mocked(addon).hasWaiting.mockImplementation(() => batches > 0);
  const pauses = { forget: (listener: HostedListener): void => void forgotten.push(listener) };
  retired = new RetiredListeners(
    server.listeners,
    pauses,
    () => (emptied += 1),
    (listener) => overdue.push(listener),
    (_, error) => faults.push(error),
  );
});

afterEach(() => jest.useRealTimers());

function onReadable(): Outcome {
  if (isFull) return 'paused';
  if (batches === 0) return 'empty';
  batches -= 1;
  taken += 1;
  return 'more';
}

function serve(fields: Partial<Service> = {}, port = 80): HostedListener {
  return server.listen(hostedService({ stopGraceMs: 5000, ...fields }, { intake: { onReadable } }), tcp(port));
}

function look(times = 1): void {
  jest.advanceTimersByTime(times * LOOK_MS);
}

test('one that throws when it is looked at is closed in its time', () => {
  const fault = new Error('unforeseen');
  const intake = {
    onReadable: (): never => {
      throw fault;
    },
  };
  const listener = server.listen(hostedService({ stopGraceMs: 150 }, { intake }), tcp(80));
  batches = 1;
  retired.retire(listener);
  look(2);
  expect([faults, listener.phase]).toEqual([[fault, fault], 'closed']);
});

test('takes no new clients, serves those in its queue, and is closed when that is empty', () => {
  const listener = serve();
  batches = 3;
  retired.retire(listener);
  expect([listener.phase, server.sockets.heldOff.has(listener.fd), server.isWatched(listener)]).toEqual([
    'retired',
    true,
    true,
  ]);
  expect([taken, retired.count, [...retired]]).toEqual([0, 1, [listener]]);
  look();
  expect([taken, listener.phase, retired.count, emptied, forgotten]).toEqual([3, 'closed', 0, 1, [listener]]);
  expect(jest.getTimerCount()).toBe(0);
});

test('a handshake that was under way has a moment to arrive', () => {
  const listener = serve();
  retired.retire(listener);
  jest.advanceTimersByTime(LOOK_MS - 1);
  expect(listener.phase).toBe('retired');
});

test('while its clients wait for a slot it stays, for as long as the grace of its service', () => {
  const listener = serve({ stopGraceMs: 1000 });
  [batches, isFull] = [1, true];
  retired.retire(listener);
  look(9);
  expect([listener.phase, emptied]).toEqual(['retired', 0]);
  look();
  expect([listener.phase, emptied]).toEqual(['closed', 1]);
});

test('a slot in time is a client served', () => {
  const listener = serve({ stopGraceMs: 1000 });
  [batches, isFull] = [1, true];
  retired.retire(listener);
  look(5);
  isFull = false;
  look();
  expect([taken, listener.phase]).toEqual([1, 'closed']);
});

test('a flood of clients does not hold up everybody else: at one look no more than a few batches are taken', () => {
  const listener = serve({ stopGraceMs: 1000 });
  batches = Infinity;
  retired.retire(listener);
  const seen = Array.from({ length: 10 }, () => {
    const before = taken;
    look();
    return taken - before;
  });
  expect([seen, listener.phase]).toEqual([new Array<number>(10).fill(8), 'closed']);
});

test('each is closed by itself, and the end is told with the last', () => {
  const [one, two] = [serve({}, 80), serve({}, 81)];
  retired.retire(one);
  look();
  [batches, isFull] = [1, true];
  retired.retire(two);
  look();
  expect([one.phase, two.phase, emptied]).toEqual(['closed', 'retired', 1]);
  [batches, isFull] = [0, false];
  look();
  expect([two.phase, emptied]).toEqual(['closed', 2]);
});

test('a reload that wants it again gets the same socket back, with its queue', () => {
  const listener = serve();
  batches = 1;
  retired.retire(listener);
  expect([retired.revive(listener), listener.phase, retired.count]).toEqual([true, 'open', 0]);
  expect(retired.revive(listener)).toBe(false);
  look(100);
  expect([listener.phase, batches, emptied, server.isWatched(listener)]).toEqual(['open', 1, 0, true]);
});

test('what is not on its way out cannot be brought back: a closed one stays closed', () => {
  const listener = serve();
  server.listeners.close(listener);
  retired.revive(listener);
  retired.retire(listener);
  expect([listener.phase, retired.count]).toEqual(['closed', 0]);
});

test('one that is retired again keeps its time', () => {
  const listener = serve({ stopGraceMs: 1000 });
  [batches, isFull] = [1, true];
  retired.retire(listener);
  look(5);
  retired.retire(listener);
  look(5);
  expect(listener.phase).toBe('closed');
});

describe('of a `wait` service', () => {
  test('one that no child has is closed at once, and what waits in it is lent to nobody', () => {
    const listener = serve({ wait: true });
    batches = 1;
    retired.retire(listener);
    expect([listener.phase, taken, emptied, jest.getTimerCount()]).toEqual(['closed', 0, 1, 0]);
  });

  test('one that a child has stays until that leaves, however long it takes', () => {
    const listener = serve({ wait: true, stopGraceMs: 1000 });
    batches = 1;
    server.listeners.hold(listener, 'lent');
    retired.retire(listener);
    look(100);
    retired.closeAll(() => true);
    expect([listener.phase, retired.count, isHeld(listener, 'lent')]).toEqual(['retired', 1, true]);
    retired.close(listener);
    expect([listener.phase, retired.count, emptied, taken, forgotten]).toEqual(['closed', 0, 1, 0, [listener]]);
  });

  test('one that rests is not lent, it is closed', () => {
    const listener = serve({ wait: true });
    markLent(listener);
    server.listeners.holdFor(listener, 'resting', 10_000);
    retired.retire(listener);
    expect(listener.phase).toBe('closed');
  });
});

test('nobody accepts from a socket that was lent once, whatever its service is now', () => {
  const listener = serve();
  markLent(listener);
  batches = 1;
  retired.retire(listener);
  expect([listener.phase, taken]).toEqual(['closed', 0]);
});

test('those that are due are closed whatever waits in them, and the others stay', () => {
  const [due, other] = [serve({}, 80), serve({}, 81)];
  [batches, isFull] = [1, true];
  for (const listener of [due, other]) retired.retire(listener);
  retired.closeAll((listener) => listener === due);
  expect([due.phase, other.phase, emptied]).toEqual(['closed', 'retired', 0]);
  retired.closeAll(() => true);
  expect([other.phase, emptied]).toEqual(['closed', 1]);
  retired.closeAll(() => true);
  expect(emptied).toBe(1);
});

test('one that a child has is told once when its grace is over, and stays until the child leaves', () => {
  const listener = serve({ wait: true, stopGraceMs: 1000 });
  server.listeners.hold(listener, 'lent');
  retired.retire(listener);
  look(9);
  expect(overdue).toEqual([]);
  look(20);
  expect([overdue, listener.phase]).toEqual([[listener], 'retired']);
  retired.close(listener);
  expect([listener.phase, jest.getTimerCount(), emptied]).toEqual(['closed', 1, 1]);
});

test('one that is back in service within its grace is not overdue', () => {
  const listener = serve({ wait: true, stopGraceMs: 1000 });
  server.listeners.hold(listener, 'lent');
  retired.retire(listener);
  look(5);
  retired.revive(listener);
  look(20);
  expect(overdue).toEqual([]);
});
