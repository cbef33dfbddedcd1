/**
 * From a readable listener to connections that have a slot and a handler, on a pretended queue of clients.
 */
import { addon, type Fd } from '../../../../src/native/addon';
import { Acceptor } from '../../../../src/server/accept/acceptor';
import type { Connection, Handler, HostedListener, Shortage } from '../../../../src/server/hosted/hosted';
import { OPEN } from '../../../../src/service/admission';
import type { Service } from '../../../../src/service/service';
import { hostedService, PretendServer, systemError } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({
  ACCEPT_FIELDS: 6,
  addon: { accept: jest.fn(), hasTooManyEnding: jest.fn(), hasWaiting: jest.fn(), isUsable: jest.fn() },
}));

const kernel = jest.mocked(addon);

let server: PretendServer;
/** Clients in the kernel's queue by descriptor, and what accept says of those that it cannot give. */
let queue: (number | Error)[];
let taken: Connection[];
let kept: Connection[];
let paused: string[];
/** `5 service-limit`: the client, and why. */
let turnedAway: string[];
/** Which were bound anew. */
let replaced: Fd[];
let shortage: Shortage | null;
/** After so many the service's children are still on their way. */
let mostUnderWay: number;
/** Descriptor, and why and for how long it is held. */
let held: string[];
let acceptor: Acceptor;

const handler: Handler = {
  get isBusy(): boolean {
    return taken.length >= mostUnderWay;
  },
  take: (connection) => {
    if (shortage !== null) return shortage;
    taken.push(connection);
    return 'taken';
  },
};

beforeEach(() => {
  server = new PretendServer();
  [queue, taken, kept, paused, turnedAway, replaced, shortage] = [[], [], [], [], [], [], null];
  [mostUnderWay, held] = [Infinity, []];
  kernel.isUsable.mockReturnValue(true);
  kernel.hasWaiting.mockImplementation(() => queue.length > 0);
  kernel.accept.mockReset().mockImplementation((_, numbers) => {
    const next = queue.shift();
    if (next instanceof Error) throw next;
    if (next === undefined) return null;
    numbers.set([next, 51_034, 80]);
    return '10.0.0.5\x00127.0.0.1';
  });
  let last = 0;
  acceptor = new Acceptor({
    slots: server.slots,
    endings: { turnAway: ({ fd }, _, { reason }): void => void turnedAway.push(`${fd} ${reason}`) },
    listeners: { holdFor: ({ fd }, why, ms): void => void held.push(`${fd} ${why} ${ms}`) },
    pauses: { pause: (_, reason, ms): void => void paused.push(ms === undefined ? reason : `${reason} ${ms > 999}`) },
    kept: { add: (connection): void => void kept.push(connection) },
    replacer: { replaceDestroyed: ({ fd }): void => void replaced.push(fd) },
    nextId: () => `c${(last += 1)}`,
  });
});

function serve(fields: Partial<Service> = {}): HostedListener {
  return server.listen(hostedService(fields, { intake: acceptor, handler }));
}

function fill(count: number): void {
  queue = Array.from({ length: count }, (_, index) => index + 1);
}

test('each client becomes a connection with a slot and a number of its own', () => {
  const listener = serve();
  fill(2);
  expect(acceptor.onReadable(listener)).toBe('empty');
  expect(taken).toMatchObject([
    { id: 'c1', fd: 1, hosted: listener.owner, listener, peer: { address: '10.0.0.5', port: 51_034 } },
    { id: 'c2', fd: 2, local: { address: '127.0.0.1', port: 80 }, handler },
  ]);
  expect([listener.owner.gate.inUse, new Set(taken.map(({ slot }) => slot)).size]).toEqual([2, 2]);
});

test('nobody takes more than a fair share before the others get their turn', () => {
  const listener = serve();
  fill(20);
  expect(acceptor.onReadable(listener)).toBe('more');
  expect([taken.length, queue.length]).toEqual([3, 17]);
});

