/**
 * Who waits, who gets the next turn, and that nobody is forgotten: pauses on pretended listeners.
 */
import { serviceGate } from '../../../../src/admission/slots';
import { atOnce } from '../../../../src/native/slices';
import { Pauses } from '../../../../src/server/accept/pauses';
import type { Hosted, HostedListener, Outcome } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendServer, tcp } from '../pretended';

/** A service that goes on after a shortage is told to be resumed when it has done so for this long. */
const SETTLED_MS = 1_000;

let server: PretendServer;
let pauses: Pauses;
/** What the next accept on each listener comes to, in turn; then nobody waits. */
let outcomes: Map<HostedListener, Outcome[]>;
/** Services, as their listeners were tried. */
let tried: string[];
/** Connections without a process. */
let kept: number;
/** How often others were asked to let descriptors go. */
let roomMade: number;
let lastPort: number;
/** What was thrown at whoever tried a listener. */
let faults: unknown[];

beforeEach(() => {
  jest.useFakeTimers();
  [server, tried, outcomes, kept, roomMade, lastPort] = [new PretendServer(), [], new Map(), 0, 0, 0];
  faults = [];
  const { emit, listeners, slots } = server;
  const keptOnes = {
    get count(): number {
      return kept;
    },
    retry: () => kept === 0,
  };
  const makeRoom = (): void => void (roomMade += 1);
  const onFault = (_: HostedListener, error: unknown): void => void faults.push(error);
  pauses = new Pauses({ emit, listeners, kept: keptOnes, server: slots.server, makeRoom, onFault });
});

afterEach(() => jest.useRealTimers());

function hosted(name: string, limit: number): Hosted {
  const owner = hostedService({ name }, { intake: { onReadable } });
  return { ...owner, gate: { ...serviceGate(limit), inUse: limit } };
}

function listenerOf(owner: Hosted): HostedListener {
  lastPort += 1;
  return server.listen(owner, tcp(lastPort));
}

function pausedOf(name: string, limit: number, reason: Parameters<Pauses['pause']>[1]): HostedListener {
  const listener = listenerOf(hosted(name, limit));
  pauses.pause(listener, reason);
  return listener;
}

/** As the acceptor does: a listener is paused again when its clients have taken every slot. */
function onReadable(listener: HostedListener): Outcome {
  tried.push(listener.owner.service.name);
  const outcome = outcomes.get(listener)?.shift() ?? 'empty';
  if (outcome === 'paused') listener.owner.gate.inUse = listener.owner.gate.limit;
  return outcome;
}

