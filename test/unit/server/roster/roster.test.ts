/**
 * From one configuration to the next, on pretended sockets: as much of it as can be had, and what stays is not touched.
 */
import { isHeld } from '../../../../src/listener/listener';
import { addon } from '../../../../src/native/addon';
import type { LogEvent } from '../../../../src/log/events';
import { atOnce, type Work } from '../../../../src/native/slices';
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { Replacer } from '../../../../src/server/hosted/replace';
import { describeFailure, ListenKeys } from '../../../../src/server/roster/open-listeners';
import type { Change } from '../../../../src/server/roster/lacking';
import { RetiredListeners } from '../../../../src/server/roster/retired';
import { Roster, type Applied, type Need } from '../../../../src/server/roster/roster';
import { formatAddress, type SocketAddress } from '../../../../src/service/address';
import type { Configuration, Lack, Service } from '../../../../src/service/service';
import { sampleService, sampleSocketOptions } from '../../service/sample';
import { hostedService, markLent, PretendServer, runAs, systemError, tcp } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({ addon: { hasWaiting: jest.fn() } }));

let server: PretendServer;
let retired: RetiredListeners;
let roster: Roster;
/** Services for which somebody to take in and to handle was made. */
let made: string[];
/** Listeners whose pause was forgotten, by address. */
let forgotten: string[];
/** How often everybody who waits was tried. */
let retries: number;

beforeEach(() => {
  jest.useFakeTimers();
  jest.mocked(addon).hasWaiting.mockReturnValue(true);
  [server, made, forgotten, retries] = [new PretendServer(), [], [], 0];
  const { emit, slots, listeners } = server;
  const forget = ({ address }: HostedListener): void => void forgotten.push(formatAddress(address));
  retired = new RetiredListeners(
    listeners,
    { forget },
    () => undefined,
    () => undefined,
    () => undefined,
  );
  function* retryAll(): Work<void> {
    retries += 1;
    yield 'binding';
  }
  roster = new Roster({
    ...{ emit, slots, listeners, retired },
    pauses: { forget, retryAll },
    replacer: new Replacer(listeners, emit, () => undefined),
    keys: new ListenKeys((name) => (['web', '3'].includes(name) ? 3 : undefined)),
    sandboxes: { keep: () => undefined },
    roles: {
      of: ({ name }) => {
        made.push(name);
        const { intake, handler, admission } = hostedService();
        return { intake, handler, admission };
      },
    },
  });
});

afterEach(() => jest.useRealTimers());

function serviceOn(name: string, addresses: readonly SocketAddress[], fields: Partial<Service> = {}): Service {
  return sampleService({ name, listen: addresses.map((address) => ({ sockets: [address] })), ...fields });
}

function apply(...services: readonly Service[]): Applied {
  return take(configurationOf(services));
}

function take(configuration: Configuration, need: Need = 'none'): Applied {
  return atOnce(roster.apply(configuration, need));
}

function retry(configuration: Configuration): Change {
  return atOnce(roster.retry(configuration));
}

function problems(): LogEvent[] {
  return server.told.filter(({ event }) => event !== 'listening');
}

/** What was bound and is served, as it was told. */
function listening(): string[] {
  return server.told.flatMap((event) => (event.event === 'listening' ? [event.address] : []));
}

function configurationOf(services: readonly Service[], lacks: readonly Lack[] = []): Configuration {
  return { services, lacks, limits: { maxConnections: 100 }, log: { format: 'auto' } };
}

/** @returns what was bound just now */
function mustApply(...services: readonly Service[]): string[] {
  const before = listening().length;
  const applied = apply(...services);
  if (!applied.ok) throw new Error(applied.failures.map(describeFailure).join('; '));
  return listening().slice(before);
}

function hostedAs(name: string): Hosted {
  const found = [...roster].find(({ service }) => service.name === name);
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
}

function listenerOf(name: string, at = 0): HostedListener {
  const listener = hostedAs(name).listeners[at];
  if (listener === undefined) throw new Error(`no listener of ${name}`);
  return listener;
}

/** Its path leads to it no more. */
const PATH: SocketAddress = { family: 'unix', type: 'stream', path: '/run/web' };

/** A child has it, or has had it. */
function lend(listener: HostedListener, isBack: boolean): void {
  server.listeners.hold(listener, 'lent');
  markLent(listener);
  if (isBack) server.listeners.letGo(listener, 'lent');
}