test('while enough children are on their way the next client waits in the kernel’s queue, and no slot is taken for it', () => {
  const listener = serve();
  fill(5);
  mostUnderWay = 2;
  expect([acceptor.onReadable(listener), acceptor.onReadable(listener)]).toEqual(['more', 'more']);
  expect([taken.length, queue.length, listener.owner.gate.inUse]).toEqual([2, 3, 2]);
  expect([held, paused]).toEqual([[`${listener.fd} pacing 1`, `${listener.fd} pacing 1`], []]);
});

test('a listener on its way out is emptied, however many children are on their way', () => {
  const listener = serve();
  fill(2);
  mostUnderWay = 0;
  listener.phase = 'retired';
  expect([acceptor.onReadable(listener), taken.length, held]).toEqual(['empty', 2, []]);
});

test.each([
  ['the service', 'full', { maxConnections: 2 }],
  ['the server', 'server-full', {}],
])(
  'without a slot of %s the next client stays in the kernel’s queue, and the listener is paused',
  (_, reason, fields) => {
    server.slots.server.limit = 2;
    const listener = serve(fields);
    fill(3);
    expect(acceptor.onReadable(listener)).toBe('paused');
    expect([taken.length, queue, paused]).toEqual([2, [3], [reason]]);
  },
);

test('the last slot is no reason to pause before somebody else comes', () => {
  const listener = serve({ maxConnections: 2 });
  fill(2);
  expect(acceptor.onReadable(listener)).toBe('empty');
  expect([taken.length, paused]).toEqual([2, []]);
});

test('a service that does not let its clients wait turns them away, a fair share at a time', () => {
  const listener = serve({ maxConnections: 1, whenFull: 'refuse' });
  fill(20);
  expect(acceptor.onReadable(listener)).toBe('more');
  expect([taken.length, turnedAway.length, turnedAway[0], paused]).toEqual([1, 2, '2 service-limit', []]);
  expect(listener.owner.gate.inUse).toBe(1);
});

test('who is not admitted is turned away, and the slot that it has not used makes room for nobody', () => {
  const listener = serve({ admission: { ...OPEN, maxPerPeer: 1 } });
  fill(3);
  expect(acceptor.onReadable(listener)).toBe('more');
  expect([taken.map(({ fd }) => fd), turnedAway]).toEqual([[1], ['2 peer-limit', '3 peer-limit']]);
  expect([listener.owner.gate.inUse, server.slots.takeFreed().size, [...listener.owner.gate.peers]]).toEqual([
    1,
    0,
    [['10.0.0.5', 1]],
  ]);
});

test('over the rate of a service that lets its clients wait, the next one stays in the kernel’s queue', () => {
  const listener = serve({ admission: { ...OPEN, rate: { count: 2, perMs: 86_400_000 }, whenLimited: 'wait' } });
  fill(2);
  expect([acceptor.onReadable(listener), paused]).toEqual(['empty', []]);
  fill(1);
  expect([acceptor.onReadable(listener), paused, queue]).toEqual(['paused', ['rate true'], [1]]);
  expect([taken.length, turnedAway, listener.owner.gate.inUse]).toEqual([2, [], 2]);
});

test('a service that refuses waits like any other when the system lacks what it takes to refuse', () => {
  const listener = serve({ maxConnections: 0, whenFull: 'refuse' });
  queue = [systemError('EMFILE', 'accept4'), 2];
  expect(acceptor.onReadable(listener)).toBe('paused');
  expect([turnedAway, paused]).toEqual([[], ['open-files']]);
});

test('clients of a Unix socket wait where too many of those before them cannot be closed', () => {
  const owner = hostedService({}, { intake: acceptor, handler });
  const listener = server.listen(owner, { family: 'unix', type: 'stream', path: '/run/it' });
  fill(3);
  kernel.hasTooManyEnding.mockReturnValueOnce(false).mockReturnValue(true);
  expect(acceptor.onReadable(listener)).toBe('paused');
  expect([taken.length, paused, owner.gate.inUse]).toEqual([1, ['closing'], 1]);
});

