/**
 * The end of the daemon, and the other signals that it hears.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange, type Client } from './client';
import { launchDaemon, startDaemon, startWords, type Daemon, type DaemonOptions } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, libraryFixture, makeFolder } from './fixtures';
import { asOther, testAsOther, testAsRoot } from './machine';
import { childrenOf, isRunning, listeners, moreFds, openFds, status } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

function serve(exec: string, grace: string, more = ''): string {
  return `services: {it: {listen: "127.0.0.1:0", exec: ${exec}, stop_grace: ${grace}, ${more}}}\n`;
}

/** A daemon with one client that is being served. */
async function startServing(
  yaml: string,
  options: DaemonOptions = {},
): Promise<{ daemon: Daemon; client: Client; pid: number }> {
  const daemon = await startDaemon(yaml, options);
  const client = await connectTo(daemon.port());
  const { pid } = await daemon.waitFor('accepted');
  return { daemon, client, pid };
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test('ends an idle daemon with 0', async () => {
    const daemon = await startDaemon(serve('cat', '60s'));
    daemon.signal(signal);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('stopping')).toMatchObject([{ signal, children: 0 }]);
    expect(daemon.all('stopped')).toMatchObject([{ children: 0 }]);
    expect(daemon.all('terminating')).toEqual([]);
  });

  test('lets a client that is served finish, and takes no new ones', async () => {
    const { daemon, client, pid } = await startServing(serve('cat', '60s'));
    const port = daemon.port();
    expect(await client.ask('before')).toBe('before');
    daemon.signal(signal);
    await daemon.waitFor('stopping', { children: 1 });
    await untilTrue('the listener is closed', () => listeners(daemon.pid).size === 0);
    await expect(exchange(port, '')).rejects.toThrow('ECONNREFUSED');
    expect(await client.ask('after')).toBe('after');
    client.end();
    expect(await client.rest()).toBe('');
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ pid, exit: 0 }]);
    expect(daemon.all('terminating')).toEqual([]);
  });

  test('sends SIGTERM to a child that is still there after the grace', async () => {
    const { daemon, client, pid } = await startServing(serve('cat', '1s'));
    await client.ask('hello');
    daemon.signal(signal);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('terminating')).toMatchObject([{ signal: 'SIGTERM', children: 1 }]);
    expect(daemon.all('reaped')).toMatchObject([{ pid, signal: 'SIGTERM' }]);
    expect(Object.keys(daemon.all('terminating')[0] ?? {})).toEqual(['event', 'time', 'signal', 'children']);
  });

  test('sends SIGKILL to a child that ignores SIGTERM', async () => {
    const { daemon, client, pid } = await startServing(serve(fixture('ignores-sigterm.sh'), '100ms'));
    expect(await client.line()).toBe('ready');
    daemon.signal(signal);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('terminating').map((event) => event.signal)).toEqual(['SIGTERM', 'SIGKILL']);
    expect(daemon.all('reaped')).toMatchObject([{ pid, signal: 'SIGKILL' }]);
    expect(isRunning(pid)).toBe(false);
  });
});

