/**
 * Services with `redirect`: a child of our own forwards each connection, and is a child like any other.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectTo, exchange, inParallel, LOCALHOST, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder, project } from './fixtures';
import { findFreePorts, testAsRoot, testIpv6 } from './machine';
import { link, moreFds, openFds, status } from './proc';
import { expectRest } from './rest';
import { exchangeUnix } from './unix-client';
import { until, untilTrue } from './until';

afterEach(endAll);

function serve(target: string, more = ''): string {
  return `services: {it: {listen: "127.0.0.1:0", redirect: "${target}", ${more}}}\n`;
}

class Target {
  readonly server: Server;
  readonly sockets: Socket[] = [];

  constructor(onSocket: (socket: Socket) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      // How its client leaves is what a test looks at.
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    atEnd(() => {
      for (const socket of this.sockets) socket.destroy();
      this.server.close();
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The first connection that came. */
  first(): Promise<Socket> {
    return until('the target has a connection', () => this.sockets[0]);
  }
}

async function target(onSocket: (socket: Socket) => void, where: string | { host: string } = { host: LOCALHOST }) {
  const made = new Target(onSocket);
  made.server.listen(typeof where === 'string' ? { path: where } : { ...where, port: 0 });
  await once(made.server, 'listening');
  return made;
}

const echo = (socket: Socket): void => {
  socket.pipe(socket);
};
const keep = (): void => undefined;

/** A client whose child forwards already. */
async function forwarded(daemon: Daemon): Promise<Client> {
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
  return client;
}

async function textOf(socket: Socket): Promise<string> {
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  await once(socket, 'end');
  return heard;
}

/** As /proc/net/tcp has it. */
const SYN_SENT = '02';

/** Its queue is full. */
async function portThatNeverAnswers(): Promise<number> {
  const script = join(project, 'test/services/accepts-late.py');
  const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  atEnd(() => void child.kill('SIGKILL'));
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
  return Number(port);
}

