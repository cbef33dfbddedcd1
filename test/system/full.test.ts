/**
 * Limits delay or refuse a connection; they never close a listener, and they recover by themselves.
 */
import { clientThatSent, connectTo, exchange, inParallel, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { listeners } from './proc';

afterEach(endAll);

function echo(limit: number, keys = ''): string {
  return `services: {echo: {listen: "127.0.0.1:0", exec: cat, max_connections: ${limit}, max_per_peer: ${limit}, ${keys}}}\n`;
}

/** A client that is known to be served. */
async function servedClient(port: number): Promise<Client> {
  const client = await connectTo(port);
  expect(await client.ask('hello')).toBe('hello');
  return client;
}

async function leave(client: Client): Promise<void> {
  client.end();
  await client.rest();
}

describe('a full service that waits', () => {
  test('serves the next client when one leaves, and loses nothing that it had sent', async () => {
    const daemon = await startDaemon(echo(2));
    const [first, second] = [await servedClient(daemon.port()), await servedClient(daemon.port())];
    const third = await connectTo(daemon.port());
    third.send('sent early\n');
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'echo', reason: 'full', children: 2, limit: 2 });
    expect(await daemon.waitForCount('accepted', 2)).toHaveLength(2);
    await leave(first);
    expect(await third.line()).toBe('sent early');
    await leave(second);
    expect(await daemon.waitFor('resumed')).toMatchObject({ service: 'echo', limit: 2 });
    expect(await third.ask('again')).toBe('again');
  });

  test('is paused and resumed in turn, and at most so many are served at once', async () => {
    const daemon = await startDaemon(echo(2));
    await inParallel(60, 12, async (index) => {
      expect(await exchange(daemon.port(), `${index}`)).toBe(`${index}`);
    });
    await daemon.waitForCount('reaped', 60);
    const turns = daemon.events.filter(({ event }) => event === 'paused' || event === 'resumed');
    expect(turns.length).toBeGreaterThan(0);
    turns.forEach(({ event }, at) => {
      expect(event).toBe(at % 2 === 0 ? 'paused' : 'resumed');
    });
    expect(Math.max(...daemon.all('accepted').map(({ children }) => children))).toBe(2);
    expect(await exchange(daemon.port(), 'after')).toBe('after');
  });

  test('recovers on each of its addresses', async () => {
    const addresses = '["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"]';
    const daemon = await startDaemon(`services: {echo: {listen: ${addresses}, exec: cat, max_connections: 1}}\n`);
    const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    const visit = (index: number): Promise<string> =>
      exchange(daemon.port('echo', index % 3), `${index}`, hosts[index % 3] ?? '');
    await inParallel(60, 12, async (index) => {
      expect(await visit(index)).toBe(`${index}`);
    });
    for (const index of [0, 1, 2]) expect(await visit(index)).toBe(`${index}`);
    expect(listeners(daemon.pid).size).toBe(3);
  });

  test('serves those who wait when a reload raises the limit', async () => {
    const daemon = await startDaemon(echo(1));
    const first = await servedClient(daemon.port());
    const second = await connectTo(daemon.port());
    await daemon.waitFor('paused');
    await daemon.reload(echo(2));
    expect(await second.ask('room')).toBe('room');
    expect(await first.ask('still here')).toBe('still here');
  });

  test('admits nobody while a reload has put the limit below what is in use', async () => {
    const daemon = await startDaemon(echo(3));
    const clients = [await servedClient(daemon.port()), await servedClient(daemon.port())];
    await daemon.reload(echo(1));
    const late = await connectTo(daemon.port());
    late.send('late\n');
    expect(await daemon.waitFor('paused')).toMatchObject({ children: 2, limit: 1 });
    for (const client of clients) await leave(client);
    expect(await late.line()).toBe('late');
    const accepted = await daemon.waitForCount('accepted', 3);
    expect(accepted[2]).toMatchObject({ children: 1, limit: 1 });
  });
});