describe('the stop', () => {
  test('ends what a child has started as well', async () => {
    const { daemon, client } = await startServing(serve(fixture('has-family.sh'), '100ms'));
    const grandchild = Number(await client.line());
    expect(isRunning(grandchild)).toBe(true);
    await daemon.stop();
    await untilTrue('the family is gone', () => !isRunning(grandchild));
  });

  test.each(['', 'stubborn', 'stopped', 'naked', 'leaves', 'stubborn naked leaves'])(
    'ends also whom a program has put out of its session (%s)',
    async (words) => {
      const { daemon, client } = await startServing(serve(`"${fixture('forks-twice.py')} ${words}"`, '300ms'));
      const pid = Number(await client.line());
      expect(isRunning(pid)).toBe(true);
      if (words.includes('leaves')) await daemon.waitFor('reaped', { exit: 0 });
      expect(await daemon.stop()).toBe(0);
      await untilTrue('nobody is left', () => !isRunning(pid));
    },
  );

  test('tells of those whom children have left behind', async () => {
    const { daemon, client } = await startServing(serve(`${fixture('forks-twice.py')} leaves`, '300ms'));
    await client.rest();
    await daemon.waitFor('reaped');
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('terminating')).toMatchObject([{ signal: 'SIGTERM', children: 0, left: 1 }]);
  });

  test('lets those live that stdiod was started beside', async () => {
    const wrapper = ['sh', '-c', 'sleep 600 >/dev/null 2>&1 & exec "$0" "$@"'];
    const daemon = await startDaemon(serve('cat', '300ms'), { wrapper });
    const [sleeper = 0] = childrenOf(daemon.pid);
    atEnd(() => {
      process.kill(sleeper, 'SIGKILL');
    });
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect(await daemon.stop()).toBe(0);
    expect(isRunning(sleeper)).toBe(true);
  });

  test('serves the clients that were in the queue before it', async () => {
    const { daemon, client } = await startServing(serve('cat', '60s', 'max_connections: 1'));
    const queued = [await connectTo(daemon.port()), await connectTo(daemon.port()), await connectTo(daemon.port())];
    for (const late of queued) late.send('late\n');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    for (const [index, one] of [client, ...queued].entries()) {
      if (index > 0) expect(await one.line()).toBe('late');
      one.end();
      await one.rest();
    }
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped').map(({ exit }) => exit)).toEqual([0, 0, 0, 0]);
  });

  test('goes by the grace of each service', async () => {
    const services = ['short: 1s', 'long: 60s'].map((text) => {
      const [name = '', grace = ''] = text.split(': ');
      return `  ${name}: {listen: "127.0.0.1:0", exec: cat, stop_grace: ${grace}}\n`;
    });
    const daemon = await startDaemon(`services:\n${services.join('')}`);
    const clients = [await connectTo(daemon.port('short')), await connectTo(daemon.port('long'))];
    for (const client of clients) await client.ask('hello');
    daemon.signal('SIGTERM');
    expect(await daemon.waitFor('reaped')).toMatchObject({ service: 'short', signal: 'SIGTERM' });
    expect(await clients[1]?.ask('still here')).toBe('still here');
    clients[1]?.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')[1]).toMatchObject({ service: 'long', exit: 0 });
  });

  test('is not hurried by a second SIGTERM', async () => {
    const { daemon, client } = await startServing(serve('cat', '60s'));
    await client.ask('hello');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    daemon.signal('SIGTERM');
    daemon.signal('SIGUSR1'); // answered after the TERM that came before it
    await daemon.waitFor('status');
    expect(await client.ask('still here')).toBe('still here');
    client.end();
    expect(await daemon.ended()).toBe(0);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('after %s ends at once with the next SIGINT', async (first) => {
    const { daemon, client, pid } = await startServing(serve(fixture('ignores-sigterm.sh'), '24h'));
    expect(await client.line()).toBe('ready');
    daemon.signal(first);
    await daemon.waitFor('stopping');
    daemon.signal('SIGINT');
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ pid, signal: 'SIGKILL' }]);
  });

  test('leaves a child alone for a grace of as many days as can be configured', async () => {
    const { daemon, client } = await startServing(serve('cat', '24d'));
    await client.ask('hello');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    await untilTrue('the listener is closed', () => daemon.isEnded || listeners(daemon.pid).size === 0);
    expect(await client.ask('still here')).toBe('still here');
    client.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ exit: 0 }]);
  });

  test('takes no new configuration', async () => {
    const { daemon, client } = await startServing(serve('cat', '60s'));
    await client.ask('hello');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    daemon.signal('SIGHUP');
    daemon.signal('SIGUSR1'); // answered after the HUP that came before it
    await daemon.waitFor('status');
    client.end();
    expect(await daemon.ended()).toBe(0);
    expect([daemon.all('reloaded'), daemon.all('rejected')]).toEqual([[], []]);
  });

  testAsOther('is as orderly when the daemon is not root', async () => {
    const { daemon, client } = await startServing(serve('cat', '60s', 'max_connections: 1'), { wrapper: asOther });
    const late = await connectTo(daemon.port());
    late.send('late\n');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    expect(await client.ask('still here')).toBe('still here');
    client.end();
    expect(await late.line()).toBe('late');
    late.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped').map(({ exit }) => exit)).toEqual([0, 0]);
  });

  test('leaves no child behind when a plain fork has started it', async () => {
    const { daemon, client, pid } = await startServing(serve('cat', '1s'), { env: { STDIOD_SPAWN: 'fork' } });
    await client.ask('hello');
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ pid, signal: 'SIGTERM' }]);
  });
});