describe('a redirected connection', () => {
  test('is served by a child, whose end tells its bytes', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await forwarded(daemon);
    const { connection, pid } = await daemon.waitFor('accepted', { service: 'it', peer: client.address });
    client.end();
    await client.rest();
    const reaped = await daemon.waitFor('reaped');
    expect(reaped).toMatchObject({ service: 'it', connection, pid, exit: 0, in: 6, out: 6, children: 0 });
    const keys = Object.keys(reaped);
    expect(keys.slice(keys.indexOf('rss'))).toEqual(['rss', 'in', 'out', 'usage', 'children', 'limit']);
    expect(daemon.all('said')).toEqual([]);
  });

  test('never passes through the daemon', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await forwarded(daemon);
    const { pid } = await daemon.waitFor('accepted');
    const [connection = ''] = [openFds(pid).get(0)];
    await untilTrue('the daemon has let go of it', () => ![...openFds(daemon.pid).values()].includes(connection));
    client.end();
  });

  test('reaches a Unix socket by path', async () => {
    const path = join(makeFolder(), 'target');
    await target(echo, path);
    chmodSync(path, 0o777);
    const daemon = await startDaemon(serve(`unix:${path}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, in: 5, out: 5 });
  });

  test('reaches an abstract Unix socket, whatever is in its name', async () => {
    // As long as it may be: Node fills up a shorter one with NULs.
    const name = `50% ${process.pid} `.padEnd(107, 'x');
    await target(echo, `\0${name}`);
    const daemon = await startDaemon(serve(`unix:@${name}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });

  test('may come from a Unix socket', async () => {
    const path = join(makeFolder(), 'listen');
    const { port } = await target(echo);
    const daemon = await startDaemon(`services: {it: {listen: "unix:${path}", redirect: "127.0.0.1:${port}"}}\n`);
    expect(await exchangeUnix(path, 'hello')).toBe('hello');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, in: 5, out: 5 });
  });

  testIpv6('goes from IPv4 to IPv6', async () => {
    const { port } = await target(echo, { host: '::1' });
    const daemon = await startDaemon(serve(`[::1]:${port}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });

  testIpv6('goes from IPv6 to IPv4', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`).replace('127.0.0.1:0', '[::1]:0'));
    expect(await exchange(daemon.port(), 'hello', '::1')).toBe('hello');
  });

  test('reaches a target by its name', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`localhost:${port}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });

  test('may end in the direction of the target first', async () => {
    const made = await target(keep);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await connectTo(daemon.port());
    client.send('question');
    client.end();
    const socket = await made.first();
    expect(await textOf(socket)).toBe('question');
    socket.end('answer');
    expect(await client.rest()).toBe('answer');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, in: 8, out: 6 });
  });

  test('may end in the direction of the client first', async () => {
    const made = await target((socket) => socket.end('greeting'));
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('greeting');
    client.send('still here');
    client.end();
    expect(await textOf(await made.first())).toBe('still here');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, in: 10, out: 8 });
  });

  test('carries 10 MB in both directions, byte for byte', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const content = randomBytes(10_000_000);
    const socket = connect({ port: daemon.port(), host: LOCALHOST, allowHalfOpen: true });
    const hash = createHash('sha256');
    socket.on('data', (chunk: Buffer) => hash.update(chunk));
    socket.end(content);
    await once(socket, 'close');
    expect(hash.digest('hex')).toBe(createHash('sha256').update(content).digest('hex'));
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, in: content.length, out: content.length });
  });

  test('is reset for the target when the client resets', async () => {
    const made = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await forwarded(daemon);
    const error = once(await made.first(), 'error');
    client.reset();
    expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
    await daemon.waitFor('reaped', { exit: 1, in: 6, out: 6 });
    expect(daemon.all('said')).toMatchObject([{ line: 'redirect: lost the client: Connection reset by peer' }]);
  });

  test('is reset for the client when the target resets', async () => {
    const made = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await forwarded(daemon);
    (await made.first()).resetAndDestroy();
    await untilTrue('the client sees a reset', () => client.error !== null);
    expect(client.error).toMatchObject({ code: 'ECONNRESET' });
    await daemon.waitFor('reaped', { exit: 1, in: 6, out: 6 });
  });

  test('ends with the reason when the target is down, and the next one is tried again', async () => {
    const port = await findFreePorts(1);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    for (let round = 0; round < 2; round += 1) {
      const client = await connectTo(daemon.port());
      expect(await client.rest()).toBe('');
      client.end();
    }
    const ends = await daemon.waitForCount('reaped', 2);
    expect(ends).toMatchObject(Array(2).fill({ service: 'it', exit: 69, in: 0, out: 0 }));
    const line = `redirect: connect 127.0.0.1:${port}: Connection refused`;
    const about = ends.map(({ connection, pid }) => ({ service: 'it', connection, pid, line }));
    expect(daemon.all('said')).toMatchObject(about);
  });

  test('ends with the reason when the name of the target stands for nothing', async () => {
    const daemon = await startDaemon(serve('no-such-host.invalid:80'));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('');
    await daemon.waitFor('reaped', { exit: 68 });
    const { line } = await daemon.waitFor('said');
    expect(line).toMatch(/^redirect: resolve no-such-host\.invalid: ./);
  });

  test('whose target does not answer ends with its client', async () => {
    const port = await portThatNeverAnswers();
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await connectTo(daemon.port());
    const { pid } = await daemon.waitFor('accepted');
    const row = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} ${SYN_SENT} `);
    await untilTrue('the child knocks', () => row.test(readFileSync('/proc/net/tcp', 'utf8')));
    client.reset();
    await daemon.waitFor('reaped', { pid, exit: 1, in: 0, out: 0 });
    const line = 'redirect: lost the client: it left before the target answered';
    expect(daemon.all('said')).toMatchObject([{ line }]);
  });

  test('counts as one of max_connections', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'max_connections: 1'));
    const first = await forwarded(daemon);
    const second = await connectTo(daemon.port());
    second.send('early\n');
    await daemon.waitFor('paused', { reason: 'full', children: 1 });
    first.end();
    expect(await second.line()).toBe('early');
  });

  test('is one of many, and nothing is left of them', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'max_per_peer: 1000'));
    await exchange(daemon.port(), 'first');
    await daemon.waitForCount('reaped', 1);
    const before = openFds(daemon.pid);
    await inParallel(1000, 200, async (index) => {
      expect(await exchange(daemon.port(), `hello ${index}`)).toBe(`hello ${index}`);
    });
    const ends = await daemon.waitForCount('reaped', 1001);
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, before).length === 0);
    expect(ends.filter((end) => end.exit !== 0 || end.in !== end.out || end.in === 0)).toEqual([]);
  });

  test('is one of 200 at once, none of which loses its account', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'max_per_peer: 1000'));
    const clients = await Promise.all(Array.from({ length: 200 }, () => forwarded(daemon)));
    await daemon.whileStopped(async () => {
      for (const client of clients) client.end();
      await Promise.all(clients.map((client) => client.rest()));
    });
    const ends = await daemon.waitForCount('reaped', 200);
    expect(ends.filter((end) => end.in !== 6 || end.out !== 6)).toEqual([]);
  });
});

