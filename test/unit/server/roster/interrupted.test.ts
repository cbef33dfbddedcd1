/**
 * What comes in the middle of a reload, at each of its pauses: it ends there, or somebody closes what it relies on. At none of them
 * is anything half in force, and nothing is lost on the way.
 */
import { isHeld } from '../../../../src/listener/listener';
import { addon } from '../../../../src/native/addon';
import { atOnce, type Pause, type Work } from '../../../../src/native/slices';
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { Replacer } from '../../../../src/server/hosted/replace';
import { ListenKeys } from '../../../../src/server/roster/open-listeners';
import { RetiredListeners } from '../../../../src/server/roster/retired';
import { Roster, type Applied } from '../../../../src/server/roster/roster';
import { formatAddress, type SocketAddress, type UnixAddress } from '../../../../src/service/address';
import type { Configuration, Lack, Service } from '../../../../src/service/service';
import { sampleService } from '../../service/sample';
import { hostedService, markLent, PretendServer, systemError, tcp } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({ addon: { hasWaiting: jest.fn(), dropFilter: jest.fn() } }));

let server: PretendServer;
let retired: RetiredListeners;
let replacer: Replacer;
let roster: Roster;
/** What the plan of a service of this name is refused with. */
let refusals: Map<string, Error>;

function build(): void {
  jest.mocked(addon).hasWaiting.mockReturnValue(true);
  [server, refusals] = [new PretendServer(), new Map()];
  const { emit, slots, listeners } = server;
  const nothing = (): void => undefined;
  retired = new RetiredListeners(listeners, { forget: nothing }, nothing, nothing, nothing);
  replacer = new Replacer(listeners, emit, nothing);
  roster = new Roster({
    ...{ emit, slots, listeners, retired, replacer },
    pauses: { forget: nothing, retryAll },
    keys: new ListenKeys(() => undefined),
    sandboxes: { keep: () => undefined },
    roles: {
      of: ({ name }) => {
        const refusal = refusals.get(name);
        if (refusal !== undefined) throw refusal;
        const { intake, handler, admission } = hostedService();
        return { intake, handler, admission };
      },
    },
  });
}

function* retryAll(): Work<void> {
  yield 'binding';
}

beforeEach(() => {
  jest.useFakeTimers();
  build();
});

afterEach(() => jest.useRealTimers());

const PATH: UnixAddress = { family: 'unix', type: 'stream', path: '/run/it' };
const PACKETS: UnixAddress = { ...PATH, type: 'seqpacket' };

function serviceOn(name: string, addresses: readonly SocketAddress[], fields: Partial<Service> = {}): Service {
  return sampleService({ name, listen: addresses.map((address) => ({ sockets: [address] })), ...fields });
}

function configurationOf(services: readonly Service[], lacks: readonly Lack[] = []): Configuration {
  return { services, lacks, limits: { maxConnections: 100 }, log: { format: 'auto' } };
}

const BEFORE = configurationOf([
  serviceOn('kept', [tcp(1)]),
  serviceOn('moved', [tcp(2)]),
  serviceOn('wide', [tcp(3, '0.0.0.0')]),
  serviceOn('path', [PATH]),
  serviceOn('gone', [tcp(4)]),
]);
const AFTER = configurationOf([
  serviceOn('kept', [tcp(1)]),
  serviceOn('heir', [tcp(2)]),
  serviceOn('wide', [tcp(3)]),
  serviceOn('path', [PACKETS], { maxConnections: 7 }),
  serviceOn('new', [tcp(5)]),
]);
const ADDRESSES_BEFORE = ['127.0.0.1:1', '127.0.0.1:2', '0.0.0.0:3', 'unix:/run/it', '127.0.0.1:4'].sort();
const ADDRESSES_AFTER = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', 'unix-seqpacket:/run/it', '127.0.0.1:5'].sort();

/** Who is served where, at sockets that are watched. */
function served(): string[] {
  return [...roster].flatMap(({ service, listeners }) =>
    listeners
      .filter((listener) => server.isWatched(listener))
      .map(({ address }) => `${service.name} ${formatAddress(address)}`),
  );
}

function bound(): string[] {
  return [...server.sockets.addresses].sort();
}

