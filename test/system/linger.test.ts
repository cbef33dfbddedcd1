/**
 * To close the last reference to a connection with SO_LINGER waits for its peer, whoever closes it: a client that passes such
 * connections along, or a program that makes one of its own, holds up itself at most.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { openFds } from './proc';
import { connectUnix, exchangeUnix } from './unix-client';

afterEach(endAll);

const OTHER = 'other: {listen: "127.0.0.1:0", exec: cat}';

async function startBeside(service: string): Promise<Daemon> {
  return startDaemon(`services:\n  ${service}\n  ${OTHER}\n`);
}

async function passLingering(kind: 'stream' | 'dgram', path: string): Promise<void> {
  const client = spawn(fixture('passes-lingering.py'), [kind, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  atEnd(() => {
    client.kill('SIGKILL');
  });
  await once(client.stdout, 'data');
}

/** Until its stdin ends they cannot be closed. */
async function passLocked(path: string, count: number): Promise<ChildProcess> {
  const client = spawn(fixture('passes-locked.py'), [path, String(count)], { stdio: ['pipe', 'pipe', 'inherit'] });
  atEnd(() => {
    client.kill('SIGKILL');
  });
  await once(client.stdout, 'data');
  return client;
}

/** Others are served, and whatever was taken along has been let go. */
async function expectServing(daemon: Daemon): Promise<void> {
  for (let time = 0; time < 3; time += 1) expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
}

async function expectEnd(daemon: Daemon): Promise<void> {
  expect(await daemon.stop()).toBe(0);
}

describe('connections that linger, passed along by the client of a Unix socket', () => {
  test('hold nobody up when it is refused', async () => {
    const path = join(makeFolder(), 's');
    const daemon = await startBeside(
      `it: {listen: "unix:${path}", exec: sleep 60, max_connections: 1, when_full: refuse, stop_grace: 100ms}`,
    );
    await passLingering('stream', path);
    await passLingering('stream', path);
    await daemon.waitFor('refused');
    await expectServing(daemon);
    await expectEnd(daemon);
  });

  test('hold nobody up when the program has left before', async () => {
    const path = join(makeFolder(), 's');
    const daemon = await startBeside(`it: {listen: "unix:${path}", exec: /bin/true}`);
    for (let time = 0; time < 20; time += 1) await passLingering('stream', path);
    await daemon.waitForCount('reaped', 20);
    await expectServing(daemon);
    await expectEnd(daemon);
  });

  test('are the end of a tcpmux client', async () => {
    const path = join(makeFolder(), 's');
    const daemon = await startBeside(`it: {listen: "unix:${path}", builtin: tcpmux}`);
    await passLingering('stream', path);
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'left' });
    await expectServing(daemon);
    await expectEnd(daemon);
  });

  test('hold nobody up with a datagram that no program wants', async () => {
    const path = join(makeFolder(), 's');
    const daemon = await startBeside(`it: {listen: "unix-dgram:${path}", exec: /bin/true}`);
    await passLingering('dgram', path);
    await daemon.waitFor('dropped', { service: 'it' });
    await expectServing(daemon);
    await expectEnd(daemon);
  });

  test('hold nobody up in a queue that is closed', async () => {
    const path = join(makeFolder(), 's');
    const daemon = await startBeside(
      `it: {listen: "unix:${path}", exec: sleep 60, max_connections: 1, stop_grace: 100ms}`,
    );
    await passLingering('stream', path);
    await daemon.waitFor('accepted');
    await passLingering('stream', path);
    await expectEnd(daemon);
  });
});

describe('ends of a pipe that cannot be closed, passed along by clients of a Unix socket', () => {
  test('hold nobody else up, and after many of them their socket waits until they can be', async () => {
    const folder = makeFolder();
    const [path, beside] = [join(folder, 's'), join(folder, 'beside')];
    const daemon = await startBeside(
      `it: {listen: "unix:${path}", exec: sleep 60, max_connections: 1, when_full: refuse, stop_grace: 100ms}
  beside: {listen: "unix:${beside}", exec: cat}`,
    );
    await connectUnix(path);
    await daemon.waitFor('accepted', { service: 'it' });
    const holder = await passLocked(path, 300);
    await daemon.waitFor('paused', { service: 'it', reason: 'closing' });
    await expectServing(daemon);
    for (let time = 0; time < 3; time += 1) expect(await exchangeUnix(beside, 'hello')).toBe('hello');
    expect(openFds(daemon.pid).size).toBeLessThan(256);
    holder.stdin?.end();
    await daemon.waitFor('resumed', { service: 'it' });
    await expectEnd(daemon);
  });

  test('leave something for others when they come to ten sockets', async () => {
    const folder = makeFolder();
    const path = (name: string): string => join(folder, name);
    const names = Array.from({ length: 10 }, (_, index) => `it${index}`);
    const full = 'exec: sleep 60, max_connections: 1, when_full: refuse, stop_grace: 100ms';
    const services = names.map((name) => `${name}: {listen: "unix:${path(name)}", ${full}}`);
    const beside = `beside: {listen: "unix:${path('beside')}", exec: cat}`;
    const daemon = await startBeside([...services, beside].join('\n  '));
    const holders = await Promise.all(
      names.map(async (service) => {
        await connectUnix(path(service));
        await daemon.waitFor('accepted', { service });
        const holder = await passLocked(path(service), 128);
        await daemon.waitFor('paused', { service, reason: 'closing' });
        return holder;
      }),
    );
    for (let time = 0; time < 3; time += 1) expect(await exchangeUnix(path('beside'), 'hello')).toBe('hello');
    for (const holder of holders) holder.stdin?.end();
    for (const service of names) await daemon.waitFor('resumed', { service });
    await expectEnd(daemon);
  });
});

test('a listening socket that a program has made a connection that lingers holds nobody up', async () => {
  const sink = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  atEnd(() => {
    sink.close();
  });
  await once(sink, 'listening');
  sink.on('connection', (socket) => {
    atEnd(() => {
      socket.destroy();
    });
  });
  const { port } = sink.address() as AddressInfo;
  const exec = JSON.stringify([fixture('leaves-lingering.py'), String(port)]);
  const daemon = await startBeside(
    `it: {listen: "127.0.0.1:0", wait: true, exec: ${exec}, stderr: null, stop_grace: 100ms}`,
  );
  await connectTo(daemon.port('it'));
  await daemon.waitFor('reaped', { service: 'it' });
  await expectServing(daemon);
  await expectEnd(daemon);
});
