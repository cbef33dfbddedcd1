/**
 * Services of connections with `wait: true`: one child has the listening socket itself.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientThatSent, connectTo, exchange, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { fdFlags, listeners, openFds } from './proc';
import { expectGrowth, expectRest } from './rest';
import { untilTrue } from './until';

afterEach(endAll);

interface Facts {
  readonly pid: number;
  readonly sockets: readonly string[];
  readonly blocking: readonly boolean[];
  readonly environment: Readonly<Record<string, string>>;
}

const O_NONBLOCK = 0o4000;

function entry(exec: string, more = ''): string {
  return `{listen: "127.0.0.1:0", exec: ${exec}, wait: true, pass_env: [PATH], stderr: null, stop_grace: 100ms, ${more}}`;
}

function serve(exec = fixture('accepts.py'), more = ''): string {
  return `services: {it: ${entry(exec, more)}}\n`;
}

/** Of the one listener that the daemon has. */
function socketOf(daemon: Daemon): string {
  const [socket] = listeners(daemon.pid).values();
  if (socket === undefined) throw new Error('the daemon has no listener');
  return socket;
}

/** The descriptor under which the daemon has its listener. */
function listenerFd(daemon: Daemon): number {
  const socket = socketOf(daemon);
  const found = [...openFds(daemon.pid)].find(([, target]) => target === socket);
  return found?.[0] ?? -1;
}

async function factsOf(client: Client): Promise<Facts> {
  return JSON.parse(await client.ask('facts')) as Facts;
}

/** The pid of the child that answers. */
async function pidOf(client: Client, line = 'hello'): Promise<number> {
  const [pid, echoed] = (await client.ask(line)).split(' ');
  expect(echoed).toBe(line);
  return Number(pid);
}

async function leave(daemon: Daemon, client: Client): Promise<void> {
  const from = daemon.events.length;
  const pid = await pidOf(client, 'leave');
  await daemon.waitFor('reaped', { pid }, from);
}