describe('one whose clients come too fast', () => {
  test('is tried when the next one may come, and is told to be resumed when that has lasted', () => {
    const listener = listenerOf(hosted('a', 5));
    pauses.pause(listener, 'rate', 120);
    jest.advanceTimersByTime(119);
    expect([tried, server.isWatched(listener)]).toEqual([[], false]);
    jest.advanceTimersByTime(1);
    expect([tried, server.isWatched(listener)]).toEqual([['a'], true]);
    expect(server.events).toEqual(['paused a']);
    jest.advanceTimersByTime(1000);
    expect(server.events).toEqual(['paused a', 'resumed a']);
  });

  test('is told once, however often its next client has to wait', () => {
    const listener = listenerOf(hosted('a', 5));
    for (let round = 0; round < 50; round += 1) {
      pauses.pause(listener, 'rate', 20);
      jest.advanceTimersByTime(20);
    }
    expect(server.told).toEqual([{ event: 'paused', service: 'a', reason: 'rate', children: 5, limit: 5 }]);
  });

  test('goes on waiting when it is tried too early, and never for long without a look', () => {
    const listener = listenerOf(hosted('a', 5));
    outcomes.set(listener, ['paused', 'paused']);
    pauses.pause(listener, 'rate', 86_400_000);
    jest.advanceTimersByTime(250);
    expect(tried).toEqual(['a']);
    pauses.pause(listener, 'rate', 86_400_000);
    jest.advanceTimersByTime(250);
    expect(tried).toEqual(['a', 'a']);
    pauses.forget(listener);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('keeps none waiting who wait for the system, nor they it', () => {
    kept = 1;
    const [slow, tired] = [listenerOf(hosted('slow', 5)), listenerOf(hosted('tired', 5))];
    pauses.pause(tired, 'processes');
    pauses.pause(slow, 'rate', 50);
    jest.advanceTimersByTime(50);
    expect(tried).toEqual(['slow']);
  });
});

test.each(['full', 'memory'] as const)('one that throws when it is tried again (%s) is watched again', (reason) => {
  const fault = new Error('unforeseen');
  const intake = {
    onReadable: (): never => {
      throw fault;
    },
  };
  const listener = listenerOf({ ...hostedService({}, { intake }), gate: serviceGate(1) });
  pauses.pause(listener, reason);
  pauses.onRoom([listener.owner.gate]);
  jest.advanceTimersByTime(1000);
  expect([faults, server.isWatched(listener)]).toEqual([[fault], true]);
});

test('a service is told to be paused with its first listener and resumed with its last', () => {
  const owner = hosted('echo', 1);
  const [one, two] = [listenerOf(owner), listenerOf(owner)];
  for (const listener of [one, two]) pauses.pause(listener, 'full');
  expect([one, two].map((listener) => server.isWatched(listener))).toEqual([false, false]);
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  expect([one, two].map((listener) => server.isWatched(listener))).toEqual([true, true]);
  expect(server.told).toEqual([
    { event: 'paused', service: 'echo', reason: 'full', children: 1, limit: 1 },
    { event: 'resumed', service: 'echo', children: 0, limit: 1 },
  ]);
});

test('while the queue takes every slot that comes free, the listener stays paused without a word', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'full');
  for (let times = 0; times < 3; times += 1) {
    owner.gate.inUse = 0;
    outcomes.set(listener, ['paused']);
    pauses.onRoom([owner.gate]);
  }
  expect({ events: server.events, tried }).toEqual({ events: ['paused echo'], tried: ['echo', 'echo', 'echo'] });
});

test('room in one service is no turn for another', () => {
  const [full, free] = [hosted('full', 1), hosted('free', 1)];
  for (const owner of [full, free]) pauses.pause(listenerOf(owner), 'full');
  free.gate.inUse = 0;
  pauses.onRoom([free.gate]);
  expect(tried).toEqual(['free']);
});

test('who waits for the whole server gets a turn when any child ends, first come first served', () => {
  server.slots.server.inUse = 100;
  const names = ['a', 'b', 'c'];
  for (const name of names) pauses.pause(listenerOf(hosted(name, 5)), 'server-full');
  pauses.onRoom([server.slots.server]);
  expect(tried).toEqual([]);
  server.slots.server.inUse = 99;
  pauses.onRoom([server.slots.server]);
  expect(tried).toEqual(names);
  expect(server.events.slice(3)).toEqual(names.map((name) => `resumed ${name}`));
});

test.each(['open-files', 'memory', 'processes', 'accept'] as const)(
  'a listener that the system refused (%s) is tried again within 250 ms, without end, although no child ends',
  (reason) => {
    const listener = listenerOf(hosted('echo', 5));
    outcomes.set(listener, new Array<Outcome>(20).fill('paused'));
    pauses.pause(listener, reason);
    for (let last = 0; tried.length < 20; last = tried.length) {
      jest.advanceTimersByTime(250);
      expect(tried.length).toBeGreaterThan(last);
    }
    jest.advanceTimersByTime(500 + SETTLED_MS);
    expect(server.events).toEqual(['paused echo', 'resumed echo']);
    expect(jest.getTimerCount()).toBe(0);
  },
);

test('for want of descriptors, and of nothing else, others are asked to let some go', () => {
  for (const reason of ['full', 'memory', 'processes', 'accept'] as const)
    pauses.pause(listenerOf(hosted('a', 5)), reason);
  expect(roomMade).toBe(0);
  pauses.pause(listenerOf(hosted('b', 5)), 'open-files');
  expect(roomMade).toBe(1);
});

