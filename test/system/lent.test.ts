/**
 * A socket that was lent is foreign afterwards: a child of a `wait` service, and whoever it leaves behind with the socket, can
 * spoil its own service at most, and that for a moment.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { closeSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { connectTo, exchange, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { datagramClient, type DatagramClient } from './datagram-client';
import { Denial } from './denial';
import { atEnd, endAll } from './endings';
import { fixture, libraryFixture, makeFolder } from './fixtures';
import { findFreePorts, testAsRoot } from './machine';
import { isRunning, listeners, moreFds, openFds } from './proc';
import { expectRest } from './rest';
import { askUnix, exchangeUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

const HEIR = fixture('leaves-heir.py');
const TAKES_ONE = fixture('takes-one.c');
/** More than there are threads for those that are locked. */
const MANY_SOCKETS = 40;
const OTHER = '{listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}';

function entry(exec: string, listen = '127.0.0.1:0', more = 'wait: true'): string {
  return `{listen: "${listen}", exec: ${exec}, pass_env: [PATH], stderr: null, stop_grace: 100ms, ${more}}`;
}

function services(map: Readonly<Record<string, string>>): string {
  return `services:\n${Object.entries(map)
    .map(([name, text]) => `  ${name}: ${text}\n`)
    .join('')}`;
}

function udpPort(daemon: Daemon, service = 'it'): number {
  return Number(/:(\d+)\/udp$/.exec(daemon.all('listening', { service })[0]?.address ?? '')?.[1]);
}

