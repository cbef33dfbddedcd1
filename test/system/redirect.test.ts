/**
 * Services with `redirect`: the daemon forwards each connection.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connectTo, exchange, inParallel, LOCALHOST } from './client';
import { startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { makeFolder } from './fixtures';
import { findFreePorts, testIpv6 } from './machine';
import { openFds } from './proc';
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
      // How the daemon leaves is what a test looks at.
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

function endsOf(daemon: Daemon): unknown[] {
  return [...daemon.all('closed'), ...daemon.all('refused')];
}

describe('a redirected connection', () => {
  test('reaches a TCP target, and its bytes are told at its end', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    const client = await connectTo(daemon.port());
    expect(await client.ask('hello')).toBe('hello');
    const about = { peer: client.address, target: `127.0.0.1:${port}` };
    const { connection } = await daemon.waitFor('forwarding', about);
    client.end();
    await client.rest();
    expect(await daemon.waitFor('closed')).toMatchObject({ service: 'it', connection, ...about, in: 6, out: 6 });
  });

  test('reaches a Unix socket', async () => {
    const path = join(makeFolder(), 'target');
    await target(echo, path);
    const daemon = await startDaemon(serve(`unix:${path}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect(await daemon.waitFor('closed')).toMatchObject({ target: `unix:${path}`, in: 5, out: 5 });
  });

  testIpv6('goes from IPv4 to IPv6', async () => {
    const { port } = await target(echo, { host: '::1' });
    const daemon = await startDaemon(serve(`[::1]:${port}`));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
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
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    await once(socket, 'end');
    socket.end('answer');
    expect(await client.rest()).toBe('answer');
    expect(heard).toBe('question');
    expect(await daemon.waitFor('closed')).toMatchObject({ in: 8, out: 6 });
  });

  test('may end in the direction of the client first', async () => {
    const made = await target((socket) => socket.end('greeting'));
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('greeting');
    let heard = '';
    const socket = await made.first();
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    client.send('still here');
    client.end();
    await once(socket, 'end');
    expect(heard).toBe('still here');
    expect(await daemon.waitFor('closed')).toMatchObject({ in: 10, out: 8 });
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
    expect(await daemon.waitFor('closed')).toMatchObject({ in: content.length, out: content.length });
  });

  test('ends for the target when the client resets', async () => {
    const made = await target(keep);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await connectTo(daemon.port());
    const socket = await made.first();
    client.send('hello');
    await once(socket, 'data');
    socket.resume();
    const end = Promise.race([once(socket, 'end'), once(socket, 'close')]);
    client.reset();
    await end;
    await daemon.waitFor('closed', { in: 5, out: 0 });
  });

  test('ends for the client when the target resets', async () => {
    const made = await target(keep);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`));
    const client = await connectTo(daemon.port());
    await daemon.waitFor('forwarding');
    (await made.first()).resetAndDestroy();
    await untilTrue('the client sees an end', () => client.hasEnd || client.error !== null);
    client.end();
    await daemon.waitFor('closed');
  });

  test('is refused with the reason when the target is down, and the next one is tried again', async () => {
    const port = await findFreePorts(1);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    for (let round = 0; round < 2; round += 1) {
      const client = await connectTo(daemon.port());
      await untilTrue('the client sees an end', () => client.hasEnd || client.error !== null);
    }
    expect(await daemon.waitForCount('refused', 2)).toMatchObject(
      Array(2).fill({ service: 'it', reason: 'target', target: `127.0.0.1:${port}`, error: 'ECONNREFUSED' }),
    );
    expect([daemon.all('forwarding'), daemon.all('closed')]).toEqual([[], []]);
  });

  test('is refused when the name of the target stands for nothing', async () => {
    const daemon = await startDaemon(serve('no-such-host.invalid:80'));
    const client = await connectTo(daemon.port());
    await untilTrue('the client sees an end', () => client.hasEnd || client.error !== null);
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'target', target: 'no-such-host.invalid:80' });
  });

  test('counts as one of max_connections', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'max_connections: 1'));
    const first = await connectTo(daemon.port());
    await first.ask('hello');
    const second = await connectTo(daemon.port());
    second.send('early\n');
    await daemon.waitFor('paused', { reason: 'full', children: 1 });
    first.end();
    expect(await second.line()).toBe('early');
  });

  test('is one of many, and nothing is left of them', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`));
    await exchange(daemon.port(), 'first');
    await daemon.waitForCount('closed', 1);
    const before = openFds(daemon.pid).size;
    await inParallel(200, 50, async (index) => {
      expect(await exchange(daemon.port(), `hello ${index}`)).toBe(`hello ${index}`);
    });
    await daemon.waitForCount('closed', 201);
    expect(openFds(daemon.pid).size).toBe(before);
    const ids = daemon.all('forwarding').map(({ connection }) => connection);
    expect(new Set(daemon.all('closed').map(({ connection }) => connection))).toEqual(new Set(ids));
    expect(endsOf(daemon)).toHaveLength(201);
  });
});

describe('a stop', () => {
  test('lets a redirected connection finish', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'stop_grace: 60s'));
    const client = await connectTo(daemon.port());
    await client.ask('before');
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    expect(await client.ask('after')).toBe('after');
    client.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('closed')).toHaveLength(1);
  });

  test('ends a redirected connection after the grace', async () => {
    const { port } = await target(echo);
    const daemon = await startDaemon(serve(`127.0.0.1:${port}`, 'stop_grace: 100ms'));
    const client = await connectTo(daemon.port());
    await client.ask('before');
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('closed')).toMatchObject([{ in: 7, out: 7 }]);
  });

  test('ends a redirected connection whose client has ended and whose target has not', async () => {
    const made = await target(keep);
    const daemon = await startDaemon(serve(`127.0.0.1:${made.port}`, 'stop_grace: 100ms'));
    const client = await connectTo(daemon.port());
    client.end();
    await made.first();
    expect(await daemon.stop()).toBe(0);
    expect(endsOf(daemon)).toHaveLength(1);
  });
});