describe('a listener whose path or interface was taken from it', () => {
  beforeEach(() => {
    mustApply(serviceOn('web', [PATH]), serviceOn('mail', [tcp(25)]));
  });

  test('is bound anew by a reload that changes nothing, and the old one retired', () => {
    const old = listenerOf('web');
    server.sockets.lose(old.socket);
    expect(mustApply(serviceOn('web', [PATH]), serviceOn('mail', [tcp(25)]))).toEqual(['unix:/run/web']);
    expect([old.phase, listenerOf('web') === old, server.isWatched(listenerOf('web'))]).toEqual([
      'retired',
      false,
      true,
    ]);
  });

  test('goes on as it is when somebody else listens there by now', () => {
    const old = listenerOf('web');
    server.sockets.lose(old.socket);
    server.sockets.taken.add('unix:/run/web');
    const applied = apply(serviceOn('web', [PATH]), serviceOn('mail', [tcp(25)]));
    expect(applied).toMatchObject({ change: { unavailable: [['web', { served: 'before' }]] } });
    expect([old.phase, listenerOf('web') === old]).toEqual(['open', true]);
  });

  test('stays with the child that has it', () => {
    const old = listenerOf('web');
    lend(old, false);
    server.sockets.lose(old.socket);
    mustApply(serviceOn('web', [PATH]), serviceOn('mail', [tcp(25)]));
    jest.advanceTimersByTime(60_000);
    expect([old.phase, listenerOf('web').phase]).toEqual(['retired', 'open']);
  });
});

describe('the first configuration', () => {
  test('has every enabled service served at each of its addresses', () => {
    const fresh = mustApply(
      serviceOn('web', [tcp(80), tcp(81)], { maxConnections: 7 }),
      serviceOn('off', [tcp(82)], { enabled: false }),
      serviceOn('mail', [tcp(25)]),
    );
    expect(fresh).toEqual(['127.0.0.1:80', '127.0.0.1:81', '127.0.0.1:25']);
    expect([...roster].map(({ service }) => service.name)).toEqual(['web', 'mail']);
    expect([server.sockets.addresses, made]).toEqual([fresh, ['web', 'mail']]);
    expect(server.isWatched(listenerOf('web', 1))).toBe(true);
    expect(hostedAs('web').gate).toMatchObject({ whenFull: 'full', limit: 7, inUse: 0 });
  });

  test('tells what was added', () => {
    const applied = apply(serviceOn('web', [tcp(80)]), serviceOn('mail', [tcp(25)]));
    expect(applied.ok && applied.diff.added.map(({ name }) => name)).toEqual(['web', 'mail']);
  });

  test('sets how many there may be of all together, and gives whoever waits a try', () => {
    take({ services: [], lacks: [], limits: { maxConnections: 3 }, log: { format: 'auto' } });
    expect([server.slots.server.limit, retries]).toEqual([3, 1]);
  });
});

describe('at a start where everything has to be there', () => {
  test('one address that cannot be bound closes the others again, and nothing is served', () => {
    server.sockets.taken.add('127.0.0.1:82');
    const services = [serviceOn('web', [tcp(80)]), serviceOn('ftp', [tcp(82)])];
    const applied = take(configurationOf(services), 'all');
    expect(applied).toMatchObject({ ok: false, failures: [{ service: 'ftp', address: tcp(82) }] });
    expect([[...roster], server.sockets.addresses, retries]).toEqual([[], [], 0]);
  });
});

describe('at a start where anything is enough', () => {
  test('nothing at all is not', () => {
    server.sockets.taken.add('127.0.0.1:82');
    const services = [serviceOn('ftp', [tcp(82)]), serviceOn('mail', [tcp(25)])];
    const applied = take(configurationOf(services, [{ name: 'mail', reason: 'no program' }]), 'any');
    expect(applied).toMatchObject({ ok: false, failures: [{ service: 'ftp' }] });
    expect(take(configurationOf([]), 'any').ok).toBe(true);
  });
});