describe('the child', () => {
  test('has the connection, the report socket as stderr, and the target', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await forwarded(daemon);
    const { pid } = await daemon.waitFor('accepted');
    const fds = openFds(pid);
    expect(fds.get(1)).toBe(fds.get(0));
    expect(fds.get(2)).toMatch(/^socket:/);
    expect(fds.get(2)).not.toBe(fds.get(0));
    expect(link(pid, 'exe')).toMatch(/\/dist\/services\/redirect$/);
    client.end();
  });

  testAsRoot('runs as nobody', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await forwarded(daemon);
    const { pid } = await daemon.waitFor('accepted');
    expect(status(pid)['Uid']).toMatch(/^65534\t65534/);
    client.end();
  });

  test('is the only kind of child that has the report socket', async () => {
    const { port } = await target(echo);
    const yaml = `services:
  it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}"}
  other: {listen: "127.0.0.1:0", exec: cat, stderr: null}\n`;
    const daemon = await startDaemon(yaml);
    const first = await connectTo(daemon.port('it'));
    await first.ask('hello');
    const second = await connectTo(daemon.port('other'));
    await second.ask('hello');
    const { pid } = await daemon.waitFor('accepted', { service: 'it' });
    const report = openFds(pid).get(2) ?? '';
    const other = await daemon.waitFor('accepted', { service: 'other' });
    expect([...openFds(other.pid).values()]).not.toContain(report);
    expect(openFds(other.pid).size).toBe(3);
  });

  testAsRoot('is believed in what it says, and nobody else is who gets hold of the socket', async () => {
    const { port } = await target(echo);
    const yaml = `services:
  it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}"}
  thief: {listen: "127.0.0.1:0", user: root, exec: [${fixture('steals-stderr.py')}]}\n`;
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port('it'));
    await client.ask('hello');
    const { pid } = await daemon.waitFor('accepted', { service: 'it' });
    const thief = await connectTo(daemon.port('thief'));
    expect(['said', 'forbidden']).toContain(await thief.ask(String(pid)));
    const theft = await daemon.waitFor('reaped', { service: 'thief' });
    expect([theft.exit, theft.in, theft.out]).toEqual([0, undefined, undefined]);
    client.end();
    expect(await daemon.waitFor('reaped', { service: 'it' })).toMatchObject({ in: 6, out: 6 });
    expect(daemon.all('said')).toEqual([]);
  });

  testAsRoot('cannot be made to spin by who shuts its socket down, and children to come are heard again', async () => {
    const { port } = await target(echo);
    const thief = `exec: [${fixture('steals-stderr.py')}, shutdown]`;
    const yaml = `services:
  it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}"}
  other: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}", user: root}
  thief: {listen: "127.0.0.1:0", user: root, ${thief}}\n`;
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port('it'));
    await client.ask('hello');
    const { pid } = await daemon.waitFor('accepted', { service: 'it' });
    expect(await (await connectTo(daemon.port('thief'))).ask(String(pid))).toBe('said');
    expect(await daemon.waitFor('unheard')).toMatchObject({ user: parseInt(status(pid)['Uid'] ?? ''), duration: 0.1 });
    await expectRest(daemon.pid);
    for (const [index, service] of ['it', 'other'].entries()) {
      expect(await exchange(daemon.port(service), 'hello')).toBe('hello');
      expect(await daemon.waitFor('reaped', { service })).toMatchObject({ in: 5, out: 5, connection: `c${3 + index}` });
    }
    expect(daemon.all('unheard')).toHaveLength(1);
    client.end();
    expect((await daemon.waitFor('reaped', { connection: 'c1' })).in).toBeUndefined();
  });

  testAsRoot('is not heard any more on a socket that somebody floods, and nobody else is slowed down', async () => {
    const { port } = await target(echo);
    const yaml = `services:
  it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}"}
  thief: {listen: "127.0.0.1:0", user: root, exec: [${fixture('steals-stderr.py')}, flood]}\n`;
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port('it'));
    await client.ask('hello');
    const { pid } = await daemon.waitFor('accepted', { service: 'it' });
    expect(await (await connectTo(daemon.port('thief'))).ask(String(pid))).toBe('said');
    await daemon.waitFor('unheard');
    expect(await daemon.waitFor('reaped', { service: 'thief' })).toMatchObject({ exit: 0 });
    await expectRest(daemon.pid);
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    expect(await daemon.waitFor('reaped', { service: 'it' })).toMatchObject({ in: 5, out: 5 });
    expect(daemon.all('said')).toEqual([]);
  });

  testAsRoot('has nothing taken from it by another process of its user', async () => {
    const { port } = await target(echo);
    const yaml = `services:
  it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:${port}"}
  echo: {listen: "127.0.0.1:0", builtin: echo}
  thief: {listen: "127.0.0.1:0", exec: [${fixture('steals-stderr.py')}]}\n`;
    const daemon = await startDaemon(yaml);
    for (const service of ['it', 'echo']) {
      await (await connectTo(daemon.port(service))).ask('hello');
      const { pid } = await daemon.waitFor('accepted', { service });
      expect(await (await connectTo(daemon.port('thief'))).ask(String(pid))).toBe('forbidden');
    }
  });
});