describe('a signal that comes early', () => {
  /** A daemon that is in the middle of reading its configuration, until the file is removed. */
  async function startReading(): Promise<{ daemon: Daemon; file: string }> {
    const file = join(makeFolder(), 'slow');
    writeFileSync(file, '');
    const env = { LD_PRELOAD: libraryFixture('slow-accounts.c'), SLOW_ACCOUNTS: file };
    const daemon = launchDaemon('services: {it: {listen: "127.0.0.1:0", exec: cat}}\n', { env });
    await untilTrue('it asks who nobody is', () => statSync(file).size > 0);
    return { daemon, file };
  }

  testAsRoot('does not end the daemon: a HUP becomes a reload', async () => {
    const { daemon, file } = await startReading();
    daemon.signal('SIGHUP');
    rmSync(file);
    await daemon.untilReady();
    expect(await daemon.waitFor('reloaded')).toMatchObject({ kept: 1 });
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });

  testAsRoot('is not lost: a TERM becomes a stop with 0', async () => {
    const { daemon, file } = await startReading();
    daemon.signal('SIGTERM');
    rmSync(file);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('stopped')).toHaveLength(1);
  });
});

describe('SIGUSR1', () => {
  test('tells of every service and opens no debugger', async () => {
    const daemon = await startDaemon(
      'services: {a: {listen: ["127.0.0.1:0", "127.0.0.2:0"], exec: cat}, b: {listen: "127.0.0.1:0", exec: cat}}\n',
    );
    const fds = openFds(daemon.pid);
    const client = await connectTo(daemon.port('a'));
    await client.ask('hello');
    daemon.signal('SIGUSR1');
    await daemon.waitForCount('status', 2);
    expect(daemon.all('status')).toMatchObject([
      { service: 'a', listeners: 2, children: 1, limit: 1000 },
      { service: 'b', listeners: 1, children: 0, limit: 1000 },
    ]);
    expect(listeners(daemon.pid).size).toBe(3);
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, fds).length === 0);
    expect(daemon.stderr).not.toMatch(/debugger/i);
  });
});

test('SIGHUP, SIGUSR2 and SIGPIPE do not end a daemon that has no file', async () => {
  const daemon = await startWords(['try', '127.0.0.1:0', '--', 'cat']);
  for (const name of ['SIGHUP', 'SIGPIPE', 'SIGUSR2'] as const) daemon.signal(name);
  const ignored = await daemon.waitForCount('ignored', 2);
  expect(ignored.map(({ signal }) => signal).sort()).toEqual(['SIGHUP', 'SIGUSR2']);
  expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  expect(daemon.all('stopping')).toEqual([]);
});

describe('a daemon that is process 1', () => {
  /** `unshare` waits for it: its number outside is that of the only child. */
  const wrapper = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

  async function startAsInit(yaml: string): Promise<{ daemon: Daemon; pid: number }> {
    const daemon = await startDaemon(yaml, { wrapper });
    const [pid = 0] = childrenOf(daemon.pid);
    expect(status(pid)['NSpid']?.split('\t').at(-1)).toBe('1');
    return { daemon, pid };
  }

  testAsRoot('reaps the orphans of its services (needs root)', async () => {
    const { daemon, pid } = await startAsInit(serve(fixture('leaves-orphan.sh'), '5s'));
    const client = await connectTo(daemon.port());
    await client.line();
    await daemon.waitFor('reaped', { exit: 0 });
    await untilTrue('it has adopted the orphan', () => childrenOf(pid).length === 1);
    client.end();
    await untilTrue('the orphan is reaped', () => childrenOf(pid).length === 0);
    expect(daemon.all('reaped')).toHaveLength(1);
  });

  testAsRoot('serves, and stops at SIGTERM with 0 (needs root)', async () => {
    const { daemon, pid } = await startAsInit(serve('cat', '5s'));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    process.kill(pid, 'SIGTERM');
    expect(await daemon.ended()).toBe(0);
  });
});