describe('what cannot be had', () => {
  const TAKEN = 'EADDRINUSE address already in use';

  test('is left out, and the other services are served', () => {
    server.sockets.taken.add('127.0.0.1:82');
    const services = [serviceOn('web', [tcp(80)]), serviceOn('ftp', [tcp(82)]), serviceOn('mail', [tcp(25)])];
    const applied = take(configurationOf(services, [{ name: 'mail', reason: 'no program' }]), 'any');
    expect(applied).toMatchObject({
      ok: true,
      change: {
        available: [],
        unavailable: [
          ['ftp', { reason: `listen 127.0.0.1:82: ${TAKEN}`, served: 'no' }],
          ['mail', { reason: 'no program', served: 'no' }],
        ],
      },
    });
    expect([[...roster].map(({ service }) => service.name), server.sockets.addresses]).toEqual([
      ['web'],
      ['127.0.0.1:80'],
    ]);
  });

  test('of several addresses is told with their number, and the others are served and known', () => {
    for (const port of [81, 82]) server.sockets.taken.add(`127.0.0.1:${port}`);
    const web = serviceOn('web', [tcp(80), tcp(81), tcp(82), tcp(83)]);
    const applied = apply(web);
    const reason = `listen 127.0.0.1:81: ${TAKEN}; and 1 more`;
    expect(applied).toMatchObject({ change: { unavailable: [['web', { reason, served: 'partly' }]] } });
    const before = hostedAs('web').listeners;
    server.sockets.taken.delete('127.0.0.1:81');
    expect(mustApply(web)).toEqual(['127.0.0.1:81']);
    const { listeners } = hostedAs('web');
    expect(listeners.map(({ address }) => formatAddress(address))).toEqual(
      [80, 81, 83].map((port) => `127.0.0.1:${port}`),
    );
    expect([listeners[0] === before[0], listeners[2] === before[1], retired.count]).toEqual([true, true, 0]);
  });

  test('of a service that is served leaves it as it was, with its very sockets', () => {
    mustApply(serviceOn('web', [tcp(80)], { maxConnections: 5 }));
    const [listener, copy] = [listenerOf('web'), { ...hostedAs('web') }];
    const changed = serviceOn('web', [tcp(81)], { maxConnections: 7 });
    const applied = take(configurationOf([changed], [{ name: 'web', reason: 'no program' }]));
    expect(applied).toMatchObject({
      diff: { added: [], changed: [], removed: [], kept: [{ name: 'web' }] },
      change: { unavailable: [['web', { reason: 'no program', served: 'before' }]] },
    });
    expect([{ ...hostedAs('web') }, listenerOf('web') === listener, retired.count]).toEqual([copy, true, 0]);
  });

  test('because none of its new addresses is free leaves it where it was', () => {
    mustApply(serviceOn('web', [tcp(80)]));
    server.sockets.taken.add('127.0.0.1:81');
    const applied = apply(serviceOn('web', [tcp(81)]));
    expect(applied).toMatchObject({ change: { unavailable: [['web', { served: 'before' }]] } });
    expect([server.sockets.addresses, retired.count]).toEqual([['127.0.0.1:80'], 0]);
    server.sockets.taken.clear();
    expect(apply(serviceOn('web', [tcp(81)]))).toMatchObject({
      diff: { changed: [{ after: { name: 'web' } }] },
      change: { available: ['web'], unavailable: [] },
    });
    expect([listenerOf('web').address, retired.count]).toEqual([tcp(81), 1]);
  });

  test('gives the address that it had to the service that the file gives it to', () => {
    mustApply(serviceOn('web', [tcp(80)]));
    const listener = listenerOf('web');
    const services = [serviceOn('web', [tcp(81)]), serviceOn('proxy', [tcp(80)])];
    const applied = take(configurationOf(services, [{ name: 'web', reason: 'no program' }]));
    expect(applied).toMatchObject({ change: { unavailable: [['web', { served: 'no' }]] } });
    expect([listenerOf('proxy') === listener, [...roster].map(({ service }) => service.name)]).toEqual([
      true,
      ['proxy'],
    ]);
  });

  test('is told once, and again only with another reason', () => {
    const unavailable = (reason: string): unknown => {
      const applied = take(configurationOf([serviceOn('web', [tcp(80)])], [{ name: 'web', reason }]));
      return applied.ok && applied.change.unavailable.map(([, shortfall]) => shortfall.reason);
    };
    expect(['one', 'one', 'two'].map(unavailable)).toEqual([['one'], [], ['two']]);
  });

  test('does not become available by being removed', () => {
    take(configurationOf([serviceOn('web', [tcp(80)])], [{ name: 'web', reason: 'no program' }]));
    expect(apply(serviceOn('mail', [tcp(25)]))).toMatchObject({
      diff: { removed: [{ name: 'web' }] },
      change: { available: [] },
    });
  });
});