function listenerOf(name: string): HostedListener {
  const listener = [...roster].find(({ service }) => service.name === name)?.listeners[0];
  if (listener === undefined) throw new Error(`no listener of ${name}`);
  return listener;
}

/** The reload from the one to the other as far as its pause of that number. */
interface Paused {
  readonly work: Work<Applied>;
  /** null: it has ended before. */
  readonly pause: Pause | null;
}

function reloadUntil(at: number): Paused {
  build();
  atOnce(roster.apply(BEFORE));
  const work = roster.apply(AFTER);
  for (let step = 0; ; step += 1) {
    const next = work.next();
    if (next.done === true || step === at) return { work, pause: next.done === true ? null : next.value };
  }
}

/** Each pause of it once. */
function atEachPause(check: (paused: Paused, pause: Pause) => void): Pause[] {
  const seen: Pause[] = [];
  for (;;) {
    const paused = reloadUntil(seen.length);
    if (paused.pause === null) return seen;
    seen.push(paused.pause);
    check(paused, paused.pause);
  }
}

function finish(work: Work<Applied>): Applied {
  return atOnce(work);
}

test('until it is in force nothing of it is heard, then all of it is', () => {
  atOnce(roster.apply(BEFORE));
  const before = served();
  const seen = atEachPause((_, pause) => {
    if (pause === 'revocable')
      expect(served().filter((each) => !each.startsWith('path'))).toEqual(
        before.filter((each) => !each.startsWith('path')),
      );
    else expect([...roster].map(({ service }) => service.name)).toEqual(['kept', 'wide', 'path', 'heir', 'new']);
  });
  expect(new Set(seen)).toEqual(new Set<Pause>(['revocable', 'binding']));
  expect(seen.lastIndexOf('revocable')).toBeLessThan(seen.indexOf('binding'));
});

test('given up at any pause, all is as it was before, at the very sockets of before', () => {
  atEachPause(({ work }, pause) => {
    if (pause === 'binding') return;
    const sockets = [...roster].flatMap(({ listeners }) => listeners);
    work.return({ ok: false, failures: [] });
    jest.mocked(addon).hasWaiting.mockReturnValue(false);
    jest.advanceTimersByTime(1000);
    expect([bound(), server.sockets.sharing]).toEqual([ADDRESSES_BEFORE, []]);
    expect([...roster].map(({ service }) => service)).toEqual(BEFORE.services);
    expect([...roster].flatMap(({ listeners }) => listeners)).toEqual(sockets);
    expect([sockets.every((listener) => server.isWatched(listener)), server.told.length]).toEqual([true, 5]);
    expect(finish(roster.apply(AFTER)).ok).toBe(true);
    jest.mocked(addon).hasWaiting.mockReturnValue(false);
    jest.advanceTimersByTime(1000);
    expect(bound()).toEqual(ADDRESSES_AFTER);
  });
});

test('given up at any pause, whoever has come to a new socket of a service in force is served', () => {
  const begun = new Set<string>();
  atEachPause(({ work }, pause) => {
    if (pause === 'binding') return;
    work.return({ ok: false, failures: [] });
    for (const { owner, address, phase } of retired)
      begun.add(`${owner.service.name} ${formatAddress(address)} ${phase}`);
    expect(server.told.filter(({ event }) => event === 'failed')).toEqual([]);
  });
  expect([...begun].sort()).toEqual(['path unix-seqpacket:/run/it retired', 'wide 127.0.0.1:3 retired']);
});

test('what fails in it changes nothing, whichever service it is', () => {
  for (const name of ['heir', 'wide', 'path', 'new']) {
    build();
    atOnce(roster.apply(BEFORE));
    refusals.set(name, systemError('EMFILE', 'socketpair'));
    expect(() => finish(roster.apply(AFTER))).toThrow('EMFILE');
    expect([bound(), served().length, retired.count]).toEqual([ADDRESSES_BEFORE, 5, 0]);
  }
});

