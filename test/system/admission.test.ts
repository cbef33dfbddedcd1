/**
 * Who may come in, and how much of a service one peer may have: the real daemon, and clients from many addresses of 127.0.0.0/8.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connectTo, exchange, LOCALHOST } from './client';
import { type Daemon, startDaemon } from './daemon';
import { datagramClient } from './datagram-client';
import { atEnd, endAll } from './endings';
import { makeFolder } from './fixtures';
import { childrenOf, listeners, moreFds, openFds } from './proc';
import { until, untilTrue } from './until';

afterEach(endAll);

function serve(keys: string, listen = '127.0.0.1:0'): string {
  return `services: {it: {listen: "${listen}", exec: cat, stop_grace: 100ms, ${keys}}}\n`;
}

/** From this address of ours. */
async function connectFrom(source: string, port: number): Promise<Socket> {
  const socket = connect({ port, host: LOCALHOST, localAddress: source, allowHalfOpen: true });
  atEnd(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** All that comes back until the other side's end; a reset rejects. */
async function exchangeFrom(source: string, port: number, input: string): Promise<string> {
  const socket = await connectFrom(source, port);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  const end = once(socket, 'end');
  socket.end(input, 'latin1');
  await end;
  return text;
}

/** Holds a child until the test ends. */
async function occupyFrom(source: string, port: number): Promise<Socket> {
  const socket = await connectFrom(source, port);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.write('hello\n');
  await untilTrue(`${source} is served`, () => text === 'hello\n');
  return socket;
}

/** What the events count is what there is. */
async function expectChildren(daemon: Daemon, count: number): Promise<void> {
  await untilTrue(`${count} children`, () => childrenOf(daemon.pid).length === count);
}

describe('a client that may not come', () => {
  test('sees an end, is told with its reason, and costs no process and no slot', async () => {
    const daemon = await startDaemon(serve('deny: [127.0.0.0/24], allow: [127.0.0.0/8]'));
    expect(await exchangeFrom('127.0.0.9', daemon.port(), 'hello\n')).toBe('');
    const refused = await daemon.waitFor('refused');
    expect(refused).toMatchObject({ service: 'it', reason: 'address' });
    expect(refused.peer).toMatch(/^127\.0\.0\.9:\d+$/);
    expect(Object.keys(refused)).toEqual(['event', 'time', 'service', 'peer', 'reason']);
    expect(await exchangeFrom('127.0.1.9', daemon.port(), 'hello\n')).toBe('hello\n');
    expect(await daemon.waitFor('accepted')).toMatchObject({ children: 1 });
    expect(daemon.all('accepted')).toHaveLength(1);
  });

  test('over a Unix socket is known by its user', async () => {
    const path = join(makeFolder(), 'it.sock');
    const daemon = await startDaemon(serve(`allow: ["unix:uid=${(process.getuid?.() ?? 0) + 1}"]`, `unix:${path}`));
    const client = connect(path);
    atEnd(() => void client.destroy());
    await once(client.resume(), 'end');
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'address' });
    await daemon.reload(serve(`allow: ["unix:uid=${process.getuid?.() ?? 0}"]`, `unix:${path}`));
    const second = connect(path);
    atEnd(() => void second.destroy());
    await daemon.waitFor('accepted');
  });

  test('may come after a reload that says so, also by a file that is read again', async () => {
    const daemon = await startDaemon(serve('deny: [all]'));
    daemon.addFile('friends', '# none yet\n');
    await daemon.reload(serve('allow_from: friends'));
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('');
    daemon.addFile('friends', '127.0.0.5\n');
    expect(await daemon.hup()).toMatchObject({ event: 'reloaded', changed: ['it'] });
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('hello\n');
    daemon.addFile('friends', '127.0.0.5/8\n');
    expect(await daemon.hup()).toMatchObject({ event: 'rejected' });
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('hello\n');
  });

  test('finds a hundred thousand rules, and so do those who may', async () => {
    const daemon = await startDaemon(serve('deny: [all]'));
    const rules = Array.from({ length: 100_000 }, (_, at) => `127.${(at >> 16) + 1}.${(at >> 8) & 255}.${at & 255}`);
    daemon.addFile('rules', `${rules.join('\n')}\n`);
    await daemon.reload(serve('deny_from: rules'));
    expect(await exchangeFrom('127.1.77.7', daemon.port(), 'hello\n')).toBe('');
    expect(await exchangeFrom('127.0.77.7', daemon.port(), 'hello\n')).toBe('hello\n');
  });
});

