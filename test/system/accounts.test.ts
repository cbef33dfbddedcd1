/**
 * What a service with `accounts: full` is told of its connections.
 */
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon, type EventOf } from './daemon';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { testAsRoot, testPeaks } from './machine';
import { isRunning } from './proc';
import { exchangeUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

function serve(exec: string, more = '', listen = '127.0.0.1:0'): string {
  return `services: {it: {listen: "${listen}", exec: ${exec}, accounts: full${more}}}\n`;
}

const TAKES_1000_GIVES_5000 = "[sh, -c, 'head -c 1000 >/dev/null; head -c 5000 /dev/zero']";
/** Its child ends at once, and somebody whom that leaves behind has the connection. */
const LEAVES_IT = "[sh, -c, 'sleep 600 & echo $!']";

function expectNothingKnown(reaped: EventOf<'reaped'>): void {
  const { exit, in: from, out, rtt, retransmits } = reaped;
  expect([exit, from, out, rtt, retransmits]).toEqual([0, undefined, undefined, undefined, undefined]);
}

async function serveOne(daemon: Daemon, host: string): Promise<void> {
  const client = await connectTo(daemon.port(), host);
  client.send('x'.repeat(1000));
  await client.rest();
}

describe('a TCP connection', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1:0'],
    ['::1', '[::1]:0'],
  ])('is told with its bytes in both directions (%s)', async (host, listen) => {
    const daemon = await startDaemon(serve(TAKES_1000_GIVES_5000, '', listen));
    await serveOne(daemon, host);
    const reaped = await daemon.waitFor('reaped');
    expect(reaped).toMatchObject({ exit: 0, in: 1000, out: 5000, retransmits: 0, children: 0 });
    expect(reaped.rtt).toBeGreaterThan(0);
    expect(reaped.rtt).toBeLessThan(1);
  });

  test('has the end that the client sent as one more', async () => {
    const daemon = await startDaemon(serve('cat'));
    expect(await exchange(daemon.port(), 'x'.repeat(1000))).toBe('x'.repeat(1000));
    expect(await daemon.waitFor('reaped')).toMatchObject({ in: 1001, out: 1000 });
  });

  test('has of what a client did not take no more than it did', async () => {
    const daemon = await startDaemon(serve("[sh, -c, 'read line; echo hello; read line']"));
    const client = await connectTo(daemon.port());
    expect(await client.ask('one')).toBe('hello');
    client.reset();
    expect(await daemon.waitFor('reaped')).toMatchObject({ in: 4, out: 6 });
  });

  test('that was taken apart with its counts is told without', async () => {
    const daemon = await startDaemon(serve(fixture('resets-at-end.py')));
    const client = await connectTo(daemon.port());
    client.send('one\n');
    expectNothingKnown(await daemon.waitFor('reaped'));
  });

  test('is told once, however many there are', async () => {
    const daemon = await startDaemon(serve('cat'));
    await Promise.all(Array.from({ length: 50 }, (_, size) => exchange(daemon.port(), 'x'.repeat(size + 1))));
    const reaped = await daemon.waitForCount('reaped', 50);
    expect(new Set(reaped.map(({ connection }) => connection)).size).toBe(50);
    expect(reaped.map(({ out = 0 }) => out).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, at) => at + 1),
    );
    await daemon.stop();
    expect(daemon.all('reaped')).toHaveLength(50);
  });

  test('is told without, after a moment, when somebody has it still', async () => {
    const daemon = await startDaemon(serve(LEAVES_IT));
    const client = await connectTo(daemon.port());
    await client.line();
    expectNothingKnown(await daemon.waitFor('reaped'));
  });

  test('holds up nobody while it is waited for, and is told before the stop', async () => {
    const daemon = await startDaemon(serve(LEAVES_IT, ', max_connections: 1, stop_grace: 100ms'));
    for (let time = 0; time < 3; time += 1) {
      const client = await connectTo(daemon.port());
      await client.line();
    }
    const { pid } = daemon.all('accepted')[2] ?? (await daemon.waitFor('accepted', { connection: 'c3' }));
    await untilTrue('the last one is collected', () => !isRunning(pid));
    await daemon.stop();
    expect(daemon.all('reaped').map(({ connection }) => connection)).toEqual(['c1', 'c2', 'c3']);
    expect(daemon.events.at(-1)).toMatchObject({ event: 'stopped' });
  });

  testAsRoot('is the same one in a network of its own (needs root)', async () => {
    const daemon = await startDaemon(serve(TAKES_1000_GIVES_5000, ', private_network: true'));
    await serveOne(daemon, '127.0.0.1');
    expect(await daemon.waitFor('reaped')).toMatchObject({ in: 1000, out: 5000 });
  });
});