test('while a connection waits for a process, nobody else is accepted; afterwards everybody is', () => {
  kept = 1;
  pauses.pause(listenerOf(hosted('echo', 5)), 'processes');
  jest.advanceTimersByTime(1000);
  expect(tried).toEqual([]);
  kept = 0;
  jest.advanceTimersByTime(250 + SETTLED_MS);
  expect(server.events).toEqual(['paused echo', 'resumed echo']);
});

test('a child that ends is reason enough to try the system again at once', () => {
  const owner = hosted('echo', 5);
  pauses.pause(listenerOf(owner), 'memory');
  pauses.onRoom([owner.gate]);
  expect([tried, pauses.isWaiting]).toEqual([['echo'], false]);
});

test('a shortage that comes and goes is told once, and that it is over when it has been for a while', () => {
  const owner = hosted('echo', 5);
  const listener = listenerOf(owner);
  for (let times = 0; times < 20; times += 1) {
    pauses.pause(listener, 'open-files');
    pauses.onRoom([owner.gate]);
    jest.advanceTimersByTime(SETTLED_MS - 1);
  }
  expect(server.events).toEqual(['paused echo']);
  jest.advanceTimersByTime(1);
  expect(server.events).toEqual(['paused echo', 'resumed echo']);
});

test('whoever is full after a shortage is told to be', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'open-files');
  pauses.onRoom([owner.gate]);
  pauses.pause(listener, 'full');
  expect(server.told).toMatchObject([{ reason: 'open-files' }, { event: 'resumed' }, { reason: 'full' }]);
});

test('a reason that changes moves the listener to those who wait for that', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'full');
  pauses.pause(listener, 'open-files');
  expect(server.isWatched(listener)).toBe(false);
  jest.advanceTimersByTime(250 + SETTLED_MS);
  expect(server.events).toEqual(['paused echo', 'resumed echo']);
});

test('a listener that is forgotten is never tried, counts no more, and is watched unless somebody else holds it', () => {
  const owner = hosted('echo', 1);
  const [one, two] = [listenerOf(owner), listenerOf(owner)];
  for (const listener of [one, two]) pauses.pause(listener, 'full');
  server.listeners.hold(two, 'lent');
  for (const listener of [one, one, two]) pauses.forget(listener);
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  atOnce(pauses.retryAll());
  expect([tried, pauses.isWaiting, server.events]).toEqual([[], false, ['paused echo', 'resumed echo']]);
  expect([one, two].map((listener) => server.isWatched(listener))).toEqual([true, false]);
  pauses.pause(one, 'full');
  expect(server.events.slice(2)).toEqual(['paused echo']);
});

describe('a service whose only paused listener goes', () => {
  test('to another service is told to be resumed, and the other one has nothing to be resumed from', () => {
    const [owner, heir] = [hosted('old', 1), hosted('heir', 1)];
    const [moved] = [listenerOf(owner), listenerOf(owner)];
    pauses.pause(moved, 'full');
    owner.listeners = owner.listeners.filter((listener) => listener !== moved);
    pauses.forget(moved);
    moved.owner = heir;
    atOnce(pauses.retryAll());
    expect([server.events, server.isWatched(moved)]).toEqual([['paused old', 'resumed old'], true]);
  });

  test('with its end is not told of any more, whatever its queue waits for', () => {
    const owner = hosted('gone', 1);
    const listener = listenerOf(owner);
    pauses.pause(listener, 'full');
    owner.listeners = [];
    pauses.release(listener);
    pauses.pause(listener, 'full');
    pauses.forget(listener);
    expect(server.events).toEqual(['paused gone']);
  });

  test('and comes back with it is told as any other', () => {
    const owner = hosted('back', 1);
    const listener = listenerOf(owner);
    owner.listeners = [];
    pauses.pause(listener, 'full');
    owner.listeners = [listener];
    pauses.release(listener);
    pauses.pause(listener, 'full');
    pauses.release(listener);
    expect(server.events).toEqual(['paused back', 'resumed back']);
  });
});

