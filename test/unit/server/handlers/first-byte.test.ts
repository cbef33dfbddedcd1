/** Clients that say nothing, on pretended connections: who is served, who is refused, and that each ends once. */
import { addon, type Fd } from '../../../../src/native/addon';
import { FirstByte } from '../../../../src/server/handlers/first-byte';
import { Endings } from '../../../../src/server/hosted/endings';
import type { Connection, Handler, Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendServer } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({
  addon: { firstByte: jest.fn(), refuse: jest.fn(), sendNow: jest.fn(), freeDescriptors: jest.fn() },
}));

const kernel = jest.mocked(addon);
const NEXT: Handler = { isBusy: true, isHeldUp: true, take: () => 'taken' };

let server: PretendServer;
let hosted: Hosted;
let listener: HostedListener;
let served: Connection[];
let firstByte: FirstByte;
let handler: Handler;

beforeEach(() => {
  jest.useFakeTimers();
  jest.resetAllMocks();
  kernel.firstByte.mockReturnValue('none');
  kernel.freeDescriptors.mockReturnValue(32);
  [server, served] = [new PretendServer(), []];
  const endings = new Endings(server.slots, server.emit, () => undefined);
  firstByte = new FirstByte({
    endings,
    pollSet: server.pollSet,
    serve: (connection) => void served.push(connection),
  });
  handler = firstByte.handlerFor(5000, NEXT);
  hosted = hostedService({ maxConnections: 50 }, { handler });
  listener = server.listen(hosted);
});

afterEach(() => jest.useRealTimers());

function connect(fd: number): Connection {
  const connection = server.connect(listener, fd);
  handler.take(connection);
  return connection;
}

function reasons(): unknown[] {
  return server.told.map((event) => ('reason' in event ? event.reason : event.event));
}

test('a client that has said something is served at once, by the next handler', () => {
  kernel.firstByte.mockReturnValue('here');
  connect(7);
  expect(served).toMatchObject([{ fd: 7, handler: NEXT }]);
  expect([firstByte.count, server.pollSet.watchers.has(7 as Fd), jest.getTimerCount()]).toEqual([0, false, 0]);
});

test('one that has not is served when it does, and holds its slot meanwhile', () => {
  connect(7);
  expect([served, firstByte.count, hosted.gate.inUse]).toEqual([[], 1, 1]);
  kernel.firstByte.mockReturnValue('here');
  server.pollSet.makeReady(7 as Fd);
  expect([served.length, firstByte.count, jest.getTimerCount(), hosted.gate.inUse]).toEqual([1, 0, 0, 1]);
});

test('one that says nothing for too long is refused', () => {
  connect(7);
  jest.advanceTimersByTime(5000);
  expect([reasons(), kernel.refuse.mock.calls, hosted.gate.inUse, firstByte.count]).toEqual([['silent'], [[7]], 0, 0]);
});

test('one that leaves without a word is refused', () => {
  connect(7);
  kernel.firstByte.mockReturnValue('left');
  server.pollSet.makeReady(7 as Fd);
  expect([reasons(), hosted.gate.inUse, jest.getTimerCount()]).toEqual([['left'], 0, 0]);
});

test('one that is ready and has said nothing makes nobody spin', () => {
  connect(7);
  server.pollSet.makeReady(7 as Fd);
  expect(server.pollSet.watchers.has(7 as Fd)).toBe(false);
  jest.advanceTimersByTime(1000);
  expect(server.pollSet.watchers.has(7 as Fd)).toBe(true);
  jest.advanceTimersByTime(4000);
  expect([reasons(), jest.getTimerCount()]).toEqual([['silent'], 0]);
});

test('one that cannot be watched is refused', () => {
  server.pollSet.isFull = true;
  connect(7);
  expect([reasons(), firstByte.count]).toEqual([['memory'], 0]);
});

test('where descriptors are short the oldest ones are let go', () => {
  for (const fd of [7, 8, 9]) connect(fd);
  kernel.freeDescriptors.mockReturnValue(30);
  firstByte.makeRoom();
  expect([reasons(), kernel.refuse.mock.calls]).toEqual([
    ['open-files', 'open-files'],
    [[7], [8]],
  ]);
});

test('when stdiod stops nobody is waited for any more', () => {
  connect(7);
  firstByte.endAll((each) => each === hosted);
  connect(8);
  expect([reasons(), firstByte.count, hosted.gate.inUse]).toEqual([['stopping', 'stopping'], 0, 0]);
});

test('is as busy as what comes behind it', () => {
  expect([handler.isBusy, handler.isHeldUp]).toEqual([true, true]);
});