describe('the memory of a child', () => {
  /** Between its own last look and its end a program allocates a little. */
  const SOME = 4 * 1024 * 1024;

  testPeaks.each(['', 'thread'])('is what it had itself, and not what stdiod has (needs root) %s', async (word) => {
    const daemon = await startDaemon(serve(`${fixture('takes-memory.py')} 24 ${word}`));
    const client = await connectTo(daemon.port());
    const peak = Number(await client.rest()) * 1024;
    const { rss } = await daemon.waitFor('reaped');
    expect(peak).toBeGreaterThan(24 * 1024 * 1024);
    expect(rss).toBeGreaterThanOrEqual(peak - SOME);
    expect(rss).toBeLessThan(peak + SOME);
    expect(daemon.all('failed')).toEqual([]);
  });

  testPeaks('is told of small ones, of each its own (needs root)', async () => {
    const daemon = await startDaemon(serve(`[sh, -c, 'read size; exec ${fixture('takes-memory.py')} $size']`));
    const sizes = [5, 40, 5, 20];
    const peaks = await Promise.all(sizes.map((size) => exchange(daemon.port(), `${size}\n`)));
    const reaped = await daemon.waitForCount('reaped', sizes.length);
    const told = reaped.map(({ rss }) => rss ?? 0).sort((a, b) => a - b);
    const own = peaks.map((peak) => Number(peak) * 1024).sort((a, b) => a - b);
    for (const [at, rss] of told.entries()) expect(Math.abs(rss - (own[at] ?? 0))).toBeLessThan(SOME);
  });

  testPeaks('is not known where the right to ask is missing, which is said, and nothing else is lacking', async () => {
    const wrapper = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'];
    const daemon = await startDaemon(serve(TAKES_1000_GIVES_5000), { wrapper });
    expect(daemon.all('failed')).toMatchObject([{ verb: 'watch', address: '-', service: 'it' }]);
    expect(daemon.all('failed')[0]?.error).toMatch(/^taskstats: EPERM /);
    await serveOne(daemon, '127.0.0.1');
    expect(await daemon.waitFor('reaped')).toMatchObject({ in: 1000, out: 5000, rss: null });
    daemon.signal('SIGUSR1');
    expect((await daemon.waitFor('status')).unaccounted).toMatch(/^taskstats: EPERM /);
  });
});

test('a redirect counts for itself, and the rest is the kernel’s', async () => {
  const daemon = await startDaemon(`
services:
  cat: {listen: "127.0.0.1:0", exec: cat}
`);
  const yaml = `
services:
  cat: {listen: "127.0.0.1:0", exec: cat}
  web: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${daemon.port()}", accounts: full}
`;
  const front = await startDaemon(yaml);
  expect(await exchange(front.port('web'), 'hello')).toBe('hello');
  expect(await front.waitFor('reaped', { service: 'web' })).toMatchObject({ in: 5, out: 5, retransmits: 0 });
});

test('of a Unix socket nothing is known, and nothing is waited for', async () => {
  const name = join(makeFolder(), 'socket');
  const daemon = await startDaemon(serve('cat', '', `unix:${name}`));
  expect(await exchangeUnix(name, 'hello')).toBe('hello');
  expectNothingKnown(await daemon.waitFor('reaped'));
});

test('a reload that asks for accounts has them for whoever comes then, and one that does not has none', async () => {
  const daemon = await startDaemon(serve('cat').replace('full', 'basic'));
  expect(await exchange(daemon.port(), 'one')).toBe('one');
  expectNothingKnown(await daemon.waitFor('reaped'));
  const port = daemon.port();
  for (const [accounts, out] of [
    ['full', 3],
    ['basic', undefined],
  ] as const) {
    const before = daemon.all('reaped').length;
    const reloads = daemon.all('reloaded').length;
    daemon.configure(serve('cat').replace('full', accounts));
    daemon.signal('SIGHUP');
    await daemon.waitForCount('reloaded', reloads + 1);
    expect(await exchange(port, 'two')).toBe('two');
    expect((await daemon.waitForCount('reaped', before + 1))[before]?.out).toBe(out);
  }
});
