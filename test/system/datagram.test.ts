/**
 * Services of datagrams: one child has the bound socket, with the datagram that it was started for still unread.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { datagramClient, type DatagramClient } from './datagram-client';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { testIpv6 } from './machine';
import { openFds } from './proc';
import { expectGrowth, expectRest } from './rest';
import { untilTrue } from './until';

afterEach(endAll);

function serve(exec = fixture('receives.py'), listen = '127.0.0.1:0/udp'): string {
  return `services: {it: ${entry(exec, listen)}}\n`;
}

function entry(exec: string, listen = '127.0.0.1:0/udp'): string {
  return `{listen: "${listen}", exec: ${exec}, pass_env: [PATH], stderr: null, stop_grace: 100ms}`;
}

/** `127.0.0.1:4000/udp` → 4000 */
function portOf(daemon: Daemon, service = 'it', at = 0): number {
  const found = daemon.all('listening', { service })[at];
  return Number(/:(\d+)\/udp$/.exec(found?.address ?? '')?.[1]);
}

async function pidOf(client: DatagramClient, port: number, text = 'hello'): Promise<number> {
  const [pid, echoed] = (await client.ask(text, port)).split(' ');
  expect(echoed).toBe(text);
  return Number(pid);
}

/** The sockets that the daemon has, but for those that Node has for itself. */
function sockets(daemon: Daemon): string[] {
  return [...openFds(daemon.pid)].filter(([fd]) => fd >= 1024).map(([, target]) => target);
}

function peerOf(client: DatagramClient): string {
  return `127.0.0.1:${client.port}`;
}

test('a service that a reload removes answers no longer than its grace, however many go on sending', async () => {
  const more = 'other: {listen: "127.0.0.1:0", exec: cat}';
  const service = entry(fixture('receives.py')).replace('100ms', '1s');
  const daemon = await startDaemon(`services: {it: ${service}, ${more}}\n`);
  const client = await datagramClient();
  const pid = await pidOf(client, portOf(daemon));
  const before = sockets(daemon).length;
  const sending = setInterval(() => void client.send('more', portOf(daemon)), 20);
  daemon.configure(`services: {${more}}\n`);
  daemon.signal('SIGHUP');
  const reaped = await daemon.waitFor('reaped', { pid }).finally(() => {
    clearInterval(sending);
  });
  expect(reaped).toMatchObject({ service: 'it', signal: 'SIGTERM', reason: 'removed' });
  expect(daemon.all('terminating')).toMatchObject([{ signal: 'SIGTERM', children: 1 }]);
  await untilTrue('the socket is closed', () => sockets(daemon).length === before - 1);
});