describe('one peer', () => {
  test('has its share of a service and no more, and others have theirs', async () => {
    const daemon = await startDaemon(serve('max_per_peer: 2'));
    const held = [await occupyFrom('127.0.0.5', daemon.port()), await occupyFrom('127.0.0.5', daemon.port())];
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'third\n')).toBe('');
    const refused = await daemon.waitFor('refused');
    expect(refused).toMatchObject({ service: 'it', reason: 'peer-limit', limit: 2 });
    await occupyFrom('127.0.0.6', daemon.port());
    await expectChildren(daemon, 3);
    held[0]?.end();
    await daemon.waitFor('reaped');
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'again\n')).toBe('again\n');
  });

  test('never has a whole service, where the file says nothing', async () => {
    const daemon = await startDaemon(serve('max_connections: 3'));
    await occupyFrom('127.0.0.5', daemon.port());
    await occupyFrom('127.0.0.5', daemon.port());
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'third\n')).toBe('');
    expect(await exchangeFrom('127.0.0.6', daemon.port(), 'other\n')).toBe('other\n');
    expect(daemon.all('paused')).toEqual([]);
  });

  test('is a network, where the file says so', async () => {
    const daemon = await startDaemon(serve('max_per_peer: 1, peer_prefix: {v4: 24}'));
    await occupyFrom('127.0.7.1', daemon.port());
    expect(await exchangeFrom('127.0.7.2', daemon.port(), 'hello\n')).toBe('');
    expect(await exchangeFrom('127.0.8.1', daemon.port(), 'hello\n')).toBe('hello\n');
  });

  test('keeps its count over a reload that changes the service', async () => {
    const daemon = await startDaemon(serve('max_per_peer: 2'));
    const first = await occupyFrom('127.0.0.5', daemon.port());
    await daemon.reload(serve('max_per_peer: 1'));
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('');
    first.end();
    await daemon.waitFor('reaped');
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('hello\n');
  });

  test('gives its share back however its child ends, and whoever never had one', async () => {
    const daemon = await startDaemon(serve('max_per_peer: 1'));
    for (let round = 0; round < 20; round += 1) {
      const client = await connectFrom('127.0.0.5', daemon.port());
      client.write('x');
      client.resetAndDestroy();
      await daemon.waitForCount('reaped', daemon.all('accepted').length);
    }
    await until('a client is served again', async () =>
      (await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')) === 'hello\n' ? true : undefined,
    );
    expect(listeners(daemon.pid).size).toBe(1);
  });

  test('that comes as often as it can keeps nobody else from being served', async () => {
    const daemon = await startDaemon(serve('max_connections: 4, max_per_peer: 3'));
    for (let at = 0; at < 3; at += 1) await occupyFrom('127.0.0.5', daemon.port());
    const greedy = Promise.all(
      Array.from({ length: 200 }, () => exchangeFrom('127.0.0.5', daemon.port(), 'more\n').catch(() => 'reset')),
    );
    for (let at = 10; at < 20; at += 1) {
      expect(await exchangeFrom(`127.0.0.${at}`, daemon.port(), `${at}\n`)).toBe(`${at}\n`);
    }
    expect(new Set(await greedy)).toEqual(new Set(['']));
    await expectChildren(daemon, 3);
    const told = daemon.all('refused').reduce((sum, { count = 1 }) => sum + count, 0);
    expect(told).toBeLessThanOrEqual(200);
  });
});

test('nobody is served when it is closed, and who is there stays', async () => {
  const daemon = await startDaemon(serve('from: "2001-01-01", hours: "daily 00:00-24:00 UTC"'));
  const held = await occupyFrom('127.0.0.5', daemon.port());
  await daemon.reload(serve('until: "2001-01-01 12:00"'));
  expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('');
  expect(await daemon.waitFor('refused')).toMatchObject({ service: 'it', reason: 'hours' });
  await expectChildren(daemon, 1);
  held.end();
  await daemon.waitFor('reaped');
});