describe('a child under wait', () => {
  test('finds the listening socket on descriptors 0, 1, 2 and 3, in blocking mode', async () => {
    const daemon = await startDaemon(serve().replace('stderr: null', 'stderr: socket'));
    const { sockets, blocking } = await factsOf(await connectTo(daemon.port()));
    const socket = socketOf(daemon);
    expect(sockets).toEqual([socket, socket, socket, socket]);
    expect(blocking).toEqual([true, true, true, true]);
  });

  test('is told of it as by systemd, and of its own address', async () => {
    const daemon = await startDaemon(serve());
    const { pid, environment } = await factsOf(await connectTo(daemon.port()));
    const { connection } = await daemon.waitFor('started', { pid });
    expect(environment).toMatchObject({
      LISTEN_FDS: '1',
      LISTEN_PID: String(pid),
      LISTEN_FDNAMES: 'it',
      PROTO: 'TCP',
      TCPLOCALIP: '127.0.0.1',
      TCPLOCALPORT: String(daemon.port()),
      STDIOD_SERVICE: 'it',
      STDIOD_CONNECTION: connection,
    });
    expect(environment).not.toHaveProperty('TCPREMOTEIP');
  });

  test('serves all clients, and nobody else is started beside it', async () => {
    const daemon = await startDaemon(serve());
    const clients = [];
    for (let count = 0; count < 20; count += 1) clients.push(await connectTo(daemon.port()));
    const pids = await Promise.all(clients.map((client) => pidOf(client)));
    expect(new Set(pids).size).toBe(1);
    expect(await daemon.waitForCount('started', 1)).toMatchObject([{ pid: pids[0], children: 1 }]);
  });

  test('has the socket for itself: the daemon does not look at what waits there', async () => {
    const daemon = await startDaemon(serve('"sleep 60"'));
    const first = await connectTo(daemon.port());
    await daemon.waitFor('started');
    for (let count = 0; count < 100; count += 1) await clientThatSent(daemon.port(), 'hello\n');
    await expectRest(daemon.pid);
    expect(await daemon.waitForCount('started', 1)).toHaveLength(1);
    expect(first.hasEnd).toBe(false);
  });

  test('is followed by another one when it has left, on the same socket', async () => {
    const daemon = await startDaemon(serve());
    const socket = socketOf(daemon);
    const pids = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      const client = await connectTo(daemon.port());
      pids.add(await pidOf(client));
      await leave(daemon, client);
    }
    expect(pids.size).toBe(3);
    expect(socketOf(daemon)).toBe(socket);
  });

  test('leaves the clients in the queue to the next one', async () => {
    const daemon = await startDaemon(serve(`"${fixture('accepts.py')} --once"`));
    const first = await connectTo(daemon.port());
    await pidOf(first);
    const queued = [];
    for (let count = 0; count < 5; count += 1) queued.push(await clientThatSent(daemon.port(), 'early\n'));
    first.end();
    for (const client of queued) {
      expect(await client.line()).toMatch(/^\d+ early$/);
      client.end();
      await client.rest();
    }
    await daemon.waitForCount('reaped', 6);
    expect(daemon.all('reaped').every(({ exit }) => exit === 0)).toBe(true);
  });

  test('that takes one client each is not held up, however many come meanwhile', async () => {
    const daemon = await startDaemon(serve(`"${fixture('accepts.py')} --once"`));
    const waiting = [await connectTo(daemon.port())];
    for (let round = 0; round < 11; round += 1) {
      const client = waiting.shift();
      if (client === undefined) throw new Error('nobody waits');
      await pidOf(client);
      for (let more = 0; more < 2; more += 1) waiting.push(await connectTo(daemon.port()));
      client.end();
      await client.rest();
    }
    await daemon.waitForCount('started', 12);
    expect(gapsOf(daemon).at(-1)).toBeLessThan(5_000);
  });

  test('that makes the socket non-blocking leaves it blocking for the next one', async () => {
    const daemon = await startDaemon(serve(`"${fixture('accepts.py')} --once"`));
    const first = await connectTo(daemon.port());
    await pidOf(first, 'nonblock');
    expect(fdFlags(daemon.pid, listenerFd(daemon)) & O_NONBLOCK).toBe(O_NONBLOCK);
    first.end();
    const { blocking } = await factsOf(await connectTo(daemon.port()));
    expect(blocking).toEqual([true, true, true, true]);
  });

  test('that shuts the socket down is followed by one with a new socket on the same port', async () => {
    const daemon = await startDaemon(serve());
    const port = daemon.port();
    const first = await connectTo(port);
    const pid = await pidOf(first, 'shutdown');
    await daemon.waitFor('reaped', { pid });
    await untilTrue('the port is listened on again', () => listeners(daemon.pid).has(port));
    expect(await pidOf(await connectTo(port))).not.toBe(pid);
  });

  test('that shuts the socket down when its service has gone leaves nothing behind', async () => {
    // It is to be told so before it has to leave.
    const daemon = await startDaemon(serve().replace('100ms', '60s'));
    const port = daemon.port();
    const client = await connectTo(port);
    await pidOf(client);
    await daemon.reload('services: {other: {listen: "127.0.0.1:0", exec: cat}}\n');
    const pid = await pidOf(client, 'shutdown');
    await daemon.waitFor('reaped', { pid });
    daemon.signal('SIGUSR1');
    await daemon.waitFor('status');
    expect(listeners(daemon.pid).has(port)).toBe(false);
    expect(await daemon.stop()).toBe(0);
  });

  test('that dies is reaped with its signal, and the next client has another one', async () => {
    const daemon = await startDaemon(serve());
    const pid = await pidOf(await connectTo(daemon.port()));
    process.kill(pid, 'SIGKILL');
    await daemon.waitFor('reaped', { pid, signal: 'SIGKILL' });
    expect(await pidOf(await connectTo(daemon.port()))).not.toBe(pid);
  });

  test('is one for each socket of the service', async () => {
    const daemon = await startDaemon(serve().replace('"127.0.0.1:0"', '["127.0.0.1:0", "127.0.0.1:0"]'));
    const pids = [0, 1].map(async (at) => pidOf(await connectTo(daemon.port('it', at))));
    expect(new Set(await Promise.all(pids)).size).toBe(2);
    expect((await daemon.waitForCount('started', 2)).map(({ children }) => children)).toEqual([1, 2]);
  });

  test('has an end event for each start', async () => {
    const daemon = await startDaemon(serve());
    for (let round = 0; round < 5; round += 1) await leave(daemon, await connectTo(daemon.port()));
    await pidOf(await connectTo(daemon.port()));
    daemon.signal('SIGINT');
    daemon.signal('SIGINT');
    await daemon.ended();
    const ids = daemon.all('started').map(({ connection }) => connection);
    expect(daemon.all('reaped').map(({ connection }) => connection)).toEqual(ids);
  });
});