describe('another try', () => {
  test('serves what can be had by now, and touches nothing else', () => {
    const web = serviceOn('web', [tcp(80)]);
    const mail = serviceOn('mail', [tcp(25)]);
    take(configurationOf([web, mail], [{ name: 'mail', reason: 'no program' }]));
    const copy = { ...hostedAs('web') };
    const found = configurationOf([serviceOn('web', [tcp(81)]), mail]);
    const before = listening().length;
    const change = retry(found);
    expect([listening().slice(before), change]).toEqual([['127.0.0.1:25'], { available: ['mail'], unavailable: [] }]);
    expect([{ ...hostedAs('web') }, server.isWatched(listenerOf('mail')), retired.count]).toEqual([copy, true, 0]);
    expect(roster.shortfalls.size).toBe(0);
    expect(apply(web, mail)).toMatchObject({ diff: { kept: [{ name: 'web' }, { name: 'mail' }] } });
  });

  test('binds the addresses that were left out, and makes nothing anew for the service', () => {
    server.sockets.taken.add('127.0.0.1:81');
    const web = serviceOn('web', [tcp(80), tcp(81)]);
    apply(web);
    const [{ handler }, first] = [{ ...hostedAs('web') }, listenerOf('web')];
    expect(retry(configurationOf([web]))).toEqual({ available: [], unavailable: [] });
    server.sockets.taken.clear();
    expect(retry(configurationOf([web]))).toEqual({ available: ['web'], unavailable: [] });
    expect([listenerOf('web') === first, hostedAs('web').handler === handler, made]).toEqual([true, true, ['web']]);
    expect(server.sockets.addresses).toEqual(['127.0.0.1:80', '127.0.0.1:81']);
  });

  test('puts the new version in the place of the one before', () => {
    mustApply(serviceOn('web', [tcp(80)], { maxConnections: 5 }));
    const changed = serviceOn('web', [tcp(80), tcp(81)], { maxConnections: 7 });
    const listener = listenerOf('web');
    take(configurationOf([changed], [{ name: 'web', reason: 'no program' }]));
    retry(configurationOf([changed]));
    expect([hostedAs('web').service === changed, hostedAs('web').gate.limit, listenerOf('web') === listener]).toEqual([
      true,
      7,
      true,
    ]);
  });

  test('takes an address back from the version before of another one that is unavailable', () => {
    mustApply(serviceOn('web', [tcp(80)]));
    const services = [serviceOn('web', [tcp(81)]), serviceOn('proxy', [tcp(80)])];
    const lacks = ['web', 'proxy'].map((name) => ({ name, reason: 'no program' }));
    take(configurationOf(services, lacks));
    const listener = listenerOf('web');
    const change = retry(configurationOf(services, lacks.slice(0, 1)));
    expect(change).toEqual({ available: ['proxy'], unavailable: [['web', { reason: 'no program', served: 'no' }]] });
    expect(listenerOf('proxy')).toBe(listener);
  });
});

test('a service that is kept is not touched: the same sockets, the same counts, the same handler', () => {
  mustApply(serviceOn('web', [tcp(80), tcp(0)]));
  const [hosted, before] = [hostedAs('web'), { ...hostedAs('web') }];
  expect(mustApply(serviceOn('web', [tcp(80), tcp(0)]), serviceOn('mail', [tcp(25)]))).toEqual(['127.0.0.1:25']);
  const after = hostedAs('web');
  expect([after === hosted, after.service === before.service, after.handler === before.handler]).toEqual([
    true,
    true,
    true,
  ]);
  expect(after.listeners.map((listener, at) => listener === before.listeners[at])).toEqual([true, true]);
  expect([made, forgotten]).toEqual([['web', 'mail'], []]);
});

test('a service that changes goes on counting, keeps its sockets, and has a new limit and a new handler', () => {
  mustApply(serviceOn('web', [tcp(80)], { maxConnections: 5 }));
  const [hosted, { handler, intake }, listener] = [hostedAs('web'), { ...hostedAs('web') }, listenerOf('web')];
  server.takeSlot(hosted);
  const changed = serviceOn('web', [tcp(80), tcp(81)], { maxConnections: 2 });
  expect(mustApply(changed)).toEqual(['127.0.0.1:81']);
  expect(hostedAs('web')).toBe(hosted);
  expect([hosted.service === changed, hosted.gate.limit, hosted.gate.inUse]).toEqual([true, 2, 1]);
  expect([hosted.handler === handler, hosted.intake === intake]).toEqual([false, false]);
  expect([listenerOf('web') === listener, listener.owner === hosted]).toEqual([true, true]);
});