describe('clients that come faster than they may', () => {
  test('are refused, and nothing is closed', async () => {
    const daemon = await startDaemon(serve('rate: 3/d'));
    for (let at = 1; at <= 3; at += 1) {
      expect(await exchangeFrom(`127.0.0.${at}`, daemon.port(), 'hello\n')).toBe('hello\n');
    }
    expect(await exchangeFrom('127.0.0.4', daemon.port(), 'hello\n')).toBe('');
    expect(await daemon.waitFor('refused')).toMatchObject({ service: 'it', reason: 'rate', limit: 3 });
    expect(listeners(daemon.pid).size).toBe(1);
    expect(daemon.all('paused')).toEqual([]);
  });

  test('are served again by themselves', async () => {
    const daemon = await startDaemon(serve('rate: 2/s'));
    await until('a client is refused', async () => ((await exchange(daemon.port(), 'x')) === '' ? true : undefined));
    await until('one is served again', async () => ((await exchange(daemon.port(), 'x')) === 'x' ? true : undefined));
    expect(listeners(daemon.pid).size).toBe(1);
  });

  test('wait in the queue where the service says so, and all are served', async () => {
    const daemon = await startDaemon(serve('rate: 5/s, when_limited: wait'));
    const answers = Array.from({ length: 12 }, (_, at) => exchangeFrom(`127.0.0.${at + 1}`, daemon.port(), `${at}\n`));
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'it', reason: 'rate' });
    expect(await Promise.all(answers)).toEqual(answers.map((_, at) => `${at}\n`));
    await daemon.waitFor('resumed');
    expect([daemon.all('refused'), daemon.all('paused').length]).toEqual([[], 1]);
  });

  test('are served at once when a reload lets them, however long they would have had to wait', async () => {
    const daemon = await startDaemon(serve('rate: 1/d, when_limited: wait'));
    expect(await exchange(daemon.port(), 'first')).toBe('first');
    const second = exchange(daemon.port(), 'second');
    await daemon.waitFor('paused');
    await daemon.reload(serve('rate: 9/s, when_limited: wait'));
    expect(await second).toBe('second');
  });

  test('from one address cost the others nothing', async () => {
    const daemon = await startDaemon(serve('rate_per_peer: 2/d'));
    const answers = [];
    for (let at = 0; at < 4; at += 1) answers.push(await exchangeFrom('127.0.0.5', daemon.port(), 'x'));
    expect(answers).toEqual(['x', 'x', '', '']);
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'peer-rate', limit: 2 });
    expect(await exchangeFrom('127.0.0.6', daemon.port(), 'x')).toBe('x');
  });

  test('come to a built-in over UDP as well', async () => {
    const daemon = await startDaemon(
      'services: {it: {listen: "127.0.0.1:0/udp", builtin: echo, rate_per_peer: 2/d, stop_grace: 100ms}}\n',
    );
    const [client, other] = [await datagramClient(), await datagramClient('udp4', 0, '127.0.0.6')];
    for (let at = 0; at < 5; at += 1) await client.send(`${at}`, daemon.port());
    expect(await other.ask('other', daemon.port())).toBe('other');
    expect([await client.next(), await client.next()].map(String)).toEqual(['0', '1']);
    expect(client.received).toEqual([]);
  });
});