function killAtEnd(pid: number): void {
  atEnd(() => {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
}

/** The child has left; whoever it has left behind obeys the client. */
async function meetHeir(daemon: Daemon): Promise<Client> {
  const client = await connectTo(daemon.port('it'));
  killAtEnd(Number(await client.line()));
  await daemon.waitFor('reaped', { service: 'it', exit: 0 });
  return client;
}

/** As `meetHeir`, for datagrams. */
async function meetDatagramHeir(daemon: Daemon): Promise<(word: string) => Promise<void>> {
  const client = await datagramClient();
  const answered = once(client.socket, 'message') as Promise<[Buffer, { port: number }]>;
  await client.send('hello', udpPort(daemon));
  const [pid, { port }] = await answered;
  killAtEnd(Number(pid.toString()));
  await client.next();
  await daemon.waitFor('reaped', { service: 'it', exit: 0 });
  return async (word) => {
    expect(await client.ask(word, port)).toBe(word);
  };
}

describe('who is left behind with a listening socket', () => {
  test('and shuts it down makes nobody spin: the service is served on a new one', async () => {
    const daemon = await startDaemon(services({ it: entry(HEIR), other: OTHER }));
    const port = daemon.port('it');
    const before = listeners(daemon.pid).get(port);
    const heir = await meetHeir(daemon);
    expect(await heir.ask('shutdown')).toBe('shutdown');
    await untilTrue('there is a new one', () => ![before, undefined].includes(listeners(daemon.pid).get(port)));
    await expectRest(daemon.pid);
    await meetHeir(daemon);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  });

  test('and accepts from it holds nobody up when the service accepts by itself by now', async () => {
    const daemon = await startDaemon(services({ it: entry(HEIR), other: OTHER }));
    const port = daemon.port('it');
    const heir = await meetHeir(daemon);
    expect(await heir.ask('accept')).toBe('accept');
    await daemon.reload(services({ it: entry('cat', '127.0.0.1:0', 'wait: false'), other: OTHER }));
    for (let round = 0; round < 3; round += 1) {
      expect(await exchange(port, 'mine')).toBe('mine');
      expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    }
    expect(daemon.all('failed')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('who locks a socket that was lent', () => {
  test('while a reload sets its options holds nobody up, and that is told', async () => {
    const file = join(makeFolder(), 'locked');
    const env = { LD_PRELOAD: libraryFixture('slow-options.c'), SLOW_OPTIONS: file };
    const daemon = await startDaemon(services({ it: entry(HEIR), other: OTHER }), { env });
    await meetHeir(daemon);
    closeSync(openSync(file, 'w'));
    await daemon.reload(services({ it: entry(HEIR, '127.0.0.1:0', 'wait: true, socket: {backlog: 7}'), other: OTHER }));
    const failed = {
      verb: 'setsockopt',
      service: 'it',
      error: 'ETIMEDOUT connection timed out',
      action: 'options kept',
    };
    expect(daemon.all('failed')).toMatchObject([failed]);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    rmSync(file);
    expect(await daemon.stop()).toBe(0);
  });

  test('and has its flags changed (O_ASYNC) holds nobody up when it is lent and taken back', async () => {
    const file = join(makeFolder(), 'locked');
    const env = { LD_PRELOAD: libraryFixture('slow-flags.c'), SLOW_FLAGS: file };
    const daemon = await startDaemon(services({ it: entry(HEIR), other: OTHER }), { env });
    await meetHeir(daemon);
    closeSync(openSync(file, 'w'));
    await connectTo(daemon.port('it'));
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    await daemon.waitForCount('reaped', 2, { service: 'it', exit: 0 });
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    rmSync(file);
  });

  test('and goes on with it keeps nobody from the next socket of that number', async () => {
    const file = join(makeFolder(), 'locked');
    const env = { LD_PRELOAD: libraryFixture('slow-options.c'), SLOW_OPTIONS: file };
    const daemon = await startDaemon(services({ it: entry(HEIR), other: OTHER }), { env });
    await meetHeir(daemon);
    writeFileSync(file, `${daemon.port('it')}`);
    await daemon.reload(services({ it: entry(HEIR, '127.0.0.1:0', 'wait: true, socket: {backlog: 7}'), other: OTHER }));
    expect(daemon.all('failed')).toHaveLength(1);
    await daemon.reload(services({ other: OTHER }));
    await daemon.reload(services({ other: OTHER, next: entry(TAKES_ONE, '127.0.0.1:0/udp') }));
    await (await datagramClient()).send('x', udpPort(daemon, 'next'));
    await daemon.waitFor('reaped', { service: 'next', exit: 0 });
    expect(daemon.all('failed')).toHaveLength(1);
    rmSync(file);
  });

  test('however many the service has, keeps no other service from its sockets, and is told once', async () => {
    const file = join(makeFolder(), 'locked');
    const env = { LD_PRELOAD: libraryFixture('slow-options.c'), SLOW_OPTIONS: file };
    const first = await findFreePorts(MANY_SOCKETS);
    const ports = Array.from({ length: MANY_SOCKETS }, (_, at) => first + at);
    const it = entry(TAKES_ONE, `127.0.0.1:${first}-${first + MANY_SOCKETS - 1}/udp`);
    const other = entry(TAKES_ONE, '127.0.0.1:0/udp');
    const daemon = await startDaemon(services({ it, other }), { env });
    writeFileSync(file, ports.join(' '));
    const client = await datagramClient();
    // All of them are lent before the first one comes back: then the others would be left alone.
    await daemon.whileStopped(async () => {
      for (const port of ports) await client.send('x', port);
    });
    await daemon.waitForCount('reaped', MANY_SOCKETS, { service: 'it', exit: 0 });
    await client.send('x', udpPort(daemon, 'other'));
    await daemon.waitFor('reaped', { service: 'other', exit: 0 });
    expect(daemon.all('failed')).toMatchObject([{ verb: 'lend', service: 'it' }]);
    rmSync(file);
    for (const port of ports) await client.send('x', port);
    await daemon.waitForCount('reaped', 2 * MANY_SOCKETS, { service: 'it', exit: 0 });
    expect(daemon.all('failed')).toHaveLength(1);
  }, 60_000);

  testAsRoot(
    'and all others that its user has costs no other user a socket (needs root)',
    async () => {
      const file = join(makeFolder(), 'locked');
      const env = { LD_PRELOAD: libraryFixture('slow-options.c'), SLOW_OPTIONS: file };
      const first = await findFreePorts(MANY_SOCKETS);
      const range = `127.0.0.1:${first}-${first + MANY_SOCKETS - 1}`;
      const other = entry('"true"', '127.0.0.1:0/udp', 'user: "54322", group: "54322"');
      const text = (more: string): string =>
        services({ it: entry(HEIR, range, `wait: true, user: "54321", group: "54321"${more}`), other });
      const daemon = await startDaemon(text(''), { env });
      for (let at = 0; at < MANY_SOCKETS; at += 1) {
        const client = await connectTo(first + at);
        killAtEnd(Number(await client.line()));
      }
      await daemon.waitForCount('reaped', MANY_SOCKETS, { service: 'it', exit: 0 });
      writeFileSync(file, Array.from({ length: MANY_SOCKETS }, (_, at) => first + at).join(' '));
      await daemon.reload(text(', socket: {backlog: 7}'));
      await (await datagramClient()).send('x', udpPort(daemon, 'other'));
      await daemon.waitFor('reaped', { service: 'other', exit: 0 });
      expect(daemon.all('failed').map(({ service }) => service)).toEqual(Array<string>(MANY_SOCKETS).fill('it'));
      rmSync(file);
    },
    60_000,
  );
});

describe('who is left behind with a datagram socket', () => {
  test.each(['recverr', 'peek-off'])('and leaves an error or an offset in it (%s) makes nobody spin', async (word) => {
    const daemon = await startDaemon(services({ it: entry(HEIR, '127.0.0.1:0/udp'), other: OTHER }));
    const tell = await meetDatagramHeir(daemon);
    await tell(word);
    if (word === 'peek-off') await (await datagramClient()).send('x', udpPort(daemon));
    await expectRest(daemon.pid);
    await daemon.waitForCount('reaped', word === 'peek-off' ? 2 : 1);
    await meetDatagramHeir(daemon);
    expect(daemon.all('failed')).toEqual([]);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  });
});

describe('who is left behind with a datagram socket that was shut down', () => {
  test('keeps the port until he leaves; then the service comes back by itself', async () => {
    const daemon = await startDaemon(services({ it: entry(HEIR, '127.0.0.1:0/udp'), other: OTHER }));
    const port = udpPort(daemon);
    const client = await datagramClient();
    const answered = once(client.socket, 'message') as Promise<[Buffer, { port: number }]>;
    await client.send('hello', port);
    const [heir, rest] = [Number((await answered)[0]), (await answered)[1].port];
    killAtEnd(heir);
    await client.next();
    await daemon.waitFor('reaped', { service: 'it', exit: 0 });
    expect(await client.ask('shutdown', rest)).toBe('shutdown');
    await daemon.waitFor('failed', { verb: 'listen', service: 'it' });
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    process.kill(heir, 'SIGKILL');
    await daemon.waitForCount('listening', 2, { service: 'it' });
    await meetDatagramHeir(daemon);
    expect(daemon.all('failed')).toHaveLength(1);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a child of a datagram service', () => {
  test('that has connected the socket leaves it to all senders again', async () => {
    const daemon = await startDaemon(services({ it: entry(fixture('receives.py'), '127.0.0.1:0/udp') }));
    await serveAllAgain(daemon, udpPort(daemon));
  });

  test('that has connected a socket that was passed leaves it to all senders again', async () => {
    const wrapper = ['python3', fixture('passes-sockets.py'), 'ask=udp'];
    const daemon = await startDaemon(services({ it: entry(fixture('receives.py'), 'fd:ask') }), { wrapper });
    await serveAllAgain(daemon, udpPort(daemon));
    expect(daemon.all('failed')).toEqual([]);
  });

  test.each([
    ['filter', '127.0.0.1:0/udp'],
    ['lock', '127.0.0.1:0/udp'],
    ['filter', 'fd:ask'],
  ])('that has left a filter (%s) on its socket (%s) keeps nobody away', async (word, listen) => {
    const wrapper = ['python3', fixture('passes-sockets.py'), 'ask=udp'];
    const daemon = await startDaemon(services({ it: entry(fixture('receives.py'), listen) }), { wrapper });
    const port = udpPort(daemon);
    const client = await datagramClient();
    expect(await client.ask(word, port)).toMatch(/^\d+ /);
    await daemon.waitFor('reaped', { exit: 0 });
    expect(await client.ask('hello', port)).toMatch(/^\d+ hello$/);
    expect(daemon.all('failed')).toEqual([]);
  });

  test('that has locked a filter on a socket that was passed has it given up, and told', async () => {
    const wrapper = ['python3', fixture('passes-sockets.py'), 'ask=udp'];
    const daemon = await startDaemon(services({ it: entry(fixture('receives.py'), 'fd:ask') }), { wrapper });
    expect(await (await datagramClient()).ask('lock', udpPort(daemon))).toMatch(/ lock$/);
    expect(await daemon.waitFor('failed')).toMatchObject({
      service: 'it',
      action: 'not served until stdiod starts anew',
    });
  });

  async function serveAllAgain(daemon: Daemon, port: number): Promise<void> {
    const [first, second] = [await datagramClient(), await datagramClient()];
    expect(await first.ask('connect', port)).toMatch(/^\d+ connect$/);
    await daemon.waitFor('reaped');
    for (const client of [second, first]) expect(await client.ask('hello', port)).toMatch(/^\d+ hello$/);
  }
});

test('a Unix socket that was passed, and that a child has shut down, is told once and starts nobody any more', async () => {
  const path = join(makeFolder(), 'socket');
  const wrapper = ['sh', '-c', 'umask 0; exec python3 "$@"', 'sh', fixture('passes-sockets.py'), `web=unix:${path}`];
  const yaml = services({ it: entry(fixture('accepts.py'), 'fd:web'), other: OTHER });
  const daemon = await startDaemon(yaml, { wrapper });
  expect(await exchangeUnix(path, 'shutdown\n')).toMatch(/^\d+ shutdown\n$/);
  await daemon.waitFor('reaped');
  expect(await daemon.waitFor('failed')).toMatchObject({ verb: 'listen', service: 'it' });
  await expectRest(daemon.pid);
  expect([daemon.all('failed'), daemon.all('started')].map((events) => events.length)).toEqual([1, 1]);
  expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
});

describe('a socket that was passed, and that a child has had', () => {
  const wrapper = ['python3', fixture('passes-sockets.py'), 'it=tcp'];
  const waiting = services({ it: entry(HEIR, 'fd:it'), other: OTHER });
  const accepting = services({ it: entry('cat', 'fd:it', 'wait: false'), other: OTHER });

  /** Whoever has the socket too could make an accept wait for ever. */
  async function expectGivenUp(daemon: Daemon): Promise<void> {
    expect(daemon.all('failed')).toMatchObject([
      { verb: 'listen', service: 'it', action: 'not served until stdiod starts anew' },
    ]);
    for (let count = 0; count < 3; count += 1) {
      await connectTo(daemon.port('it'));
      expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    }
    expect(daemon.all('accepted', { service: 'it' })).toEqual([]);
  }

  test('is not accepted from when the service accepts by itself, and is lent again when it does not', async () => {
    const daemon = await startDaemon(waiting, { wrapper });
    expect(await (await meetHeir(daemon)).ask('accept')).toBe('accept');
    await daemon.reload(accepting);
    await expectGivenUp(daemon);
    await daemon.reload(waiting);
    await daemon.waitForCount('listening', 3);
    expect(await daemon.stop()).toBe(0);
  });

  test('is not accepted from by a service that comes later', async () => {
    const daemon = await startDaemon(waiting, { wrapper });
    expect(await (await meetHeir(daemon)).ask('accept')).toBe('accept');
    await daemon.reload(services({ other: OTHER }));
    await daemon.reload(accepting);
    await expectGivenUp(daemon);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('descriptors that a client passes to a service of datagrams', () => {
  const send = async (path: string): Promise<void> => {
    await promisify(execFile)('python3', [fixture('passes-descriptors.py'), path, '30', '50']);
  };
  const newName = (): string => `@stdiod-test-${process.pid}-${basename(makeFolder())}`;

  test('do not stay in the daemon', async () => {
    const path = newName();
    const daemon = await startDaemon(
      services({ it: entry(fixture('takes-one.c'), `unix-dgram:${path}`), other: OTHER }),
    );
    const before = openFds(daemon.pid);
    await send(path);
    await daemon.waitForCount('reaped', 30);
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, before).length === 0);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  });

  test('do not stay in a built-in', async () => {
    const path = newName();
    const yaml = `services: {it: {listen: "unix-dgram:${path}", builtin: echo, stop_grace: 100ms}}\n`;
    const daemon = await startDaemon(yaml);
    expect(await askUnix('dgram', path, 'hello')).toEqual(['hello']);
    const { pid } = await daemon.waitFor('started');
    const before = openFds(pid);
    await send(path);
    // Answered after all that came before it.
    expect(await askUnix('dgram', path, 'again')).toEqual(['again']);
    expect(moreFds(pid, before)).toEqual([]);
  });
});

describe('a wait service', () => {
  test('is served although a child of the time before wait lives', async () => {
    const daemon = await startDaemon(services({ it: entry('cat', '127.0.0.1:0', 'max_connections: 1') }));
    const port = daemon.port();
    const old = await connectTo(port);
    await old.ask('hello');
    await daemon.reload(services({ it: entry(fixture('accepts.py')) }));
    expect(await (await connectTo(port)).ask('new')).toMatch(/^\d+ new$/);
    expect(await old.ask('still here')).toBe('still here');
  });

  test('is served although the child of a socket that it has no more lives', async () => {
    const ports = await findFreePorts(2);
    const [one, two] = [`127.0.0.1:${ports}`, `127.0.0.1:${ports + 1}`];
    // Whose socket nobody has any more has to leave after its grace, which is not to come first.
    const yaml = services({ it: entry(fixture('accepts.py'), two) }).replace('100ms', '60s');
    const daemon = await startDaemon(yaml.replace(`"${two}"`, `["${one}", "${two}"]`));
    const [first, second] = [await connectTo(ports), await connectTo(ports + 1)];
    for (const client of [first, second]) await client.ask('hello');
    await daemon.reload(yaml);
    await second.ask('leave');
    await daemon.waitFor('reaped');
    expect(await (await connectTo(ports + 1)).ask('new')).toMatch(/^\d+ new$/);
    expect(await first.ask('still here')).toMatch(/^\d+ still here$/);
  });
});

test('an address that goes to another service goes there without the socket that a child has had', async () => {
  const port = await findFreePorts(1);
  const yaml = (name: string): string =>
    services({ [name]: entry(`"${fixture('accepts.py')} --once"`, `127.0.0.1:${port}`) });
  const daemon = await startDaemon(yaml('one'));
  expect(await exchange(port, 'hello\n')).toMatch(/ hello\n$/);
  await daemon.waitFor('reaped');
  const before = listeners(daemon.pid).get(port);
  await daemon.reload(yaml('one').replace('100ms', '200ms'));
  expect(listeners(daemon.pid).get(port)).toBe(before);
  await daemon.reload(yaml('two'));
  expect([before, undefined]).not.toContain(listeners(daemon.pid).get(port));
  expect(await exchange(port, 'hello\n')).toMatch(/ hello\n$/);
});

test('a reload past a socket that its child has connected changes all that it says', async () => {
  const [port, path] = [await findFreePorts(1), join(makeFolder(), 'socket')];
  const yaml = (host: string, scheme: string): string =>
    services({
      ...{ it: entry(fixture('accepts.py'), `${host}:${port}`), other: OTHER },
      path: entry('cat', `${scheme}:${path}`, 'socket: {mode: "0666"}').replace('stderr: null, ', ''),
    });
  const daemon = await startDaemon(yaml('127.0.0.1', 'unix'));
  const client = await connectTo(port);
  expect(await client.ask(`connect ${daemon.port('other')}`)).toMatch(/connect/);
  await daemon.reload(yaml('0.0.0.0', 'unix-seqpacket'));
  expect(await askUnix('seqpacket', path, 'hello')).toEqual(['hello']);
  expect(await (await connectTo(port)).ask('new')).toMatch(/^\d+ new$/);
  expect(readdirSync(dirname(path))).toEqual(['socket']);
});

/** A datagram to each port, again and again, until the test ends; nobody has to listen. */
function flood(client: DatagramClient, ports: readonly number[]): void {
  const timer = setInterval(() => {
    for (const port of ports) void client.send('hello', port);
  }, 2);
  atEnd(() => {
    clearInterval(timer);
  });
}

describe('a reload under datagrams', () => {
  test('from every address to one and back gives no child a wrong socket, or none', async () => {
    const first = await findFreePorts(2);
    const at = (host: string): string =>
      services(
        Object.fromEntries(
          ['one', 'two'].map((name, index) => [name, entry(fixture('takes-one.c'), `${host}:${first + index}/udp4`)]),
        ),
      );
    const denial = new Denial('close_range');
    const maps = [at('*'), at('127.0.0.1')];
    const daemon = await startDaemon(maps[0] ?? '', { wrapper: denial.wrapper });
    // Children get a table of their own late, so that each reload falls into the time before.
    denial.deny(null);
    flood(await datagramClient(), [first, first + 1]);
    for (let round = 1; round <= 30; round += 1) {
      expect(await daemon.reload(maps[round % 2] ?? '')).toMatchObject({ changed: ['one', 'two'] });
      await daemon.waitForCount('started', daemon.all('started').length + 2);
    }
    expect(daemon.all('failed')).toEqual([]);
    expect(daemon.all('dropped', (event) => 'step' in event)).toEqual([]);
    // Those who are still on an old socket when its grace is over have to leave.
    expect(daemon.all('reaped').filter(({ exit, reason }) => exit !== 0 && reason !== 'removed')).toEqual([]);
  });

  test('that removes the service takes it away at once', async () => {
    const daemon = await startDaemon(services({ it: entry(fixture('takes-one.c'), '127.0.0.1:0/udp'), other: OTHER }));
    const { size } = openFds(daemon.pid);
    flood(await datagramClient(), [udpPort(daemon)]);
    await daemon.waitForCount('reaped', 10);
    await daemon.reload(services({ other: OTHER }));
    const from = daemon.events.length;
    const gone = daemon.all('started').length;
    await daemon.waitForCount('reaped', gone);
    await untilTrue('it is closed', () => openFds(daemon.pid).size < size);
    await expectRest(daemon.pid);
    expect(daemon.events.slice(from).filter(({ event }) => event === 'started')).toEqual([]);
  });
});

describe('a stop', () => {
  test('takes the port from whoever is left behind: the next start has it', async () => {
    const yaml = services({ it: entry(HEIR, `127.0.0.1:${await findFreePorts(1)}`), other: OTHER });
    const before = await startDaemon(yaml);
    await meetHeir(before);
    expect(await before.stop()).toBe(0);
    await meetHeir(await startDaemon(yaml));
  });

  /** Nobody is started after the signal, and nobody is left. */
  async function expectCleanEnd(daemon: Daemon): Promise<void> {
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
    const names = daemon.events.map(({ event }) => event);
    expect(names.slice(names.indexOf('stopping'))).not.toContain('started');
    expect(daemon.all('stopped')).toMatchObject([{ children: 0 }]);
    expect(daemon.all('reaped')).toHaveLength(daemon.all('started').length);
  }

  test('starts no other child for those who wait in a listening socket', async () => {
    const daemon = await startDaemon(services({ it: entry('"sleep 1000"') }));
    for (let count = 0; count < 3; count += 1) await connectTo(daemon.port());
    await daemon.waitFor('started');
    await expectCleanEnd(daemon);
  });

  test.each(['sleep 1000', fixture('takes-one.c')])(
    'starts no other child for datagrams that go on (%s)',
    async (exec) => {
      const daemon = await startDaemon(services({ it: entry(`"${exec}"`, '127.0.0.1:0/udp') }));
      flood(await datagramClient(), [udpPort(daemon)]);
      await daemon.waitFor('started');
      await expectCleanEnd(daemon);
    },
  );
});