describe('a child of a datagram service', () => {
  test('finds the first datagram unread, and those that came after it', async () => {
    const daemon = await startDaemon(serve());
    const client = await datagramClient();
    await daemon.whileStopped(async () => {
      for (const text of ['one', 'two', 'three']) await client.send(text, portOf(daemon));
    });
    const answers = [await client.next(), await client.next(), await client.next()].map(String);
    expect(answers.map((answer) => answer.split(' ')[1])).toEqual(['one', 'two', 'three']);
    expect(new Set(answers.map((answer) => answer.split(' ')[0])).size).toBe(1);
  });

  test('is told of its socket in the environment and in the events', async () => {
    const daemon = await startDaemon(serve());
    const client = await datagramClient();
    const facts = JSON.parse(await client.ask('facts', portOf(daemon))) as { pid: number; environment: object };
    const { connection } = await daemon.waitFor('started', { pid: facts.pid, children: 1 });
    expect(facts.environment).toMatchObject({
      PROTO: 'UDP',
      UDPLOCALIP: '127.0.0.1',
      UDPLOCALPORT: String(portOf(daemon)),
      LISTEN_FDS: '1',
      LISTEN_PID: String(facts.pid),
      STDIOD_CONNECTION: connection,
    });
    await client.ask('leave', portOf(daemon));
    await daemon.waitFor('reaped', { connection, pid: facts.pid, exit: 0 });
  });

  test('is alone, and is followed by another one on the same socket', async () => {
    const daemon = await startDaemon(serve());
    const before = sockets(daemon);
    const client = await datagramClient();
    const pids = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      pids.add(await pidOf(client, portOf(daemon)));
      pids.add(await pidOf(client, portOf(daemon)));
      const pid = await pidOf(client, portOf(daemon), 'leave');
      await daemon.waitFor('reaped', { pid });
    }
    expect([pids.size, (await daemon.waitForCount('started', 3)).length]).toEqual([3, 3]);
    expect(sockets(daemon)).toEqual(before);
  });

  test('that answers one datagram each serves a whole queue', async () => {
    const daemon = await startDaemon(serve(`"${fixture('receives.py')} 1"`));
    const client = await datagramClient();
    await daemon.whileStopped(async () => {
      for (let count = 0; count < 12; count += 1) await client.send('same', portOf(daemon));
    });
    for (let count = 0; count < 12; count += 1) expect((await client.next()).toString()).toMatch(/^\d+ same$/);
    await daemon.waitForCount('reaped', 12);
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('may make the socket non-blocking: the next one finds it blocking', async () => {
    const daemon = await startDaemon(serve());
    const client = await datagramClient();
    const first = await pidOf(client, portOf(daemon), 'nonblock');
    await daemon.waitFor('reaped', { pid: first });
    const second = await pidOf(client, portOf(daemon));
    expect(second).not.toBe(first);
    expect(await pidOf(client, portOf(daemon), 'again')).toBe(second);
  });

  test('that shuts the socket down does not end the service, nor make the daemon spin', async () => {
    const daemon = await startDaemon(serve());
    const client = await datagramClient();
    await client.send('shutdown', portOf(daemon));
    await daemon.waitFor('reaped');
    await expectRest(daemon.pid);
    await pidOf(client, portOf(daemon));
  });

  testIpv6('has a socket of IPv6 as well as one of IPv4 where no address is given, on one port', async () => {
    const daemon = await startDaemon(serve(undefined, '0/udp'));
    expect(portOf(daemon, 'it', 0)).toBe(portOf(daemon, 'it', 1));
    const [four, six] = [await datagramClient('udp4'), await datagramClient('udp6')];
    const pids = [await pidOf(four, portOf(daemon)), await pidOf(six, portOf(daemon))];
    expect(pids[0]).not.toBe(pids[1]);
    expect((await daemon.waitForCount('started', 2)).map(({ children }) => children)).toEqual([1, 2]);
  });
});

describe('a datagram that no child takes', () => {
  test('is dropped, each start exactly one, and told', async () => {
    const daemon = await startDaemon(serve('"true"'));
    const client = await datagramClient();
    await daemon.whileStopped(async () => {
      for (let count = 0; count < 5; count += 1) await client.send('hello', portOf(daemon));
    });
    await daemon.waitForCount('dropped', 5, { reason: 'unread' });
    expect(daemon.all('dropped')).toMatchObject(
      Array(5).fill({
        service: 'it',
        reason: 'unread',
        peer: peerOf(client),
        address: `127.0.0.1:${portOf(daemon)}/udp`,
      }),
    );
    await daemon.waitForCount('reaped', 5);
    expect(await daemon.waitForCount('started', 5)).toHaveLength(5);
  });

  test('makes the next start wait, longer each time', async () => {
    const daemon = await startDaemon(serve('"true"'));
    const client = await datagramClient();
    for (let count = 0; count < 12; count += 1) await client.send('hello', portOf(daemon));
    const starts = (await daemon.waitForCount('started', 8)).map(({ time }) => Date.parse(time));
    expectGrowth(starts.slice(1, 8).map((start, at) => start - (starts[at] ?? 0)));
  });

  test('harms no other service, and no datagram for a child that comes to its senses', async () => {
    const flag = join(makeFolder(), 'good');
    const exec = `[sh, -c, 'test -e "$1" && exec "$2"', sh, ${flag}, ${fixture('receives.py')}]`;
    const daemon = await startDaemon(
      `services:\n  it: ${entry(exec)}\n  other: {listen: "127.0.0.1:0", exec: echo hello}\n`,
    );
    const client = await datagramClient();
    await client.send('lost', portOf(daemon));
    await daemon.waitFor('dropped');
    expect(await exchange(daemon.port('other'), '')).toBe('hello\n');
    writeFileSync(flag, '');
    await pidOf(client, portOf(daemon), 'kept');
    expect(daemon.all('dropped')).toHaveLength(1);
  });

  test('is dropped as well when the program cannot be run any more', async () => {
    const program = join(makeFolder(), 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    const daemon = await startDaemon(serve(program));
    writeFileSync(program, '#!/no/such/interpreter\n');
    const client = await datagramClient();
    await client.send('hello', portOf(daemon));
    const { connection } = await daemon.waitFor('started');
    expect(await daemon.waitFor('dropped', { connection })).toMatchObject({ step: 'execve', error: 'ENOENT' });
    expect(await daemon.waitFor('dropped', { reason: 'unread' })).toMatchObject({ peer: peerOf(client) });
  });
});

describe('a reload', () => {
  test('keeps a datagram socket with what is in it, and the child that has it', async () => {
    const daemon = await startDaemon(serve());
    const client = await datagramClient();
    const pid = await pidOf(client, portOf(daemon));
    const before = sockets(daemon);
    await daemon.reload(serve().replace('stop_grace: 100ms', 'stop_grace: 200ms'));
    expect(await pidOf(client, portOf(daemon))).toBe(pid);
    expect(sockets(daemon)).toEqual(before);
  });

  test('turns a port of connections into one of datagrams', async () => {
    const daemon = await startDaemon('services: {it: {listen: "127.0.0.1:0", exec: echo hello}}\n');
    const port = daemon.port();
    expect(await exchange(port, '')).toBe('hello\n');
    await daemon.reload(serve(undefined, `127.0.0.1:${port}/udp`));
    await pidOf(await datagramClient(), port);
  });
});
