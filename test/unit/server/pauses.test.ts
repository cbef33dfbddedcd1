/**
 * Who waits, who gets the next turn, and that nobody is forgotten: pauses on pretended listeners.
 */
import { Slots } from '../../../src/admission/slots';
import type { LogEvent } from '../../../src/log/events';
import type { Log } from '../../../src/log/log';
import type { AcceptOutcome } from '../../../src/server/connections';
import type { Hosted, HostedListener } from '../../../src/server/hosted';
import { Pauses } from '../../../src/server/pauses';
import { sampleService } from '../service/sample';
import { PretendListeners } from './pretend-listeners';

let told: LogEvent[];
let slots: Slots;
let listeners: PretendListeners;
let pauses: Pauses;
/** What the next accept on each listener comes to, in turn; then nobody waits. */
let outcomes: Map<HostedListener, AcceptOutcome[]>;
let tried: string[];
let stalled: number;
let lastPort: number;

beforeEach(() => {
  jest.useFakeTimers();
  [told, tried, outcomes, stalled, lastPort] = [[], [], new Map(), 0, 0];
  slots = new Slots(100);
  listeners = new PretendListeners();
  pauses = new Pauses({
    log: { emit: (event: LogEvent) => told.push(event) } as unknown as Log,
    slots,
    listeners: listeners.asListeners,
    tryAccept,
    retryStalled: () => stalled === 0,
    hasStalled: () => stalled > 0,
  });
});

afterEach(() => jest.useRealTimers());

function hosted(name: string, limit: number): Hosted {
  const service = sampleService({ name });
  return { service, plan: null, gate: { limit, inUse: limit }, listeners: [], pausedListeners: 0 };
}

function listenerOf(owner: Hosted): HostedListener {
  lastPort += 1;
  const listener = listeners.open({ family: 'ipv4', type: 'stream', address: '127.0.0.1', port: lastPort }, {}, owner);
  listeners.resume(listener);
  return listener;
}

/** As Connections does: a listener is paused again when its clients have taken every slot. */
function tryAccept(listener: HostedListener): AcceptOutcome {
  tried.push(listener.owner.service.name);
  const outcome = outcomes.get(listener)?.shift() ?? 'empty';
  if (outcome === 'paused') listener.owner.gate.inUse = listener.owner.gate.limit;
  return outcome;
}

function eventsOf(): string[] {
  return told.map((event) => `${event.event} ${'service' in event ? event.service : ''}`);
}

test('a service is told to be paused with its first listener and resumed with its last', () => {
  const owner = hosted('echo', 1);
  const [one, two] = [listenerOf(owner), listenerOf(owner)];
  for (const listener of [one, two]) pauses.pause(listener, 'full');
  expect([one.isWatched, two.isWatched]).toEqual([false, false]);
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  expect([one.isWatched, two.isWatched]).toEqual([true, true]);
  expect(told).toEqual([
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
  expect({ events: eventsOf(), tried }).toEqual({ events: ['paused echo'], tried: ['echo', 'echo', 'echo'] });
});

test('room in one service is no turn for another', () => {
  const [full, free] = [hosted('full', 1), hosted('free', 1)];
  for (const owner of [full, free]) pauses.pause(listenerOf(owner), 'full');
  free.gate.inUse = 0;
  pauses.onRoom([free.gate]);
  expect(tried).toEqual(['free']);
});

test('who waits for the whole server gets a turn when any child ends, first come first served', () => {
  slots.server.inUse = 100;
  const names = ['a', 'b', 'c'];
  for (const name of names) pauses.pause(listenerOf(hosted(name, 5)), 'server-full');
  pauses.onRoom([]);
  expect(tried).toEqual([]);
  slots.server.inUse = 99;
  pauses.onRoom([]);
  expect(tried).toEqual(names);
  expect(eventsOf().slice(3)).toEqual(names.map((name) => `resumed ${name}`));
});

test.each(['open-files', 'memory', 'processes', 'accept'] as const)(
  'a listener that the system refused (%s) is tried again within 250 ms, without end, although no child ends',
  (reason) => {
    const listener = listenerOf(hosted('echo', 5));
    outcomes.set(listener, new Array<AcceptOutcome>(20).fill('paused'));
    pauses.pause(listener, reason);
    for (let last = 0; tried.length < 20; last = tried.length) {
      jest.advanceTimersByTime(250);
      expect(tried.length).toBeGreaterThan(last);
    }
    jest.advanceTimersByTime(500);
    expect(eventsOf()).toEqual(['paused echo', 'resumed echo']);
    expect(jest.getTimerCount()).toBe(0);
  },
);

test('while a connection waits for a process, nobody else is accepted; afterwards everybody is', () => {
  stalled = 1;
  pauses.pause(listenerOf(hosted('echo', 5)), 'processes');
  jest.advanceTimersByTime(1000);
  expect(tried).toEqual([]);
  stalled = 0;
  jest.advanceTimersByTime(250);
  expect(eventsOf()).toEqual(['paused echo', 'resumed echo']);
});

test('a child that ends is reason enough to try the system again at once', () => {
  const owner = hosted('echo', 5);
  pauses.pause(listenerOf(owner), 'memory');
  pauses.onRoom([owner.gate]);
  expect(eventsOf()).toEqual(['paused echo', 'resumed echo']);
});

test('a reason that changes moves the listener to those who wait for that', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'full');
  pauses.pause(listener, 'open-files');
  expect(pauses.has(listener)).toBe(true);
  jest.advanceTimersByTime(250);
  expect(eventsOf()).toEqual(['paused echo', 'resumed echo']);
});

test('a listener that is forgotten is never tried and counts no more', () => {
  const owner = hosted('echo', 1);
  const listener = listenerOf(owner);
  pauses.pause(listener, 'full');
  pauses.forget(listener);
  pauses.forget(listener);
  owner.gate.inUse = 0;
  pauses.onRoom([owner.gate]);
  pauses.retryAll();
  expect({ tried, paused: owner.pausedListeners, has: pauses.has(listener) }).toEqual({
    tried: [],
    paused: 0,
    has: false,
  });
});

test('a reload gives everybody a try, whatever they waited for', () => {
  pauses.pause(listenerOf(hosted('a', 1)), 'full');
  pauses.pause(listenerOf(hosted('b', 1)), 'open-files');
  pauses.retryAll();
  expect(eventsOf().slice(2)).toEqual(['resumed a', 'resumed b']);
});
