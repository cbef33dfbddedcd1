/**
 * HUP: a new configuration comes into force and nobody is lost on the way.
 */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange, inParallel, Load, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { libraryFixture, makeFolder } from './fixtures';
import { asOther, findFreePorts, hasIpv6, testAsOther, testAsRoot } from './machine';
import { isRunning, listeners } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const PAIR = '["127.0.0.1:0", "127.0.0.2:0"]';

function services(map: Readonly<Record<string, string>>): string {
  return Object.entries(map).reduce((yaml, [name, keys]) => `${yaml}  ${name}: {${keys}}\n`, 'services:\n');
}

const at = (listen: string | number, exec = 'cat', more = ''): string => `listen: "${listen}", exec: ${exec}, ${more}`;

describe('a reload', () => {
  test('tells which services it added, changed and removed, and how many it kept', async () => {
    const any = '127.0.0.1:0';
    const daemon = await startDaemon(services({ a: at(any), b: at(any), c: at(any), d: at(any) }));
    const told = await daemon.reload(services({ a: at(any), b: at(any), c: at(any, 'tac'), e: at(any) }));
    expect(told).toMatchObject({ added: ['e'], changed: ['c'], removed: ['d'], kept: 2 });
    await untilTrue('the removed one is closed', () => listeners(daemon.pid).size === 4);
    expect(await exchange(daemon.port('e'), 'e')).toBe('e');
  });

  test('names the first twenty of those that are many, and counts the others', async () => {
    const names = Array.from({ length: 500 }, (_, index) => `s${index}`);
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0') }));
    const many = Object.fromEntries([...names, 'a'].map((name) => [name, at('127.0.0.1:0')]));
    expect(await daemon.reload(services(many))).toMatchObject({ added: [...names.slice(0, 20), '+480'], kept: 1 });
  });

  test('keeps the very socket of an address that stays, changed or not', async () => {
    const yaml = services({ a: `listen: ${PAIR}, exec: cat`, b: at('127.0.0.1:0') });
    const daemon = await startDaemon(yaml);
    const before = listeners(daemon.pid);
    expect(before.size).toBe(3);
    await daemon.reload(yaml);
    expect(listeners(daemon.pid)).toEqual(before);
    const changed = services({ a: `listen: ${PAIR}, exec: tac, socket: {backlog: 7}`, b: at('127.0.0.1:0') });
    expect(await daemon.reload(changed)).toMatchObject({ changed: ['a'], kept: 1 });
    expect(listeners(daemon.pid)).toEqual(before);
    expect(daemon.all('listening')).toHaveLength(3);
  });

  test('gives the next client the new command, while those who are served keep the old one', async () => {
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0') }));
    const old = await connectTo(daemon.port());
    expect(await old.ask('hello')).toBe('hello');
    await daemon.reload(services({ a: at('127.0.0.1:0', 'echo new') }));
    expect(await exchange(daemon.port(), '')).toBe('new\n');
    expect(await old.ask('still here')).toBe('still here');
  });

  test('lets the clients of a removed service finish', async () => {
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0'), b: at('127.0.0.1:0') }));
    const old = await connectTo(daemon.port('a'));
    await old.ask('hello');
    const { pid } = await daemon.waitFor('accepted');
    await daemon.reload(services({ b: at('127.0.0.1:0') }));
    await untilTrue('its listener is closed', () => listeners(daemon.pid).size === 1);
    expect(await old.ask('still here')).toBe('still here');
    expect(isRunning(pid)).toBe(true);
    old.end();
    expect(await daemon.waitFor('reaped', { pid })).toMatchObject({ service: 'a', exit: 0 });
  });

  test('serves the clients that a removed service has in its queue', async () => {
    const more = 'max_connections: 1, stop_grace: 60s';
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0', 'cat', more), b: at('127.0.0.1:0') }));
    const port = daemon.port('a');
    const clients: Client[] = [];
    for (const name of ['first', 'second', 'third']) {
      clients.push(await connectTo(port));
      clients.at(-1)?.send(`${name}\n`);
    }
    await daemon.waitFor('accepted');
    await daemon.reload(services({ b: at('127.0.0.1:0') }));
    for (const [index, client] of clients.entries()) {
      expect(await client.line()).toBe(['first', 'second', 'third'][index]);
      client.end();
      await client.rest();
    }
    await daemon.waitForCount('reaped', 3);
    await untilTrue('the listener is closed', () => !listeners(daemon.pid).has(port));
  });

  testAsOther('closes what it removed when the daemon is not root', async () => {
    const both = services({ a: at('127.0.0.1:0'), b: at('127.0.0.1:0') });
    const daemon = await startDaemon(both, { wrapper: asOther });
    expect(await daemon.reload(services({ b: at('127.0.0.1:0') }))).toMatchObject({ removed: ['a'], kept: 1 });
    await untilTrue('it is closed', () => listeners(daemon.pid).size === 1);
    expect(await daemon.reload(both)).toMatchObject({ added: ['a'], kept: 1 });
    expect(await exchange(daemon.port('a', 1), 'again')).toBe('again');
  });

  test('of a bad file tells every problem and changes nothing', async () => {
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0') }));
    const before = listeners(daemon.pid);
    daemon.configure('services:\n  a: {listen: 70000, exec: cat}\n  b: {listen: 1, comand: cat}\n');
    daemon.signal('SIGHUP');
    const { problems } = await daemon.waitFor('rejected');
    const told = daemon.all('problem');
    expect(told).toHaveLength(problems);
    expect(told[0]).toMatchObject({
      line: 2,
      path: 'services.a.listen',
      message: expect.stringContaining('70000') as string,
    });
    expect(Object.keys(told[0] ?? {})).toEqual([
      'event',
      'time',
      'file',
      'line',
      'column',
      'path',
      'message',
      'remedy',
    ]);
    expect(Object.keys(daemon.all('rejected')[0] ?? {})).toEqual(['event', 'time', 'problems']);
    expect(listeners(daemon.pid)).toEqual(before);
    expect(await exchange(daemon.port(), 'as before')).toBe('as before');
    expect(daemon.all('reloaded')).toEqual([]);
  });

  test('of a file that is gone changes nothing', async () => {
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0') }));
    daemon.removeFile('services.yaml');
    daemon.signal('SIGHUP');
    await daemon.waitFor('rejected');
    expect(await exchange(daemon.port(), 'as before')).toBe('as before');
    expect(await daemon.reload(services({ a: at('127.0.0.1:0') }))).toMatchObject({ kept: 1 });
  });

  test('may turn a service off and on again', async () => {
    const on = services({ a: at('127.0.0.1:0'), b: at('127.0.0.1:0') });
    const off = services({ a: at('127.0.0.1:0', 'cat', 'enabled: false'), b: at('127.0.0.1:0') });
    const daemon = await startDaemon(on);
    expect(await daemon.reload(off)).toMatchObject({ removed: ['a'], kept: 1 });
    await untilTrue('it is closed', () => listeners(daemon.pid).size === 1);
    expect(await daemon.reload(on)).toMatchObject({ added: ['a'], kept: 1 });
    expect(await exchange(daemon.port('a', 1), 'again')).toBe('again');
  });

  test('that brings a service back goes on counting the children that it had', async () => {
    const there = services({ a: at('127.0.0.1:0', 'cat', 'max_connections: 1'), b: at('127.0.0.1:0') });
    const daemon = await startDaemon(there);
    const old = await connectTo(daemon.port('a'));
    await old.ask('hello');
    await daemon.reload(services({ b: at('127.0.0.1:0') }));
    await untilTrue('it is closed', () => listeners(daemon.pid).size === 1);
    await daemon.reload(there);
    const late = await connectTo(daemon.port('a', 1));
    late.send('late\n');
    await daemon.waitFor('paused', { service: 'a', children: 1, limit: 1 });
    old.end();
    expect(await late.line()).toBe('late');
    const accepted = await daemon.waitForCount('accepted', 2);
    expect(accepted.map(({ children }) => children)).toEqual([1, 1]);
  });

  test('may change the limit of the server', async () => {
    const yaml = services({ a: at('127.0.0.1:0') });
    const daemon = await startDaemon(`${yaml}limits: {max_connections: 1}\n`);
    const first = await connectTo(daemon.port());
    await first.ask('hello');
    const second = await connectTo(daemon.port());
    await daemon.waitFor('paused', { reason: 'server-full' });
    await daemon.reload(`${yaml}limits: {max_connections: 2}\n`);
    expect(await second.ask('room')).toBe('room');
  });
});