describe('a stop', () => {
  test('lets a redirected connection finish', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'stop_grace: 60s'));
    const client = await forwarded(daemon);
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    expect(await client.ask('after')).toBe('after');
    client.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ exit: 0, in: 12, out: 12 }]);
  });

  test('terminates a redirected connection after the grace, as any child, and its bytes are told', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'stop_grace: 1s'));
    await forwarded(daemon);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('terminating')).toMatchObject([{ signal: 'SIGTERM', children: 1 }]);
    expect(daemon.all('reaped')).toMatchObject([{ signal: 'SIGTERM', in: 6, out: 6 }]);
  });

  test('ends a redirected connection whose client has ended and whose target has not', async () => {
    const made = await target(keep);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`, 'stop_grace: 1s'));
    const client = await connectTo(daemon.port());
    client.end();
    await made.first();
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ signal: 'SIGTERM' }]);
  });
});

test('a reload sends the next client to the new target, and leaves the others where they are', async () => {
  const [old, young] = [await target(echo), await target((socket) => socket.end('young'))];
  const yaml = (port: number): string => serve(`127.0.0.1:${port}`);
  const daemon = await startDaemon(yaml(old.port));
  const port = daemon.port();
  const client = await forwarded(daemon);
  await daemon.reload(yaml(young.port));
  expect(await exchange(port, '')).toBe('young');
  expect(await client.ask('still here')).toBe('still here');
  client.end();
  await daemon.waitFor('reaped', { in: 17, out: 17 });
});

test('what is said is escaped', async () => {
  const daemon = await startDaemon(serve('unix:/nosuch/\\e[31m'));
  const client = await connectTo(daemon.port());
  await client.rest();
  await daemon.waitFor('reaped', { exit: 69 });
  expect(daemon.stderr).not.toContain('\x1b');
  expect(daemon.all('said')).toMatchObject([
    { line: 'redirect: connect unix:/nosuch/\x1b[31m: No such file or directory' },
  ]);
});