describe('a full service that refuses', () => {
  test('ends the connection cleanly, says so, and serves again when there is room', async () => {
    const daemon = await startDaemon(echo(2, 'when_full: refuse'));
    const clients = [await servedClient(daemon.port()), await servedClient(daemon.port())];
    const third = await connectTo(daemon.port());
    expect(await third.rest()).toBe('');
    const refused = { service: 'echo', peer: third.address, reason: 'service-limit', limit: 2 };
    expect(await daemon.waitFor('refused')).toMatchObject(refused);
    for (const client of clients) await leave(client);
    await daemon.waitForCount('reaped', 2);
    expect(await exchange(daemon.port(), 'after')).toBe('after');
    expect(daemon.all('paused')).toEqual([]);
    expect(Object.keys(daemon.all('refused')[0] ?? {})).toEqual([
      'event',
      'time',
      'service',
      'peer',
      'reason',
      'limit',
    ]);
  });

  test('ends it without a reset for a client that has sent something already', async () => {
    const daemon = await startDaemon(echo(1, 'when_full: refuse'));
    await servedClient(daemon.port());
    const clients = await daemon.whileStopped(() =>
      Promise.all(Array.from({ length: 20 }, () => clientThatSent(daemon.port(), 'hello\n'))),
    );
    expect(await Promise.all(clients.map((client) => client.rest()))).toEqual(clients.map(() => ''));
    expect(await daemon.waitForCount('refused', 20)).toHaveLength(20);
  });
});

describe('a full server', () => {
  const three = (limit: number, keys = ''): string =>
    ['a', 'b', 'c'].reduce(
      (yaml, name) => `${yaml}  ${name}: {listen: "127.0.0.1:0", exec: cat, ${keys}}\n`,
      `limits: {max_connections: ${limit}}\nservices:\n`,
    );

  /** Clients in the queue of each service, in this order; each is known to wait before the next one comes. */
  async function queueUp(daemon: Daemon, names: readonly string[]): Promise<Client[]> {
    const clients: Client[] = [];
    for (const name of names) {
      clients.push(await connectTo(daemon.port(name)));
      await daemon.waitFor('paused', { service: name });
    }
    return clients;
  }

  test('makes every service wait', async () => {
    const daemon = await startDaemon(three(2));
    const [first] = [await servedClient(daemon.port('a')), await servedClient(daemon.port('b'))];
    const [third] = await queueUp(daemon, ['c']);
    const [paused] = daemon.all('paused', { service: 'c' });
    expect(paused).toMatchObject({ reason: 'server-full', children: 0, limit: 1000 });
    await leave(first);
    expect(await third?.ask('served')).toBe('served');
  });

  test('gives its free slots to the waiting services in turn', async () => {
    const daemon = await startDaemon(three(1));
    const first = await servedClient(daemon.port('a'));
    const clients = await queueUp(daemon, ['b', 'b', 'c', 'a', 'c', 'a']);
    await leave(first);
    const order: string[] = [];
    for (let at = 1; at <= clients.length; at += 1) {
      const { service, peer } = await nextAccepted(daemon, at);
      order.push(service);
      const served = clients.find(({ address }) => address === peer);
      expect(await served?.ask('served')).toBe('served');
      if (served !== undefined) await leave(served);
    }
    expect([...order.slice(0, 3)].sort()).toEqual(['a', 'b', 'c']);
    expect(order.slice(3)).toEqual(order.slice(0, 3));
  });

  async function nextAccepted(daemon: Daemon, at: number): Promise<{ service: string; peer: string }> {
    const accepted = await daemon.waitForCount('accepted', at + 1);
    return accepted[at] ?? { service: '', peer: '' };
  }

  test('starves no service, whoever comes most often', async () => {
    const daemon = await startDaemon(three(2));
    const names = ['a', 'a', 'a', 'b', 'c'];
    await inParallel(100, 20, async (index) => {
      expect(await exchange(daemon.port(names[index % names.length]), `${index}`)).toBe(`${index}`);
    });
    expect(await daemon.waitForCount('reaped', 100)).toHaveLength(100);
    for (const name of ['a', 'b', 'c']) expect(await exchange(daemon.port(name), name)).toBe(name);
  });

  test('refuses with the limit of the server where the service says so', async () => {
    const daemon = await startDaemon(three(1, 'when_full: refuse'));
    await servedClient(daemon.port('a'));
    const second = await connectTo(daemon.port('b'));
    expect(await second.rest()).toBe('');
    expect(await daemon.waitFor('refused')).toMatchObject({ service: 'b', reason: 'server-limit', limit: 1 });
  });
});