describe('what is said', () => {
  test('to who is refused arrives, though it has sent something and goes on sending', async () => {
    const daemon = await startDaemon(serve('deny: [all], refuse_message: "not %{peer.address} at %{service}\\n"'));
    for (let at = 1; at <= 20; at += 1) {
      const socket = await connectFrom(`127.0.0.${at}`, daemon.port());
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      const end = once(socket, 'end');
      for (let piece = 0; piece < 5; piece += 1) socket.write('x'.repeat(20_000));
      await end;
      expect(text).toBe(`not 127.0.0.${at} at it\n`);
      socket.destroy();
    }
  });

  test('to who is admitted comes before what its program says, once', async () => {
    const daemon = await startDaemon(serve('banner: "welcome, %{connection}\\n"'));
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('welcome, c1\nhello\n');
  });

  test('comes after the commands that are asked first', async () => {
    const daemon = await startDaemon(serve('before: ["true"], banner: "welcome\\n", refuse_message: "no\\n"'));
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('welcome\nhello\n');
    await daemon.reload(serve('before: ["false"], banner: "welcome\\n", refuse_message: "no\\n"'));
    expect(await exchangeFrom('127.0.0.5', daemon.port(), 'hello\n')).toBe('no\n');
  });

  test('to many who do not leave holds no more than so many descriptors, and those not for long', async () => {
    const daemon = await startDaemon(serve('deny: [all], refuse_message: "no\\n"'));
    const before = openFds(daemon.pid);
    const clients = await Promise.all(
      Array.from({ length: 300 }, (_, at) => connectFrom(`127.0.1.${at % 250}`, daemon.port())),
    );
    await untilTrue(
      'all are refused',
      () => refusedCount(daemon) >= 300 - 128 || moreFds(daemon.pid, before).length > 128,
    );
    expect(moreFds(daemon.pid, before).length).toBeLessThanOrEqual(129);
    await untilTrue('none is held', () => moreFds(daemon.pid, before).length === 0);
    expect(clients).toHaveLength(300);
  });
});

describe('a client that says nothing', () => {
  test('costs no process, and is served whole when it says something', async () => {
    const daemon = await startDaemon(serve('first_byte_timeout: 60s'));
    const clients = await Promise.all([1, 2, 3].map((at) => connectFrom(`127.0.0.${at}`, daemon.port())));
    expect(await exchangeFrom('127.0.0.9', daemon.port(), 'spoke at once\n')).toBe('spoke at once\n');
    await daemon.waitFor('reaped');
    await expectChildren(daemon, 0);
    expect(daemon.all('accepted')).toHaveLength(1);
    const [first] = clients;
    let text = '';
    first?.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    first?.write('at last\n');
    await untilTrue('it is served', () => text === 'at last\n');
    expect(await daemon.waitForCount('accepted', 2)).toHaveLength(2);
  });

  test('is refused after a while, and one that leaves at once', async () => {
    const daemon = await startDaemon(serve('first_byte_timeout: 100ms, refuse_message: "too slow\\n"'));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('too slow\n');
    expect(await daemon.waitFor('refused')).toMatchObject({ service: 'it', reason: 'silent' });
    const second = await connectTo(daemon.port());
    second.reset();
    await daemon.waitFor('refused', { reason: 'left' });
    expect(daemon.all('accepted')).toEqual([]);
  });

  test('over a Unix socket likewise', async () => {
    const path = join(makeFolder(), 'it.sock');
    const daemon = await startDaemon(serve('first_byte_timeout: 60s', `unix:${path}`));
    const client = connect(path);
    atEnd(() => void client.destroy());
    await once(client, 'connect');
    let text = '';
    client.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    expect(daemon.all('accepted')).toEqual([]);
    client.write('hello\n');
    await untilTrue('it is served', () => text === 'hello\n');
  });

  test('is sent away when stdiod stops', async () => {
    const daemon = await startDaemon(serve('first_byte_timeout: 60s'));
    const client = await connectTo(daemon.port());
    expect(await daemon.stop()).toBe(0);
    expect(await client.rest()).toBe('');
    expect(daemon.all('refused')).toMatchObject([{ reason: 'stopping' }]);
  });

  test('is not asked by commands before it has said something', async () => {
    const daemon = await startDaemon(serve('first_byte_timeout: 60s, before: ["false"]'));
    const client = await connectTo(daemon.port());
    client.send('x');
    expect(await client.rest()).toBe('');
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'before' });
  });
});

function refusedCount(daemon: Daemon): number {
  return daemon.all('refused').reduce((sum, { count = 1 }) => sum + count, 0);
}

test('tcpmux asks what the wanted service asks', async () => {
  const daemon = await startDaemon(
    'services:\n  mux: {listen: "127.0.0.1:0", builtin: tcpmux}\n  it: {tcpmux: true, exec: cat, deny: [127.0.0.1]}\n',
  );
  expect(await exchange(daemon.port('mux'), 'it\r\n')).toBe('-Service not available\r\n');
  expect(await daemon.waitFor('refused')).toMatchObject({ service: 'it', reason: 'address' });
  const client = await connectTo(daemon.port('mux'));
  client.end();
  expect(await client.rest()).toBe('');
});
