/**
 * Services by name, through `builtin: tcpmux` (RFC 1078).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { clientThatSent, connectTo, exchange, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { openFds } from './proc';
import { expectRest } from './rest';

afterEach(endAll);

function serve(more = '', services = ''): string {
  return `services:
  mux: {listen: "127.0.0.1:0", builtin: tcpmux, ${more}}
  plain: {tcpmux: true, exec: cat, stop_grace: 100ms}
  Plus: {tcpmux: plus, exec: cat, stop_grace: 100ms}
  private: {listen: "127.0.0.1:0", exec: cat}
${services}`;
}

async function startMux(more = '', services = ''): Promise<Daemon> {
  return startDaemon(serve(more, services));
}

async function send(daemon: Daemon, text: string): Promise<Client> {
  const client = await connectTo(daemon.port('mux'));
  client.send(text);
  return client;
}

/** Byte by byte, each in a segment of its own. */
async function sendSlowly(client: Client, text: string): Promise<void> {
  client.socket.setNoDelay(true);
  for (const byte of text) await new Promise((resolve) => client.socket.write(byte, 'latin1', resolve));
}

test('a byte out of band on a Unix socket, which leaves nothing to be read, makes nobody spin', async () => {
  const path = join(makeFolder(), 'mux');
  const daemon = await startDaemon(`services: {mux: {listen: "unix:${path}", builtin: tcpmux}}\n`);
  const sender = spawn(fixture('sends-out-of-band.py'), [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(() => {
    sender.kill('SIGKILL');
  });
  const [said] = (await once(sender.stdout, 'data')) as [Buffer];
  expect(['sent', 'unsupported']).toContain(said.toString().trim());
  await expectRest(daemon.pid);
});

describe('a client of tcpmux', () => {
  test('gets the names of what is offered by help', async () => {
    const client = await send(await startMux(), 'help\r\n');
    expect(await client.rest()).toBe('plain\r\nPlus\r\n');
  });

  test('gets a service by its name, and the program speaks first', async () => {
    const daemon = await startMux();
    const client = await send(daemon, 'plain\r\n');
    expect(await client.ask('hello')).toBe('hello');
    expect(await daemon.waitFor('accepted')).toMatchObject({ service: 'plain', peer: client.address });
  });

  test('gets the reply of the protocol first where the service says plus', async () => {
    const client = await send(await startMux(), 'plus\r\n');
    expect(await client.line()).toMatch(/^\+.*\r$/);
    expect(await client.ask('hello')).toBe('hello');
  });

  test.each(['PLAIN\r\n', 'Plain\n', 'plain\n'])('may write %j', async (name) => {
    const client = await send(await startMux(), name);
    expect(await client.ask('hello')).toBe('hello');
  });

  test('loses no byte that it sends behind the name', async () => {
    const text = Array.from({ length: 1000 }, (_, index) => `line ${index}\n`).join('');
    const client = await send(await startMux(), `plain\r\n${text}`);
    client.end();
    expect(await client.rest()).toBe(text);
  });

  test('may send byte by byte', async () => {
    const client = await connectTo((await startMux()).port('mux'));
    await sendSlowly(client, 'plain\r\nhello\n');
    expect(await client.line()).toBe('hello');
  });

  test.each(['nothing\r\n', '\r\n', 'private\r\n', 'mux\r\n'])('is refused with %j', async (name) => {
    const daemon = await startMux();
    const client = await send(daemon, name);
    expect(await client.rest()).toMatch(/^-.*\r\n$/);
    await daemon.waitFor('refused', { service: 'mux', peer: client.address, reason: 'no-service' });
    expect(daemon.all('accepted')).toEqual([]);
  });

  test('is refused with a name that does not end', async () => {
    const daemon = await startMux();
    await send(daemon, 'x'.repeat(10_000));
    await daemon.waitFor('refused', { reason: 'too-long' });
  });

  test('may leave before it has said a name', async () => {
    const daemon = await startMux();
    const client = await send(daemon, 'pla');
    client.end();
    await client.rest();
    await daemon.waitFor('refused', { reason: 'left' });
    (await connectTo(daemon.port('mux'))).reset();
    await daemon.waitForCount('refused', 2, { reason: 'left' });
  });

  test('that says nothing is let go after a while, and the others are served meanwhile', async () => {
    const daemon = await startMux();
    const silent = await connectTo(daemon.port('mux'));
    const client = await send(daemon, 'plain\r\n');
    expect(await client.ask('hello')).toBe('hello');
    await silent.rest();
    await daemon.waitFor('refused', { peer: silent.address, reason: 'silent' });
    expect(await client.ask('still here')).toBe('still here');
  });

  test('is told when the service that it wants is full', async () => {
    const services = '  few: {tcpmux: true, exec: cat, max_connections: 1, stop_grace: 100ms}\n';
    const daemon = await startMux('', services);
    const first = await send(daemon, 'few\r\n');
    await first.ask('hello');
    const second = await send(daemon, 'few\r\n');
    expect(await second.rest()).toMatch(/^-/);
    await daemon.waitFor('refused', { peer: second.address, reason: 'service-limit' });
    first.end();
    await daemon.waitFor('reaped');
    expect(await (await send(daemon, 'few\r\n')).ask('hello')).toBe('hello');
  });

  test('waits while too many others have not said a name', async () => {
    const daemon = await startMux('max_connections: 1');
    const first = await connectTo(daemon.port('mux'));
    const second = await send(daemon, 'plain\r\n');
    await daemon.waitFor('paused', { service: 'mux', reason: 'full' });
    first.end();
    expect(await second.ask('hello')).toBe('hello');
    expect(await (await send(daemon, 'plain\r\n')).ask('hello')).toBe('hello');
  });
});

test('many who say nothing leave descriptors for everybody else, and whoever says a name is served', async () => {
  const daemon = await startDaemon(serve(), { wrapper: ['prlimit', '--nofile=100:100'] });
  const silent = await Promise.all(Array.from({ length: 150 }, () => connectTo(daemon.port('mux'))));
  expect(await exchange(daemon.port('private'), 'hello')).toBe('hello');
  const client = await send(daemon, 'plain\r\n');
  expect(await client.ask('hello')).toBe('hello');
  await daemon.waitFor('refused', { service: 'mux', reason: 'open-files' });
  expect(silent.filter(({ hasEnd }) => !hasEnd).length).toBeGreaterThan(1);
  expect(openFds(daemon.pid).size).toBeLessThan(100 - 16);
  expect(daemon.all('paused')).toEqual([]);
});

test('many clients at once each get their service, with one end each', async () => {
  const daemon = await startMux();
  const clients = await Promise.all(Array.from({ length: 50 }, () => connectTo(daemon.port('mux'))));
  for (const client of clients) client.send('plain\r\n');
  for (const client of clients) expect(await client.ask('hello')).toBe('hello');
  for (const client of clients) client.end();
  await daemon.waitForCount('reaped', 50);
  expect(await daemon.waitForCount('accepted', 50)).toHaveLength(50);
  expect(daemon.all('refused')).toEqual([]);
});

test('a stop ends clients that have not said a name', async () => {
  const daemon = await startMux('stop_grace: 100ms');
  const silent = await connectTo(daemon.port('mux'));
  const other = await connectTo(daemon.port('private'));
  await other.ask('hello');
  other.end();
  await daemon.waitFor('reaped');
  daemon.signal('SIGTERM');
  await daemon.waitFor('stopping');
  daemon.signal('SIGINT');
  expect(await daemon.ended()).toBe(0);
  await daemon.waitFor('refused', { peer: silent.address, reason: 'stopping' });
});

test('a stop of a full tcpmux ends those who have not said a name, and those in its queue', async () => {
  const daemon = await startDaemon(`${serve('max_connections: 1')}defaults: {stop_grace: 100ms}\n`);
  const silent = await connectTo(daemon.port('mux'));
  for (let count = 0; count < 20; count += 1) await clientThatSent(daemon.port('mux'), 'pl');
  await daemon.waitFor('paused', { service: 'mux', reason: 'full' });
  expect(await daemon.stop()).toBe(0);
  expect(daemon.all('refused', { peer: silent.address })).toMatchObject([{ reason: 'stopping' }]);
  expect(daemon.all('terminating', { signal: 'SIGKILL' })).toEqual([]);
});

test('one client at a time is enough for any number of clients one after another', async () => {
  const daemon = await startMux('max_connections: 1');
  const first = await send(daemon, 'plain\r\n');
  expect(await first.ask('one')).toBe('one');
  const second = await send(daemon, 'plain\r\n');
  expect(await second.ask('two')).toBe('two');
});

test('a client whose service has no room in the whole server is told so, and no slot is given back twice', async () => {
  const daemon = await startMux();
  const busy = await connectTo(daemon.port('private'));
  expect(await busy.ask('here')).toBe('here');
  const client = await connectTo(daemon.port('mux'));
  client.send('pl');
  await daemon.reload(`${serve()}limits: {max_connections: 1}\n`);
  client.send('ain\r\n');
  expect(await client.rest()).toBe('-Service is full\r\n');
  expect(await daemon.waitFor('refused')).toMatchObject({ service: 'plain', reason: 'server-limit', limit: 1 });
  expect(await busy.ask('still here')).toBe('still here');
});