test('an address that nobody wants any more is retired, and its service with it', () => {
  mustApply(serviceOn('web', [tcp(80), tcp(81)]), serviceOn('mail', [tcp(25)]));
  const [gone, mail] = [listenerOf('web', 1), listenerOf('mail')];
  mustApply(serviceOn('web', [tcp(80)]));
  expect([gone.phase, mail.phase, listenerOf('web').phase]).toEqual(['retired', 'retired', 'open']);
  expect([[...retired], [...roster].map(({ service }) => service.name)]).toEqual([[gone, mail], ['web']]);
  expect(mail.owner.listeners).toEqual([]);
});

test('to disable a service is to remove it', () => {
  mustApply(serviceOn('web', [tcp(80)]));
  const applied = apply(serviceOn('web', [tcp(80)], { enabled: false }));
  expect([applied.ok && applied.diff.removed.length, [...roster], retired.count]).toEqual([1, [], 1]);
});

test('a service that comes back goes on counting, under whatever limit it has then', () => {
  mustApply(serviceOn('web', [tcp(80)], { maxConnections: 5 }));
  const { gate } = hostedAs('web');
  const slot = server.takeSlot(hostedAs('web'));
  mustApply();
  mustApply(serviceOn('mail', [tcp(25)]));
  mustApply(serviceOn('web', [tcp(81)], { maxConnections: 1 }));
  expect([hostedAs('web').gate === gate, gate]).toMatchObject([true, { whenFull: 'full', limit: 1, inUse: 1 }]);
  server.slots.release(slot);
  expect(hostedAs('web').gate.inUse).toBe(0);
});

test('a removed service with clients in its queue is not forgotten, for it may still get a child', () => {
  mustApply(serviceOn('web', [tcp(80)]), serviceOn('mail', [tcp(25)]));
  const { gate } = hostedAs('web');
  mustApply(serviceOn('mail', [tcp(25)]));
  mustApply(serviceOn('news', [tcp(119)]));
  mustApply(serviceOn('web', [tcp(81)]));
  expect(hostedAs('web').gate).toBe(gate);
});

test('a service that was removed is known for as long as somebody of it is left', () => {
  mustApply(serviceOn('web', [tcp(80)]), serviceOn('mail', [tcp(25)]));
  const web = hostedAs('web');
  const slot = server.takeSlot(web);
  mustApply(serviceOn('mail', [tcp(25)]));
  expect([...roster.leaving]).toEqual([web]);
  server.slots.release(slot);
  retired.closeAll(() => true);
  mustApply();
  expect([...roster.leaving].map(({ service }) => service.name)).toEqual(['mail']);
});

test('an address moves from one service to another with its socket and its queue', () => {
  mustApply(serviceOn('old', [tcp(80)]), serviceOn('web', [tcp(81)]));
  const listener = listenerOf('old');
  server.listeners.hold(listener, 'paused');
  expect(mustApply(serviceOn('web', [tcp(80)]))).toEqual([]);
  expect([listenerOf('web') === listener, listener.owner === hostedAs('web'), listener.phase]).toEqual([
    true,
    true,
    'open',
  ]);
  expect(forgotten).toEqual(['127.0.0.1:80']);
});

test('two services may change places', () => {
  mustApply(serviceOn('one', [tcp(80)]), serviceOn('two', [tcp(81)]));
  const [first, second] = [listenerOf('one'), listenerOf('two')];
  mustApply(serviceOn('one', [tcp(81)]), serviceOn('two', [tcp(80)]));
  expect([listenerOf('one') === second, listenerOf('two') === first, retired.count]).toEqual([true, true, 0]);
});

test('an address that is wanted again before its queue is empty gets the same socket back', () => {
  mustApply(serviceOn('web', [tcp(80)]));
  const listener = listenerOf('web');
  mustApply();
  expect(mustApply(serviceOn('other', [tcp(80)]))).toEqual([]);
  expect([
    listenerOf('other') === listener,
    listener.phase,
    listener.owner === hostedAs('other'),
    retired.count,
  ]).toEqual([true, 'open', true, 0]);
});

