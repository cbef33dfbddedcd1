/**
 * Every way in which a connection can end: the descriptor is closed, the slot given back, and the end told, each once.
 */
import type { Child, Exit } from '../../../../src/child/children';
import { refusalWhenFull } from '../../../../src/admission/slots';
import { addon, type Pid } from '../../../../src/native/addon';
import { Endings, type Served } from '../../../../src/server/hosted/endings';
import type { Connection, Hosted } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendServer } from '../pretended';
import { NO_USAGE } from '../../service/sample';
import type { ReapedUsage } from '../../../../src/log/events';

jest.mock('../../../../src/native/addon', () => ({ addon: { refuse: jest.fn(), sendNow: jest.fn() } }));

const EXIT: Exit = {
  status: 0,
  signal: null,
  hasCore: false,
  usage: { ...NO_USAGE, userSeconds: 0.1, systemSeconds: 0.0234567 },
  rssBytes: 4096,
  failure: null,
};
const kernel = jest.mocked(addon);

let server: PretendServer;
let hosted: Hosted;
/** How often somebody heard that there is room. */
let freed: number;
let endings: Endings;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  [server, freed] = [new PretendServer(), 0];
  hosted = hostedService({ name: 'echo', maxConnections: 5 });
  endings = new Endings(server.slots, server.emit, () => (freed += 1));
});

afterEach(() => jest.useRealTimers());

function connect(): Connection {
  return server.connect(server.listen(hosted), 7);
}

function childOf({ id, slot }: Connection, fields: Partial<Child<Served>> = {}): Child<Served> {
  const owner = { hosted, connection: id, peer: '10.0.0.5:7', slot };
  return {
    pid: 4711 as Pid,
    owner,
    startedMs: Math.round(performance.now()),
    errand: endings,
    stopSignal: 'SIGTERM',
    onlyUid: null,
    ...fields,
  };
}

/** In use at both gates, and whether room is there for those who ask. */
function slotsInUse(): [service: number, all: number, freedGates: number] {
  return [hosted.gate.inUse, server.slots.server.inUse, server.slots.takeFreed().size];
}

test('a client that is turned away had no slot, and hears what was to be said before the end', () => {
  const { fd, peer, local, slot } = connect();
  server.slots.putBack(slot);
  endings.turnAway({ fd, peer, local }, hosted, { reason: 'service-limit', limit: 5 }, 'full\r\n');
  expect(server.told).toEqual([
    { event: 'refused', service: 'echo', peer: '10.0.0.5:7', reason: 'service-limit', limit: 5 },
  ]);
  expect([kernel.sendNow.mock.calls, kernel.refuse.mock.calls]).toEqual([[[fd, 'full\r\n']], [[fd]]]);
  expect(kernel.sendNow.mock.invocationCallOrder[0]).toBeLessThan(kernel.refuse.mock.invocationCallOrder[0] ?? 0);
  expect([slotsInUse(), freed]).toEqual([[0, 0, 0], 0]);
});

test('who is refused hears what the service says, unless there is something else to be said', () => {
  hosted = hostedService({ messages: { admitted: null, refused: 'not %{peer.address}, %{service}\n' } });
  const connection = connect();
  endings.turnAway(connection, hosted, { reason: 'address' });
  endings.refuse(connection, 'before', '-Full\r\n');
  expect(kernel.sendNow.mock.calls.map(([, text]) => text)).toEqual(['not 10.0.0.5, echo\n', '-Full\r\n']);
});

test('the limit that is told is that of the gate that was full', () => {
  const { fd, peer, local } = connect();
  endings.turnAway({ fd, peer, local }, hosted, refusalWhenFull(server.slots.server));
  expect(server.told).toMatchObject([{ reason: 'server-limit', limit: 100 }]);
  expect(kernel.sendNow).not.toHaveBeenCalled();
});