/** Milliseconds from each end of a child to the next start. */
function gapsOf(daemon: Daemon): number[] {
  const ends = daemon.events.filter(({ event }) => event === 'reaped' || event === 'dropped');
  const starts = daemon.all('started').slice(1);
  return starts.map((start, at) => Date.parse(start.time) - Date.parse(ends[at]?.time ?? ''));
}

describe('a child that exits without having taken a client', () => {
  test('is started again after waits that grow, and the daemon rests between', async () => {
    const daemon = await startDaemon(serve('"true"'));
    await connectTo(daemon.port());
    await daemon.waitForCount('started', 8);
    expectGrowth(gapsOf(daemon).slice(0, 7));
    await expectRest(daemon.pid);
  });

  test('loses no client: a better one serves all who waited', async () => {
    const flag = join(makeFolder(), 'good');
    const exec = `[sh, -c, 'test -e "$1" && exec "$2"', sh, ${flag}, ${fixture('accepts.py')}]`;
    const daemon = await startDaemon(serve(exec));
    const clients = [await clientThatSent(daemon.port(), 'one\n'), await clientThatSent(daemon.port(), 'two\n')];
    await daemon.waitForCount('started', 3);
    writeFileSync(flag, '');
    expect(await Promise.all(clients.map((client) => client.line()))).toEqual([
      expect.stringMatching(/^\d+ one$/),
      expect.stringMatching(/^\d+ two$/),
    ]);
  });

  test('harms no other service', async () => {
    const daemon = await startDaemon(
      `services:\n  it: ${entry('"true"')}\n  other: {listen: "127.0.0.1:0", exec: echo hello}\n`,
    );
    await connectTo(daemon.port('it'));
    await daemon.waitForCount('started', 3);
    for (let count = 0; count < 20; count += 1) expect(await exchange(daemon.port('other'), '')).toBe('hello\n');
  });

  test('because it cannot be run any more is told each time, and its clients wait for better days', async () => {
    const program = join(makeFolder(), 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    const daemon = await startDaemon(serve(program));
    rmSync(program);
    const client = await clientThatSent(daemon.port(), 'hello\n');
    await daemon.waitForCount('dropped', 3);
    const ids = daemon.all('started').map(({ connection }) => connection);
    const told = daemon.all('dropped').map((event) => ('connection' in event ? event.connection : ''));
    expect(told).toEqual(ids.slice(0, told.length));
    expect(daemon.all('dropped')[0]).toMatchObject({ step: 'execve', error: 'ENOENT' });
    writeFileSync(program, `#!/bin/sh\nexec ${fixture('accepts.py')}\n`, { mode: 0o755 });
    expect(await client.line()).toMatch(/^\d+ hello$/);
  });

  test('does not keep a stop waiting', async () => {
    const daemon = await startDaemon(serve('"true"'));
    await connectTo(daemon.port());
    await daemon.waitForCount('reaped', 9);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a reload', () => {
  const noWait = (exec: string): string => `services: {it: {listen: "127.0.0.1:0", exec: ${exec}}}\n`;

  test('that ends wait leaves a service that accepts by itself and holds nobody up', async () => {
    const daemon = await startDaemon(serve());
    await leave(daemon, await connectTo(daemon.port()));
    await daemon.reload(noWait('echo hello'));
    for (let round = 0; round < 3; round += 1) expect(await exchange(daemon.port(), '')).toBe('hello\n');
  });

  test('that ends wait while a child has the socket serves again when that has left', async () => {
    const daemon = await startDaemon(serve());
    const client = await connectTo(daemon.port());
    await pidOf(client);
    await daemon.reload(noWait('echo hello'));
    await leave(daemon, client);
    for (let round = 0; round < 3; round += 1) expect(await exchange(daemon.port(), '')).toBe('hello\n');
  });
});
