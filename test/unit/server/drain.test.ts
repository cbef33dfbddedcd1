/**
 * The end of the server, in time: what ends after which grace, and when we stop waiting for it.
 */
import type { Child } from '../../../src/child/children';
import type { Rest } from '../../../src/child/rest';
import { Terminator } from '../../../src/child/terminate';
import type { Kin } from '../../../src/child/families';
import type { Pid } from '../../../src/native/addon';
import { Drain } from '../../../src/server/drain';
import type { Served } from '../../../src/server/hosted/endings';
import type { Holder, Hosted, HostedListener } from '../../../src/server/hosted/hosted';
import { hostedService, PretendServer } from './pretended';

/** From the last SIGKILL to the moment when we give up. */
const GIVE_UP_MS = 2000;

/** Whatever belongs to services and ends with them: listeners on their way out, kept connections, talks. */
class PretendHolder implements Holder {
  held: Hosted[] = [];

  get count(): number {
    return this.held.length;
  }

  endAll(isDue: (hosted: Hosted) => boolean): void {
    this.held = this.held.filter((hosted) => !isDue(hosted));
  }
}

let server: PretendServer;
/** Services that are hosted, and those that were removed with somebody left. */
let hosted: Hosted[];
let leaving: Hosted[];
let retired: PretendHolder;
let holders: [PretendHolder, PretendHolder];
let alive: Set<Child<Served>>;
/** Dead, and to be found by a walk over all. */
let dead: Set<Child<Served>>;
/** `SIGTERM web`. */
/** But for SIGSTOP, which comes before SIGKILL (terminate.test.ts). */
let signals: string[];
/** What it takes to tell all children. */
let signallingMs: number;
/** The graces of those whom children have left behind; 0: it is over. */
let rests: number[];
const rest: Pick<Rest, 'end' | 'hurry'> = {
  end: (graceMs, onDone) => {
    rests.push(graceMs);
    onDone();
  },
  hurry: () => void rests.push(0),
};
let drain: Drain;
/** How it ended. */
let ends: boolean[];

beforeEach(() => {
  jest.useFakeTimers();
  [server, hosted, leaving, retired, holders] = [
    new PretendServer(),
    [],
    [],
    new PretendHolder(),
    [new PretendHolder(), new PretendHolder()],
  ];
  [alive, dead, signals, ends, signallingMs, rests] = [new Set(), new Set(), [], [], 0, []];
  drain = drainOf();
});

afterEach(() => jest.useRealTimers());

const KIN: Kin<Served> = {
  look: (onFound) => {
    onFound({ of: () => [] });
  },
  lookAll: (onSeen) => {
    onSeen([]);
  },
  signal: () => undefined,
};

function drainOf(): Drain {
  const children = {
    get count(): number {
      return alive.size;
    },
    has: (child: Child<Served>): boolean => alive.has(child),
    signal: ({ owner }: Child<Served>, signal: string): void => {
      if (signal !== 'SIGSTOP') signals.push(`${signal} ${owner.hosted.service.name}`);
    },
    [Symbol.iterator]: (): IterableIterator<Child<Served>> => alive.values(),
  };
  const prompt = new Terminator<Served>(
    children,
    (signal, count) => {
      server.emit({ event: 'terminating', signal, children: count });
    },
    KIN,
  );
  const terminator: Pick<Terminator<Served>, 'begin' | 'end'> = {
    begin: (...words) => {
      if (signallingMs === 0) prompt.begin(...words);
      else
        setTimeout(() => {
          prompt.begin(...words);
        }, signallingMs);
    },
    end: (...words) => {
      prompt.end(...words);
    },
  };
  return new Drain({
    ...{
      emit: server.emit,
      children,
      terminator,
      rest,
      holders,
      endings: { flush: (): void => undefined },
      words: { flush: (): void => undefined },
    },
    reaper: {
      reapAll: (): void => {
        for (const child of dead) alive.delete(child);
      },
    },
    roster: {
      // Every listener has clients in its queue.
      close: (): void => void retired.held.push(...hosted),
      get leaving(): Iterable<Hosted> {
        return leaving;
      },
      [Symbol.iterator]: (): IterableIterator<Hosted> => hosted.values(),
    },
    retired: {
      get count(): number {
        return retired.count;
      },
      closeAll: (isDue): void => {
        retired.endAll((owner) => isDue(listenerOf(owner)));
      },
      [Symbol.iterator]: () => retired.held.map((owner) => ({ owner })).values(),
    },
  });
}

