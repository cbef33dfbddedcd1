/**
 * Many connections: all are served, and nothing is left of them.
 */
import { connectTo, exchange, inParallel, Load } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { endAll } from './endings';
import { childrenOf, moreFds, openFds } from './proc';
import { setTimeout as delay } from 'node:timers/promises';
import { untilTrue } from './until';

afterEach(endAll);

const AT_ONCE = 64;

/** After the connections are gone: every child was collected, every descriptor is as it was. */
async function expectNothingLeft(daemon: Daemon, fds: ReadonlyMap<number, string>): Promise<void> {
  await untilTrue('no child is left', () => childrenOf(daemon.pid).length === 0);
  await untilTrue('no descriptor is left', () => moreFds(daemon.pid, fds).length === 0);
}

async function serveMany(count: number, options: DaemonOptions): Promise<void> {
  const daemon = await startDaemon('services: {hello: {listen: "127.0.0.1:0", exec: echo hello}}\n', options);
  const fds = openFds(daemon.pid);
  await inParallel(count, AT_ONCE, async () => {
    expect(await exchange(daemon.port(), '')).toBe('hello\n');
  });
  await daemon.waitForCount('reaped', count);
  await expectNothingLeft(daemon, fds);
  const [accepted, reaped] = [daemon.all('accepted'), daemon.all('reaped')];
  expect([accepted.length, reaped.length, daemon.all('dropped').length]).toEqual([count, count, 0]);
  expect(new Set(accepted.map(({ connection }) => connection)).size).toBe(count);
  expect(new Set(reaped.map(({ connection }) => connection)).size).toBe(count);
  expect(reaped.every(({ exit }) => exit === 0)).toBe(true);
}

test('10,000 connections leave no zombie and no descriptor, and each is accepted once and reaped once', async () => {
  await serveMany(10_000, {});
}, 600_000);

test('1,000 connections by plain fork leave as little', async () => {
  await serveMany(1_000, { env: { STDIOD_SPAWN: 'fork' } });
}, 300_000);

test('500 idle clients do not delay the next one', async () => {
  const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat, max_per_peer: 501}}\n');
  const fds = openFds(daemon.pid);
  const idle = await Promise.all(Array.from({ length: 500 }, () => connectTo(daemon.port())));
  await daemon.waitForCount('accepted', 500);
  expect(await exchange(daemon.port(), 'next')).toBe('next');
  await daemon.waitFor('reaped');
  expect(childrenOf(daemon.pid)).toHaveLength(500);
  expect(await Promise.all(idle.map((client) => client.ask('still here')))).toEqual(idle.map(() => 'still here'));
  for (const client of idle) client.end();
  await daemon.waitForCount('reaped', 501);
  await expectNothingLeft(daemon, fds);
});

test('a daemon that is stopped for a second under load loses nobody', async () => {
  const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n');
  const load = new Load(16, async () => {
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });
  await daemon.waitForCount('reaped', 50);
  daemon.signal('SIGSTOP');
  await delay(1_000); // the outage itself, no wait for anything
  daemon.signal('SIGCONT');
  const before = daemon.all('reaped').length;
  await daemon.waitForCount('reaped', before + 50);
  const answered = await load.stop();
  expect(await daemon.waitForCount('reaped', answered)).toHaveLength(answered);
  expect(await daemon.waitForCount('accepted', answered)).toHaveLength(answered);
});

test('clients that leave at once, with an end or a reset, are all accounted for', async () => {
  const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n');
  const fds = openFds(daemon.pid);
  await inParallel(300, 32, async (index) => {
    const client = await connectTo(daemon.port());
    if (index % 3 === 0) client.reset();
    else if (index % 3 === 1) client.socket.destroy();
    else client.end();
  });
  expect(await exchange(daemon.port(), 'after')).toBe('after');
  await untilTrue('all are reaped', () => daemon.all('reaped').length === daemon.all('accepted').length);
  await expectNothingLeft(daemon, fds);
  expect(await daemon.waitForCount('accepted', 301)).toHaveLength(301);
});