test('a listener that somebody destroys at any pause is there again at the end', () => {
  for (const name of ['kept', 'moved', 'wide']) {
    atEachPause(({ work }) => {
      const listener = [...roster]
        .flatMap(({ listeners }) => listeners)
        .find(({ address }) => 'port' in address && address.port === { kept: 1, moved: 2, wide: 3 }[name]);
      if (listener !== undefined && server.isWatched(listener)) replacer.replaceDestroyed(listener);
      expect(finish(work).ok).toBe(true);
      jest.mocked(addon).hasWaiting.mockReturnValue(false);
      jest.advanceTimersByTime(1000);
      expect(bound()).toEqual(ADDRESSES_AFTER);
      expect(served().sort()).toEqual([
        'heir 127.0.0.1:2',
        'kept 127.0.0.1:1',
        'new 127.0.0.1:5',
        'path unix-seqpacket:/run/it',
        'wide 127.0.0.1:3',
      ]);
    });
  }
});

test('one on its way out that is wanted again, and closed at any pause, is bound anew', () => {
  for (let at = 0; ; at += 1) {
    build();
    atOnce(roster.apply(BEFORE));
    atOnce(roster.apply(configurationOf([serviceOn('kept', [tcp(1)])])));
    const work = roster.apply(BEFORE);
    let pause: Pause | null = 'revocable';
    for (let step = 0; step <= at && pause !== null; step += 1) {
      const next = work.next();
      pause = next.done === true ? null : next.value;
    }
    if (pause === null) break;
    retired.closeAll(() => true);
    expect(finish(work).ok).toBe(true);
    expect([bound(), served().length, retired.count]).toEqual([ADDRESSES_BEFORE, 5, 0]);
  }
});

describe('a `wait` child', () => {
  const before = configurationOf([serviceOn('lent', [tcp(69)], { wait: true }), serviceOn('other', [tcp(70)])]);
  const after = configurationOf([serviceOn('lent', [tcp(69)]), serviceOn('more', [tcp(71)])]);

  /** What becomes of a socket that comes back from its child. */
  function comeBack(listener: HostedListener): void {
    if (listener.phase === 'open' && !listener.owner.service.wait) replacer.replace(listener);
    server.listeners.letGo(listener, 'lent');
  }

  test('that ends at any pause leaves no socket that it has had with a service that accepts by itself', () => {
    for (let at = 0; ; at += 1) {
      build();
      atOnce(roster.apply(before));
      const listener = listenerOf('lent');
      server.listeners.hold(listener, 'lent');
      markLent(listener);
      const work = roster.apply(after);
      let isOver = false;
      for (let step = 0; step <= at && !isOver; step += 1) isOver = work.next().done === true;
      if (isOver) break;
      comeBack(listener);
      expect(finish(work).ok).toBe(true);
      expect([listener.phase, listenerOf('lent') === listener, served()]).toEqual([
        'closed',
        false,
        ['lent 127.0.0.1:69', 'more 127.0.0.1:71'],
      ]);
    }
  });

  test('that has been there before is watched by nobody until its socket is bound anew', () => {
    atOnce(roster.apply(before));
    const listener = listenerOf('lent');
    markLent(listener);
    const work = roster.apply(after);
    for (let next = work.next(); next.done !== true; next = work.next()) {
      const isServedByOthers = !listener.owner.service.wait && listener.phase === 'open';
      if (isServedByOthers) expect([server.isWatched(listener), isHeld(listener, 'new')]).toEqual([false, true]);
    }
    expect([listener.phase, served()]).toEqual(['closed', ['lent 127.0.0.1:69', 'more 127.0.0.1:71']]);
  });
});

test('another try that is given up at any pause leaves what is served as it is', () => {
  const lacks = [{ name: 'path', reason: 'no program' }];
  for (let at = 0; ; at += 1) {
    build();
    atOnce(roster.apply(BEFORE));
    atOnce(roster.apply(configurationOf(AFTER.services, lacks)));
    const sockets = [...roster].flatMap(({ listeners }: Hosted) => listeners);
    const work = roster.retry(AFTER);
    let pause: Pause | null = 'revocable';
    for (let step = 0; step <= at && pause === 'revocable'; step += 1) {
      const next = work.next();
      pause = next.done === true ? null : next.value;
    }
    if (pause !== 'revocable') break;
    work.return({ available: [], unavailable: [] });
    expect([...roster].flatMap(({ listeners }: Hosted) => listeners)).toEqual(sockets);
    expect([bound().includes('unix:/run/it'), roster.shortfalls.size]).toEqual([true, 1]);
  }
});