test('a Unix socket gave its path up when it was retired, and is bound anew', () => {
  const path: SocketAddress = { family: 'unix', type: 'stream', path: '/run/web' };
  mustApply(serviceOn('web', [path]));
  const listener = listenerOf('web');
  mustApply();
  expect([mustApply(serviceOn('web', [path])), listenerOf('web') === listener]).toEqual([['unix:/run/web'], false]);
  expect([listener.phase, retired.count]).toEqual(['retired', 1]);
});

test('a passed socket is the same one by its name and by its number, on its way out too', () => {
  const [byName, byNumber] = ['web', '3'].map((name): SocketAddress => ({ family: 'passed', type: 'stream', name }));
  if (byName === undefined || byNumber === undefined) throw new Error('two names');
  mustApply(serviceOn('web', [byName]));
  const listener = listenerOf('web');
  expect([mustApply(serviceOn('web', [byNumber])), listenerOf('web') === listener]).toEqual([[], true]);
  mustApply();
  expect([mustApply(serviceOn('web', [byNumber])), listenerOf('web') === listener]).toEqual([[], true]);
});

test('a port that the kernel chose stays as long as its place in the service does', () => {
  const web = serviceOn('web', [tcp(0)]);
  mustApply(web);
  mustApply({ ...web, maxConnections: 3 });
  expect(listenerOf('web').address).toEqual(tcp(40_000));
});

test('a listener that was lost to a failure is bound anew by the next reload', () => {
  mustApply(serviceOn('web', [tcp(80)]));
  server.listeners.close(listenerOf('web'));
  expect(mustApply(serviceOn('web', [tcp(80)]))).toEqual(['127.0.0.1:80']);
  expect(server.isWatched(listenerOf('web'))).toBe(true);
});

describe('a wildcard and one of its addresses', () => {
  test.each([
    [tcp(80, '0.0.0.0'), tcp(80)],
    [tcp(80), tcp(80, '0.0.0.0')],
  ])('are bound beside each other, and the old one is retired: %#', (before, after) => {
    mustApply(serviceOn('web', [before]));
    const old = listenerOf('web');
    expect(mustApply(serviceOn('web', [after]))).toEqual([formatAddress(after)]);
    expect([old.phase, server.isWatched(listenerOf('web')), server.sockets.sharing]).toEqual(['retired', true, []]);
  });

  test('change places also when another address cannot be bound', () => {
    mustApply(serviceOn('web', [tcp(80, '0.0.0.0')]));
    server.sockets.taken.add('127.0.0.1:81');
    expect(mustApply(serviceOn('web', [tcp(80), tcp(81)]))).toEqual(['127.0.0.1:80']);
    expect([server.sockets.sharing, retired.count]).toEqual([[], 1]);
    expect(server.isWatched(listenerOf('web'))).toBe(true);
  });

  test('exclude each other where both are wanted', () => {
    mustApply(serviceOn('web', [tcp(80, '0.0.0.0')]));
    expect(mustApply(serviceOn('web', [tcp(80, '0.0.0.0'), tcp(80)]))).toEqual([]);
    expect([server.sockets.addresses, server.sockets.sharing]).toEqual([['0.0.0.0:80'], []]);
  });
});

describe('options', () => {
  const before = sampleSocketOptions({ extra: { TCP_KEEPIDLE: 60 } });

  function change(after: Service['socket']): void {
    mustApply(serviceOn('web', [tcp(80)], { socket: before }));
    mustApply(serviceOn('web', [tcp(80)], { socket: after }));
  }

  test('that change are set while the socket serves', () => {
    const after = { ...before, nodelay: true };
    change(after);
    expect([listenerOf('web').socket.options, problems()]).toEqual([after, []]);
  });

  test('that are as before are not set again', () => {
    const set = jest.spyOn(server.sockets, 'change');
    change({ ...before });
    expect(set).not.toHaveBeenCalled();
  });

  test('are compared with what the socket has, which may have come from another service', () => {
    const after = { ...before, nodelay: true };
    mustApply(serviceOn('old', [tcp(80)], { socket: before }), serviceOn('web', [tcp(81)], { socket: after }));
    mustApply(serviceOn('web', [tcp(80)], { socket: after }));
    expect(listenerOf('web').socket.options).toEqual(after);
  });

  test('that the kernel refuses are told, and the socket serves with those that it has', () => {
    server.sockets.refusal = systemError('EPERM', 'setsockopt');
    change({ ...before, nodelay: true });
    expect(problems()).toEqual([
      {
        ...{ event: 'failed', verb: 'setsockopt', address: '127.0.0.1:80', service: 'web' },
        ...{ error: 'EPERM operation not permitted', action: 'options kept' },
      },
    ]);
    expect([listenerOf('web').socket.options, server.isWatched(listenerOf('web'))]).toEqual([before, true]);
  });

  test('that are gone from the file are told as kept', () => {
    change(sampleSocketOptions());
    expect(problems()).toMatchObject([
      { error: 'TCP_KEEPIDLE cannot be taken back', action: 'kept until stdiod starts anew' },
    ]);
  });
});