function listenerOf(owner: Hosted): HostedListener {
  return server.listeners.open({ family: 'vsock', type: 'stream', port: 0 }, owner.service.socket, owner);
}

function serve(name: string, stopGraceMs: number): Hosted {
  const service = hostedService({ name, stopGraceMs });
  hosted.push(service);
  return service;
}

function childOf(owner: Hosted): Child<Served> {
  const served = { hosted: owner, connection: 'c1', peer: '-', slot: server.takeSlot(owner) };
  const child = {
    pid: (alive.size + 1) as Pid,
    owner: served,
    startedMs: 0,
    errand: { onExit: () => undefined },
    stopSignal: 'SIGTERM' as const,
    onlyUid: null,
  };
  alive.add(child);
  return child;
}

async function start(): Promise<void> {
  void drain.start('SIGTERM').then((isClean) => ends.push(isClean));
  await wait(0);
}

/** Long enough for whatever follows at that moment. */
async function wait(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

/** They have all left, and the server was told so. */
async function leave(...children: Child<Served>[]): Promise<void> {
  for (const child of children) alive.delete(child);
  drain.check();
  await wait(0);
}

/** Of every kind, how many are left. */
function left(): number[] {
  return [retired.count, holders[0].count, holders[1].count, alive.size];
}

test('with nothing left the end is there at once, and told', async () => {
  expect(drain.isRunning).toBe(false);
  await start();
  expect([ends, drain.isRunning, jest.getTimerCount()]).toEqual([[true], true, 0]);
  expect(server.told).toEqual([
    { event: 'stopping', signal: 'SIGTERM', children: 0 },
    { event: 'stopped', children: 0 },
  ]);
});

test('children may finish by themselves, and nobody is signalled', async () => {
  const web = serve('web', 5000);
  const [one, two] = [childOf(web), childOf(web)];
  await start();
  retired.held = [];
  await wait(4000);
  await leave(one);
  expect(ends).toEqual([]);
  await leave(two);
  await wait(60_000);
  expect([ends, signals, server.events]).toEqual([[true], [], ['stopping', 'stopped']]);
});

test.each([
  ['a listener with clients in its queue', (web: Hosted): void => void retired.held.push(web)],
  ['a kept connection', (web: Hosted): void => void holders[0].held.push(web)],
  ['a talk', (web: Hosted): void => void holders[1].held.push(web)],
  ['a child', (web: Hosted): void => void childOf(web)],
])('the server stays for %s', async (_, begin) => {
  const web = serve('web', 5000);
  hosted = [];
  begin(web);
  await start();
  drain.check();
  await wait(0);
  expect(ends).toEqual([]);
  [retired.held, holders[0].held, holders[1].held] = [[], [], []];
  await leave(...alive);
  expect(ends).toEqual([true]);
});

test('after the grace of a service its listeners, kept connections and talks end, and its children are asked to leave', async () => {
  const web = serve('web', 1000);
  for (const holder of holders) holder.held = [web];
  const child = childOf(web);
  await start();
  await wait(999);
  expect([left(), signals]).toEqual([[1, 1, 1, 1], []]);
  await wait(1);
  expect([left(), signals]).toEqual([[0, 0, 0, 1], ['SIGTERM web']]);
  await wait(1000);
  expect([signals, child.endReason]).toEqual([['SIGTERM web', 'SIGKILL web'], 'stop']);
  await leave(child);
  expect([ends, server.events]).toEqual([[true], ['stopping', 'terminating', 'terminating', 'stopped']]);
});

test('each grace ends its own, and what is due stays due', async () => {
  const [brief, long] = [serve('brief', 1000), serve('long', 5000)];
  for (const holder of holders) holder.held = [brief, long];
  for (const owner of [brief, long]) childOf(owner);
  await start();
  await wait(1000);
  expect([holders[0].held, holders[1].held, retired.held]).toEqual([[long], [long], [long]]);
  expect(signals).toEqual(['SIGTERM brief']);
  await wait(1000);
  expect(signals).toEqual(['SIGTERM brief', 'SIGKILL brief']);
  holders[0].held.push(brief);
  await wait(3000);
  expect([holders[0].count, holders[1].count, retired.count]).toEqual([0, 0, 0]);
  await wait(5000);
  expect(signals.slice(2)).toEqual(['SIGTERM long', 'SIGKILL long']);
});

test('services of one grace end together', async () => {
  for (const name of ['web', 'mail']) childOf(serve(name, 1000));
  await start();
  await wait(2000);
  expect(server.told.slice(1)).toEqual([
    { event: 'terminating', signal: 'SIGTERM', children: 2 },
    { event: 'terminating', signal: 'SIGKILL', children: 2 },
  ]);
});

test.each([
  ['a child', (owner: Hosted): void => void childOf(owner)],
  ['a connection', (owner: Hosted): void => void holders[0].held.push(owner)],
])('a service that was removed before ends after its own grace, for as long as it has %s', async (_, begin) => {
  serve('web', 5000);
  const removed = hostedService({ name: 'old', stopGraceMs: 1000 });
  leaving.push(removed);
  begin(removed);
  await start();
  await wait(2000);
  expect([holders[0].count, signals]).toEqual([0, alive.size === 0 ? [] : ['SIGTERM old', 'SIGKILL old']]);
});

test('a listener that was retired before the stop ends after the grace of its own service', async () => {
  serve('web', 5000);
  retired.held = [hostedService({ name: 'old', stopGraceMs: 1000 })];
  await start();
  await wait(1000);
  expect(retired.held.map(({ service }) => service.name)).toEqual(['web']);
});

test('a service without a grace ends at once', async () => {
  childOf(serve('web', 0));
  await start();
  await wait(1);
  expect([retired.count, signals]).toEqual([0, ['SIGTERM web', 'SIGKILL web']]);
});

test('a grace of years is no grace that is over at once', async () => {
  childOf(serve('web', 2 ** 40));
  await start();
  await wait(60_000);
  expect([signals, ends, retired.count]).toEqual([[], [], 1]);
});

test('a child that even SIGKILL does not end keeps the server no longer than two seconds', async () => {
  childOf(serve('web', 1000));
  await start();
  await wait(2000 + GIVE_UP_MS - 1);
  expect(ends).toEqual([]);
  await wait(1);
  expect([ends, server.told.at(-1)]).toEqual([[false], { event: 'stopped', children: 1 }]);
});

test('the two seconds begin when SIGKILL was sent, however long it took to signal them all', async () => {
  childOf(serve('web', 1000));
  signallingMs = 500;
  await start();
  await wait(2000 + 500);
  expect(signals).toEqual(['SIGTERM web', 'SIGKILL web']);
  await wait(GIVE_UP_MS - 1);
  expect(ends).toEqual([]);
  await wait(1);
  expect(ends).toEqual([false]);
});

test('before it gives up it looks once more at every child: one whose end nobody told is collected', async () => {
  dead.add(childOf(serve('web', 1000)));
  await start();
  await wait(2000 + GIVE_UP_MS);
  expect([ends, server.told.at(-1)]).toEqual([[true], { event: 'stopped', children: 0 }]);
});

test('it ends once, whoever leaves afterwards', async () => {
  const child = childOf(serve('web', 1000));
  await start();
  await wait(2000 + GIVE_UP_MS);
  await leave(child);
  await wait(60_000);
  expect([ends, server.events.filter((event) => event === 'stopped')]).toEqual([[false], ['stopped']]);
});

describe('an operator who does not want to wait', () => {
  test('ends everything at once, with SIGKILL for the children', async () => {
    const web = serve('web', 60_000);
    for (const holder of holders) holder.held = [web];
    const child = childOf(web);
    await start();
    drain.killAll();
    expect([left(), signals, child.endReason]).toEqual([[0, 0, 0, 1], ['SIGKILL web'], 'stop']);
    await leave(child);
    expect(ends).toEqual([true]);
  });

  test('has the end there at once when no child is left', async () => {
    serve('web', 60_000);
    await start();
    expect(ends).toEqual([]);
    drain.killAll();
    await wait(0);
    expect(ends).toEqual([true]);
  });

  test('waits no longer than two seconds for a child that cannot be ended', async () => {
    const web = serve('web', 60_000);
    const [found] = [childOf(web), childOf(web)];
    dead.add(found);
    await start();
    drain.killAll();
    await wait(GIVE_UP_MS);
    expect([ends, server.told.at(-1)]).toEqual([[false], { event: 'stopped', children: 1 }]);
  });
});