test('nobody is accepted for a handler whose connections of before cannot be closed', () => {
  const listener = serve();
  fill(1);
  listener.owner.handler = { isBusy: false, isHeldUp: true, take: () => 'taken' };
  expect(acceptor.onReadable(listener)).toBe('paused');
  expect([paused, listener.owner.gate.inUse]).toEqual([['closing'], 0]);
});

test('where nobody waits after all the slot is put back, which makes no room for anybody', () => {
  const listener = serve();
  expect(acceptor.onReadable(listener)).toBe('empty');
  expect([listener.owner.gate.inUse, server.slots.server.inUse, server.slots.takeFreed().size]).toEqual([0, 0, 0]);
});

test('a client that is gone costs nothing, and the one behind it is served', () => {
  const listener = serve();
  queue = [systemError('ECONNABORTED', 'accept4'), 2];
  expect(acceptor.onReadable(listener)).toBe('empty');
  expect([taken.map(({ fd }) => fd), listener.owner.gate.inUse]).toEqual([[2], 1]);
});

test('a listener from which every accept fails gives the others their turn, and pauses in the end', () => {
  const listener = serve();
  queue = Array.from({ length: 20 }, () => systemError('EPERM', 'accept4'));
  for (let turn = 1; turn <= 5; turn += 1) expect(acceptor.onReadable(listener)).toBe('more');
  expect([queue.length, listener.owner.gate.inUse]).toEqual([5, 0]);
  expect(acceptor.onReadable(listener)).toBe('paused');
  expect(paused).toEqual(['accept']);
});

test.each(['EINVAL', null])('a listener that was destroyed is bound anew, and not paused (accept: %p)', (code) => {
  const listener = serve();
  kernel.isUsable.mockReturnValue(false);
  queue = code === null ? [] : [systemError(code, 'accept4')];
  expect(acceptor.onReadable(listener)).toBe('empty');
  expect([replaced, paused, listener.owner.gate.inUse]).toEqual([[listener.fd], [], 0]);
});

test('one that is on its way out is not bound anew', () => {
  const listener = serve();
  server.listeners.retire(listener);
  kernel.isUsable.mockReturnValue(false);
  queue = [systemError('EINVAL', 'accept4')];
  acceptor.onReadable(listener);
  expect([replaced, paused]).toEqual([[], ['accept']]);
});

test.each([
  ['EMFILE', 'open-files'],
  ['ENFILE', 'open-files'],
  ['ENOMEM', 'memory'],
  ['ENOBUFS', 'memory'],
  ['EBADF', 'accept'],
])('after %s the listener is paused (%s), and the slot is put back', (code, reason) => {
  const listener = serve();
  queue = [systemError(code, 'accept4'), 2];
  expect(acceptor.onReadable(listener)).toBe('paused');
  expect([paused, queue, listener.owner.gate.inUse]).toEqual([[reason], [2], 0]);
});

test.each(['processes', 'memory'] as const)(
  'for want of %s a connection is kept with its slot, and nobody else is accepted',
  (reason) => {
    const listener = serve();
    shortage = reason;
    fill(2);
    expect(acceptor.onReadable(listener)).toBe('paused');
    expect([kept.map(({ fd }) => fd), paused, queue]).toEqual([[1], [reason], [2]]);
    expect(listener.owner.gate.inUse).toBe(1);
  },
);

test('a connection keeps the handler that its service had when it was accepted', () => {
  const listener = serve();
  fill(1);
  shortage = 'processes';
  acceptor.onReadable(listener);
  listener.owner.handler = { isBusy: false, take: () => 'taken' };
  expect(kept[0]?.handler).toBe(handler);
});

test('a fault of ours is no state of the system and is thrown on', () => {
  const listener = serve();
  queue = [new TypeError('ours')];
  expect(() => acceptor.onReadable(listener)).toThrow('ours');
});