describe('a service that waited for its children', () => {
  const waiting = serviceOn('tftp', [tcp(69)], { wait: true });
  const accepting = serviceOn('tftp', [tcp(69)]);

  test('and accepts by itself now gets a fresh socket, because somebody could make our accept wait', () => {
    mustApply(waiting);
    const old = listenerOf('tftp');
    lend(old, true);
    mustApply(accepting);
    expect([old.phase, listenerOf('tftp') === old, server.sockets.addresses]).toEqual([
      'closed',
      false,
      ['127.0.0.1:69'],
    ]);
    expect(server.isWatched(listenerOf('tftp'))).toBe(true);
  });

  test('keeps a socket that no child has ever had', () => {
    mustApply(waiting);
    const listener = listenerOf('tftp');
    mustApply(accepting);
    expect([listenerOf('tftp') === listener, listener.phase]).toEqual([true, 'open']);
  });

  test('serves at once although its socket still rested', () => {
    mustApply(waiting);
    server.listeners.holdFor(listenerOf('tftp'), 'resting', 10_000);
    mustApply({ ...waiting, maxConnections: 3 });
    expect(server.isWatched(listenerOf('tftp'))).toBe(false);
    mustApply(accepting);
    expect(server.isWatched(listenerOf('tftp'))).toBe(true);
  });

  test('and moves a socket that rests to another service lets that one have it at once', () => {
    mustApply(waiting);
    server.listeners.holdFor(listenerOf('tftp'), 'resting', 10_000);
    mustApply(serviceOn('other', [tcp(69)], { wait: true }));
    expect(server.isWatched(listenerOf('other'))).toBe(true);
  });

  test('leaves one that a child still has to that child', () => {
    mustApply(waiting);
    const listener = listenerOf('tftp');
    lend(listener, false);
    mustApply(accepting);
    expect([listenerOf('tftp') === listener, isHeld(listener, 'lent'), server.isWatched(listener)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('and goes on waiting keeps its socket, whoever has had it', () => {
    mustApply(waiting);
    const listener = listenerOf('tftp');
    lend(listener, true);
    mustApply({ ...waiting, maxConnections: 3 });
    expect([listenerOf('tftp') === listener, listener.phase]).toEqual([true, 'open']);
  });

  test.each<[string, Service]>([
    ['to another name', serviceOn('news', [tcp(69)], { wait: true })],
    ['to another user', { ...waiting, run: runAs(7) }],
  ])('and gives its address %s gives no socket that a child has had', (_, after) => {
    mustApply(waiting);
    const old = listenerOf('tftp');
    lend(old, true);
    mustApply(after);
    expect([old.phase, listenerOf(after.name).phase, server.sockets.addresses]).toEqual([
      'closed',
      'open',
      ['127.0.0.1:69'],
    ]);
  });

  test('and moves its address to one that accepts gets a fresh socket there', () => {
    mustApply(waiting);
    const old = listenerOf('tftp');
    lend(old, true);
    mustApply(serviceOn('web', [tcp(69)]));
    expect([old.phase, listenerOf('web') === old, listenerOf('web').owner === hostedAs('web')]).toEqual([
      'closed',
      false,
      true,
    ]);
  });
});

test('a server that leaves retires every listener, and knows its services still', () => {
  mustApply(serviceOn('web', [tcp(80), tcp(81)]), serviceOn('mail', [tcp(25)]));
  roster.close();
  expect([retired.count, [...roster].map(({ service }) => service.name)]).toEqual([3, ['web', 'mail']]);
});