test('a reload gives everybody a try, whatever they waited for', () => {
  pausedOf('a', 1, 'full');
  pausedOf('b', 1, 'open-files');
  atOnce(pauses.retryAll());
  jest.advanceTimersByTime(SETTLED_MS);
  expect(server.events.slice(2)).toEqual(['resumed a', 'resumed b']);
});

test('who is still full after its turn goes to the end of the queue', () => {
  const owner = hosted('echo', 1);
  const [one, two] = [listenerOf(owner), listenerOf(owner)];
  for (const listener of [one, two]) pauses.pause(listener, 'full');
  const turns: HostedListener[] = [];
  owner.intake = {
    onReadable: (listener): Outcome => {
      turns.push(listener);
      owner.gate.inUse = 1;
      return 'paused';
    },
  };
  for (let times = 0; times < 4; times += 1) {
    owner.gate.inUse = 0;
    pauses.onRoom([owner.gate]);
  }
  expect(turns).toEqual([one, two, one, two]);
});

test('without room nobody is tried, whoever says that there may be some', () => {
  const owner = hosted('echo', 1);
  pauses.pause(listenerOf(owner), 'full');
  pauses.onRoom([owner.gate, server.slots.server]);
  expect(tried).toEqual([]);
});

test('one that is held for another reason too is not touched, and is watched when that ends', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'full');
  server.listeners.hold(listener, 'lent');
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  expect([tried, server.isWatched(listener)]).toEqual([[], false]);
  server.listeners.letGo(listener, 'lent');
  expect([server.isWatched(listener), server.events]).toEqual([true, ['paused echo', 'resumed echo']]);
});

test('one that finds the server full when its own service has room waits for that, in one pause', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  owner.intake = {
    onReadable: (): Outcome => {
      pauses.pause(listener, 'server-full');
      return 'paused';
    },
  };
  pauses.pause(listener, 'full');
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  expect(server.events).toEqual(['paused echo']);
  owner.intake = { onReadable };
  pauses.onRoom([owner.gate]);
  expect(tried).toEqual([]);
  pauses.onRoom([server.slots.server]);
  expect([tried, server.events]).toEqual([['echo'], ['paused echo', 'resumed echo']]);
});

test('a closed listener is not paused, and its kept connection is tried again all the same', () => {
  const listener = listenerOf(hosted('echo', 5));
  server.listeners.close(listener);
  kept = 1;
  pauses.pause(listener, 'processes');
  expect([server.events, pauses.isWaiting]).toEqual([[], true]);
  jest.advanceTimersByTime(1000);
  expect(jest.getTimerCount()).toBe(1);
  kept = 0;
  jest.advanceTimersByTime(250);
  expect([jest.getTimerCount(), pauses.isWaiting]).toEqual([0, false]);
});

test('one that is replaced while it is paused is told to be resumed', () => {
  const listener = pausedOf('echo', 1, 'full');
  server.listeners.close(listener);
  pauses.release(listener);
  pauses.release(listener);
  expect([server.events, pauses.isWaiting]).toEqual([['paused echo', 'resumed echo'], false]);
});

test('room matters to somebody only while there is somebody', () => {
  expect(pauses.isWaiting).toBe(false);
  const listener = pausedOf('echo', 1, 'full');
  expect(pauses.isWaiting).toBe(true);
  atOnce(pauses.retryAll());
  expect([server.isWatched(listener), pauses.isWaiting]).toEqual([true, false]);
});

test('the system is asked ever more seldom, from 10 ms to 250, and soon again after it had what was needed', () => {
  const listener = pausedOf('echo', 5, 'memory');
  const waits = (times: number): number[] => {
    outcomes.set(listener, new Array<Outcome>(times - 1).fill('paused'));
    return Array.from({ length: times }, () => {
      const [start, before] = [performance.now(), tried.length];
      while (tried.length === before) jest.advanceTimersByTime(1);
      return Math.round(performance.now() - start);
    });
  };
  expect(waits(7)).toEqual([10, 20, 40, 80, 160, 250, 250]);
  pauses.pause(listener, 'memory');
  expect(waits(2)).toEqual([10, 20]);
});