test('a connection that is refused gives its slot back', () => {
  const connection = connect();
  endings.refuse(connection, 'silent');
  expect(server.told).toEqual([{ event: 'refused', service: 'echo', peer: '10.0.0.5:7', reason: 'silent', limit: 5 }]);
  expect([kernel.refuse.mock.calls, kernel.sendNow.mock.calls]).toEqual([[[connection.fd]], []]);
  expect([slotsInUse(), freed]).toEqual([[0, 0, 2], 1]);
});

test('a connection that is dropped says at which step and why, and gives its slot back', () => {
  const connection = connect();
  endings.drop(connection, 'clone', 'EAGAIN');
  const names = { service: 'echo', connection: 'c7', peer: '10.0.0.5:7' };
  expect(server.told).toEqual([{ event: 'dropped', ...names, step: 'clone', error: 'EAGAIN' }]);
  expect(kernel.refuse.mock.calls).toEqual([[connection.fd]]);
  expect([slotsInUse(), freed]).toEqual([[0, 0, 2], 1]);
});

test('a child that is reaped gives its slot back, and counts no more where its end is told', () => {
  const child = childOf(connect());
  endings.onExit(child, EXIT);
  expect(server.told).toEqual([
    {
      ...{ event: 'reaped', service: 'echo', connection: 'c7', pid: 4711, exit: 0, signal: undefined },
      ...{ reason: undefined, duration: 0, cpu: 0.123, rss: 4096, children: 0, limit: 5 },
      core: undefined,
      usage: expect.objectContaining({ user: 0.1, system: 0.023457, disk_read: 0 }) as ReapedUsage,
    },
  ]);
  expect([slotsInUse(), freed, kernel.refuse.mock.calls]).toEqual([[0, 0, 2], 1, []]);
});

test('how long it ran is told in seconds to the millisecond', () => {
  const child = childOf(connect());
  jest.advanceTimersByTime(1234);
  endings.onExit(child, EXIT);
  expect(server.told).toMatchObject([{ duration: 1.234 }]);
});

test('a child that we ended says why', () => {
  const child = childOf(connect(), { endReason: 'stop' });
  endings.onExit(child, { ...EXIT, status: null, signal: 'SIGTERM' });
  expect(server.told).toMatchObject([{ event: 'reaped', exit: undefined, signal: 'SIGTERM', reason: 'stop' }]);
});

test.each([
  [{ signal: 'SIGKILL', status: null }, {}, 'out-of-memory'],
  [{ signal: null, status: 0 }, {}, undefined],
  [{ signal: 'SIGKILL', status: null }, { endReason: 'stop' }, 'stop'],
] as const)(
  'a child whose group had no memory left, %j %j, has reason=%s, and what all its processes had',
  (end, fields, reason) => {
    const group = { cpuSeconds: 1, memoryBytes: 8192, hadOomKill: true };
    endings.onExit(childOf(connect(), fields), { ...EXIT, ...end, group });
    expect(server.told).toMatchObject([{ reason, memory: 8192 }]);
  },
);

test('a child that never ran its program is a connection dropped, and not one reaped', () => {
  const failure = { step: 'execve', error: 'ENOENT' };
  endings.onExit(childOf(connect()), { ...EXIT, status: 127, failure });
  const names = { service: 'echo', connection: 'c7', peer: '10.0.0.5:7' };
  expect(server.told).toEqual([{ event: 'dropped', ...names, ...failure }]);
  expect([slotsInUse(), freed]).toEqual([[0, 0, 2], 1]);
});

test('who hears of room finds it told and free', () => {
  const seen: unknown[] = [];
  endings = new Endings(server.slots, server.emit, () => seen.push([server.told.length, hosted.gate.inUse]));
  endings.drop(connect(), 'clone', 'EPERM');
  expect(seen).toEqual([[1, 0]]);
});

test('no connection ends twice: the second end is a fault of ours', () => {
  const connection = connect();
  endings.refuse(connection, 'left');
  expect(() => {
    endings.drop(connection, 'clone', 'EAGAIN');
  }).toThrow('given back twice');
});