describe('an address that moves', () => {
  test('away from a service that it has paused has that told as resumed, and so has one that goes', async () => {
    const port = await findFreePorts(2);
    const [one, two] = [`127.0.0.1:${port}`, `127.0.0.1:${port + 1}`];
    const daemon = await startDaemon(services({ a: at(one, 'cat', 'max_connections: 1'), b: at('127.0.0.1:0') }));
    const first = await connectTo(port);
    await first.ask('hello');
    const queued = await connectTo(port);
    await daemon.waitFor('paused', { service: 'a' });
    const moved = { a: at(two, 'cat', 'max_connections: 1'), b: `listen: ["${one}", "127.0.0.1:0"], exec: cat` };
    await daemon.reload(services(moved));
    expect(await queued.ask('from b')).toBe('from b');
    expect(daemon.all('resumed')).toMatchObject([{ service: 'a', children: 1, limit: 1 }]);
    const late = await connectTo(port + 1);
    await daemon.waitForCount('paused', 2);
    await daemon.reload(services({ ...moved, a: at('127.0.0.1:0', 'cat', 'max_connections: 1, stop_grace: 100ms') }));
    await daemon.waitForCount('resumed', 2, { service: 'a' });
    await expect(late.rest()).rejects.toThrow('ECONNRESET');
  });

  test('from one service to another keeps its socket and the clients in its queue', async () => {
    const port = await findFreePorts(1);
    const address = `127.0.0.1:${port}`;
    const daemon = await startDaemon(services({ a: at(address, 'cat', 'max_connections: 1') }));
    const before = listeners(daemon.pid);
    const first = await connectTo(port);
    await first.ask('hello');
    const queued = await connectTo(port);
    expect(await daemon.reload(services({ b: at(address, 'echo from b') }))).toMatchObject({
      added: ['b'],
      removed: ['a'],
    });
    expect(await queued.rest()).toBe('from b\n');
    expect(listeners(daemon.pid)).toEqual(before);
    expect(await first.ask('still a')).toBe('still a');
  });

  test('between two services that trade places', async () => {
    const port = await findFreePorts(2);
    const [one, two] = [`127.0.0.1:${port}`, `127.0.0.1:${port + 1}`];
    const daemon = await startDaemon(services({ a: at(one, 'echo a'), b: at(two, 'echo b') }));
    const before = listeners(daemon.pid);
    await daemon.reload(services({ a: at(two, 'echo a'), b: at(one, 'echo b') }));
    expect([await exchange(port, ''), await exchange(port + 1, '')]).toEqual(['b\n', 'a\n']);
    expect(listeners(daemon.pid)).toEqual(before);
  });

  test('from every address to one, on the same port, and back', async () => {
    const port = await findFreePorts(1);
    const [wide, narrow] = [services({ a: at(port) }), services({ a: at(`127.0.0.1:${port}`) })];
    const daemon = await startDaemon(wide);
    expect(await daemon.reload(narrow)).toMatchObject({ changed: ['a'] });
    expect(await exchange(port, 'narrow')).toBe('narrow');
    expect(await daemon.reload(wide)).toMatchObject({ changed: ['a'] });
    expect(await exchange(port, 'wide')).toBe('wide');
    if (hasIpv6) expect(await exchange(port, 'wide', '::1')).toBe('wide');
  });

  test('away, and back with the next reload', async () => {
    const port = await findFreePorts(1);
    const [there, gone] = [{ a: at(`127.0.0.1:${port}`) }, {}].map((map) => services({ ...map, b: at('127.0.0.1:0') }));
    const daemon = await startDaemon(there ?? '');
    await daemon.reload(gone ?? '');
    await daemon.reload(there ?? '');
    expect(await exchange(port, 'back')).toBe('back');
    await daemon.reload(gone ?? '');
    await untilTrue('the listener is closed', () => !listeners(daemon.pid).has(port));
    await daemon.reload(there ?? '');
    expect(await exchange(port, 'back')).toBe('back');
  });

  test('to where its service cannot be had leaves it where it was, and beside it nothing is touched', async () => {
    const port = await findFreePorts(1);
    const wide = services({ a: at(port) });
    const daemon = await startDaemon(wide);
    for (let time = 1; time <= 2; time += 1) {
      const elsewhere = services({ a: at(`203.0.113.1:${port}`), b: at(`203.0.113.2:${port}`) });
      expect(await daemon.reload(elsewhere)).toMatchObject({ changed: [], unavailable: 2 });
      expect(daemon.all('unavailable').map(({ served }) => served)).toEqual(['before', 'no']);
      expect(await exchange(port, 'as before', '127.0.0.9')).toBe('as before');
      if (hasIpv6) expect(await exchange(port, 'as before', '::1')).toBe('as before');
    }
    expect(await daemon.reload(wide)).toMatchObject({ removed: ['b'], kept: 1 });
    expect(await exchange(port, 'as before')).toBe('as before');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a name service that does not answer', () => {
  const YAML = 'services: {a: {listen: "127.0.0.1:0", exec: cat}}\n';
  /** Another user is a question that has not been asked. */
  const OTHER = 'services: {a: {listen: "127.0.0.1:0", exec: tac, user: daemon}}\n';

  async function startHung(limitMs: number): Promise<{ daemon: Daemon; file: string }> {
    const file = join(makeFolder(), 'hang');
    const env = { LD_PRELOAD: libraryFixture('slow-accounts.c'), SLOW_ACCOUNTS: file };
    const daemon = await startDaemon(YAML, { env: { ...env, STDIOD_RELOAD_LIMIT_MS: String(limitMs) } });
    closeSync(openSync(file, 'w'));
    daemon.configure(OTHER);
    daemon.signal('SIGHUP');
    return { daemon, file };
  }

  testAsRoot('is told, then the reload is given up, and a later HUP works', async () => {
    const { daemon, file } = await startHung(6000);
    await daemon.waitFor('loading', { duration: 1 });
    const message = 'could not be loaded: not read within 6 s, given up';
    await daemon.waitFor('problem', { message });
    expect(await exchange(daemon.port(), 'as before')).toBe('as before');
    rmSync(file);
    expect(await daemon.reloadAtLast(OTHER)).toMatchObject({ changed: ['a'] });
  });

  testAsRoot.each(['before it is given up', 'after it was given up'])('does not keep stdiod: %s', async (when) => {
    const { daemon, file } = await startHung(when.startsWith('after') ? 60 : 600_000);
    if (when.startsWith('after')) await daemon.waitFor('rejected');
    else await untilTrue('it is asked', () => statSync(file).size > 0);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('stopped')).toHaveLength(1);
  });
});

describe('clients in a loop', () => {
  const VARIANTS = ['one', 'two'].map((text) =>
    services({ a: at('127.0.0.1:0', 'cat', `env: {X: ${text}}`), b: at('127.0.0.1:0') }),
  );

  async function expectNobodyLost(daemon: Daemon, load: Load): Promise<void> {
    const answered = await load.stop();
    expect(await daemon.waitForCount('reaped', answered)).toHaveLength(answered);
    expect(await daemon.waitForCount('accepted', answered)).toHaveLength(answered);
    expect(daemon.all('dropped')).toEqual([]);
  }

  function startLoad(port: number): Load {
    return new Load(8, async () => {
      expect(await exchange(port, 'hello')).toBe('hello');
    });
  }

  test('lose nobody to 400 HUPs', async () => {
    const daemon = await startDaemon(VARIANTS[0] ?? '');
    const load = startLoad(daemon.port('a'));
    await inParallel(10, 1, async (round) => {
      daemon.configure(VARIANTS[round % 2] ?? '');
      const from = daemon.events.length;
      await inParallel(40, 1, async () => {
        daemon.signal('SIGHUP');
        await new Promise(setImmediate);
      });
      await daemon.waitFor('reloaded', {}, from);
    });
    await daemon.waitForCount('reaped', daemon.all('reaped').length + 50);
    await expectNobodyLost(daemon, load);
  });

  test('lose nobody to a service that comes and goes beside theirs', async () => {
    const port = await findFreePorts(1);
    const daemon = await startDaemon(services({ a: at('127.0.0.1:0') }));
    const load = startLoad(daemon.port('a'));
    for (let round = 0; round < 10; round += 1) {
      const beside = round % 2 === 0 ? { b: at(`127.0.0.1:${port}`) } : {};
      await daemon.reload(services({ a: at('127.0.0.1:0'), ...beside }));
    }
    await expectNobodyLost(daemon, load);
  });

  test('lose nobody to an address that moves between services', async () => {
    const port = await findFreePorts(1);
    const maps = ['a', 'b'].map((name) => services({ [name]: at(`127.0.0.1:${port}`), z: at('127.0.0.1:0') }));
    const daemon = await startDaemon(maps[0] ?? '');
    const load = startLoad(port);
    for (let round = 1; round <= 10; round += 1) await daemon.reload(maps[round % 2] ?? '');
    await expectNobodyLost(daemon, load);
  });

  test('lose nobody to an address that becomes a wildcard and back', async () => {
    const port = await findFreePorts(1);
    const maps = [`127.0.0.1:${port}`, `*:${port}/tcp4`].map((listen) => services({ a: at(listen) }));
    const daemon = await startDaemon(maps[0] ?? '');
    const load = startLoad(port);
    for (let round = 1; round <= 6; round += 1) {
      const before = daemon.all('reaped').length;
      expect(await daemon.reload(maps[round % 2] ?? '')).toMatchObject({ changed: ['a'] });
      await daemon.waitForCount('reaped', before + 20);
    }
    await expectNobodyLost(daemon, load);
  });
});
