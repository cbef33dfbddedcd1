/**
 * Connections that wait for a process: who is tried, in which order, and what becomes of those whom nobody will serve.
 */
import { Kept } from '../../../../src/server/accept/kept';
import type { Connection, Handler, Hosted, HostedListener, Shortage } from '../../../../src/server/hosted/hosted';
import { hostedService, PretendServer, tcp } from '../pretended';

let server: PretendServer;
let kept: Kept;
/** Descriptors, as they were tried. */
let tried: number[];
/** `5 clone EAGAIN`. */
let dropped: string[];
/** What each descriptor's handler says; nothing: it takes it. */
let shortages: Map<number, Shortage>;

const handler: Handler = {
  isBusy: false,
  take: ({ fd }) => {
    tried.push(fd);
    return shortages.get(fd) ?? 'taken';
  },
};

beforeEach(() => {
  [server, tried, dropped, shortages] = [new PretendServer(), [], [], new Map()];
  kept = new Kept({ drop: ({ fd }, step, error): void => void dropped.push(`${fd} ${step} ${error}`) });
});

function serviceOn(port: number): [Hosted, HostedListener] {
  const hosted = hostedService({ name: `on ${port}` }, { handler });
  return [hosted, server.listen(hosted, tcp(port))];
}

function keep(listener: HostedListener, ...fds: number[]): Connection[] {
  const connections = fds.map((fd) => server.connect(listener, fd));
  for (const connection of connections) kept.add(connection);
  return connections;
}

test('who came first is served first', () => {
  const [[, one], [, two]] = [serviceOn(80), serviceOn(81)];
  keep(one, 5);
  keep(two, 4);
  keep(one, 6);
  expect([kept.retry(), tried, kept.count]).toEqual([true, [5, 4, 6], 0]);
});

test('while the first one cannot be served nobody else is tried, and nobody is lost', () => {
  const [, listener] = serviceOn(80);
  keep(listener, 5, 6);
  shortages.set(5, 'memory');
  expect([kept.retry(), kept.retry(), tried, kept.count]).toEqual([false, false, [5, 5], 2]);
  shortages.clear();
  expect([kept.retry(), tried.slice(2), kept.count]).toEqual([true, [5, 6], 0]);
});

test('one that fails for good is its handler’s to drop, and does not block those behind it', () => {
  const [hosted, listener] = serviceOn(80);
  const [failing] = keep(listener, 5, 6);
  const take = jest.spyOn(handler, 'take').mockImplementationOnce(() => {
    if (failing !== undefined) server.slots.release(failing.slot);
    return 'taken';
  });
  expect([kept.retry(), tried, kept.count, hosted.gate.inUse]).toEqual([true, [6], 0, 1]);
  take.mockRestore();
});

test('is tried with the handler that it was accepted for, whatever its service is now', () => {
  const [hosted, listener] = serviceOn(80);
  keep(listener, 5);
  hosted.handler = { isBusy: false, take: () => 'processes' };
  expect([kept.retry(), tried]).toEqual([true, [5]]);
});

test('with nobody there, nobody is left', () => {
  expect([kept.retry(), kept.count]).toEqual([true, 0]);
});

test('at the end of a service its connections are dropped, and those of others stay', () => {
  const [[ending, one], [, two]] = [serviceOn(80), serviceOn(81)];
  keep(one, 5);
  keep(two, 6);
  keep(one, 7);
  kept.endAll((hosted) => hosted === ending);
  expect(dropped).toEqual(['5 clone EAGAIN', '7 clone EAGAIN']);
  expect([kept.count, kept.retry(), tried]).toEqual([1, true, [6]]);
});

test('each is dropped once', () => {
  const [, listener] = serviceOn(80);
  keep(listener, 5);
  for (let times = 0; times < 2; times += 1) kept.endAll(() => true);
  expect(dropped).toHaveLength(1);
});
