/**
 * What fails on the way of a connection costs at most that connection, is told, and passes by itself.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connectTo, exchange, Load, type Client } from './client';
import { launchDaemon, startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { Denial } from './denial';
import { expectDrop } from './drop';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { asOther, findProgram, setSoftLimit, testAsOther } from './machine';
import { childrenOf, limits, moreFds, openFds } from './proc';
import { expectRest } from './rest';
import { untilTrue } from './until';

afterEach(endAll);

const ECHO = 'services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n';
/** Lower than what every daemon has open: whatever comes next gets EMFILE. */
const TOO_FEW = 10;
const WAYS: readonly [string, DaemonOptions][] = [
  ['clone', {}],
  ['plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

describe('a program that makes processes children of stdiod', () => {
  const MAKERS = 3;
  const SLEEPERS = 300;

  /** Clients whose programs do so until the clients leave. */
  async function startBegetters(): Promise<{ daemon: Daemon; begetters: Client[] }> {
    const daemon = await startDaemon(`services:
  begets: {listen: "127.0.0.1:0", exec: ["${fixture('begets-siblings.c')}", "${SLEEPERS}"], stop_grace: 1s}
  echo: {listen: "127.0.0.1:0", exec: cat}
`);
    const begetters = await Promise.all(Array.from({ length: MAKERS }, () => connectTo(daemon.port('begets'))));
    for (const client of begetters) expect(await client.line()).toBe('ready');
    return { daemon, begetters };
  }

  test('keeps nobody else from being served, and leaves nothing behind', async () => {
    const { daemon, begetters } = await startBegetters();
    for (let time = 0; time < 5; time += 1) expect(await exchange(daemon.port('echo'), 'hello')).toBe('hello');
    daemon.signal('SIGUSR1');
    await daemon.waitFor('status', { service: 'begets', children: MAKERS });
    expect(begetters.map(({ hasEnd }) => hasEnd)).toEqual([false, false, false]);
    for (const client of begetters) client.end();
    await daemon.waitForCount('reaped', MAKERS, { service: 'begets' });
    await untilTrue('all are collected', () => childrenOf(daemon.pid).length === 0);
    expect(daemon.all('reaped', { service: 'begets' })).toHaveLength(MAKERS);
  });

  test('keeps stdiod from leaving no longer than its grace', async () => {
    const { daemon } = await startBegetters();
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('stopped')).toMatchObject([{ children: 0 }]);
  });
});

describe.each(WAYS)('a program that cannot be started (%s)', (_, options) => {
  /** `cat` in a folder of its own, served one at a time. */
  async function serveCopy(keys = ''): Promise<{ daemon: Daemon; folder: string; program: string }> {
    const folder = makeFolder();
    const program = join(folder, 'copy');
    copyFileSync(findProgram('cat'), program);
    const service = `{listen: "127.0.0.1:0", exec: ${program}, max_connections: 1, ${keys}}`;
    return { daemon: await startDaemon(`services: {it: ${service}}\n`, options), folder, program };
  }

  test('because it is gone ends each connection cleanly, gives its slot back and is served when it is back', async () => {
    const { daemon, program } = await serveCopy();
    renameSync(program, `${program}.away`);
    for (let time = 0; time < 3; time += 1) await expectDrop(daemon, 'execve', 'ENOENT');
    renameSync(`${program}.away`, program);
    expect(await exchange(daemon.port(), 'back')).toBe('back');
    expect(await daemon.waitForCount('accepted', 4)).toHaveLength(4);
    expect(Object.keys(daemon.all('dropped')[0] ?? {})).toEqual(
      ['event', 'time', 'service', 'connection', 'peer', 'step', 'error'], // in this order
    );
  });

  test('because it may not be executed any more is told as EACCES', async () => {
    const { daemon, program } = await serveCopy();
    chmodSync(program, 0o644);
    await expectDrop(daemon, 'execve', 'EACCES');
  });

  test('because it is no program any more is told as ENOEXEC', async () => {
    const { daemon, program } = await serveCopy();
    rmSync(program);
    writeFileSync(program, 'neither ELF nor #!\n', { mode: 0o755 });
    chmodSync(program, 0o755);
    await expectDrop(daemon, 'execve', 'ENOEXEC');
  });

  test('because its folder is gone is told as chdir', async () => {
    const work = join(makeFolder(), 'work');
    mkdirSync(work);
    const { daemon } = await serveCopy(`directory: ${work}`);
    rmSync(work, { recursive: true });
    await expectDrop(daemon, 'chdir', 'ENOENT');
    mkdirSync(work);
    expect(await exchange(daemon.port(), 'back')).toBe('back');
  });
});

test('a supervisor that is asked before a child closes what belongs to others may be slow', async () => {
  const denial = new Denial('close-rest');
  const daemon = await startDaemon(ECHO, { wrapper: denial.wrapper });
  denial.deny(null);
  for (let time = 0; time < 3; time += 1) expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  expect(daemon.all('dropped')).toEqual([]);
});

describe('a daemon that has no descriptors left', () => {
  test('waits without spinning, tells so, loses nobody and goes on by itself', async () => {
    const daemon = await startDaemon(ECHO);
    const usual = limits(daemon.pid).get('Max open files')?.split(' ')[0] ?? '';
    const load = new Load(8, async () => {
      expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    });
    await daemon.waitForCount('reaped', 50);
    setSoftLimit(daemon.pid, 'nofile', TOO_FEW);
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'echo', reason: 'open-files' });
    await untilTrue('nobody is served', () => childrenOf(daemon.pid).length === 0);
    await expectRest(daemon.pid);
    setSoftLimit(daemon.pid, 'nofile', usual);
    await daemon.waitFor('resumed');
    await daemon.waitForCount('reaped', daemon.all('reaped').length + 50);
    const answered = await load.stop();
    expect(await daemon.waitForCount('reaped', answered)).toHaveLength(answered);
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('now and then tells so once a second at most, however often', async () => {
    const daemon = await startDaemon(ECHO);
    const usual = limits(daemon.pid).get('Max open files')?.split(' ')[0] ?? '';
    const inUse = [...openFds(daemon.pid).keys()].filter((fd) => fd < 100);
    setSoftLimit(daemon.pid, 'nofile', Math.max(...inUse) + 3);
    const load = new Load(8, async () => {
      expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    });
    await daemon.waitForCount('reaped', 400);
    setSoftLimit(daemon.pid, 'nofile', usual);
    await load.stop();
    const times = daemon.all('paused').map(({ time }) => Date.parse(time));
    // One may be written late: what it lacks to a second the gap before it has too much.
    const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
    expect(times.length).toBeLessThanOrEqual(2 + span / 1000);
    if (times.length > 0) await daemon.waitForCount('resumed', times.length);
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('still ends its children and stops', async () => {
    const daemon = await startDaemon(ECHO);
    const client = await connectTo(daemon.port());
    await client.ask('hello');
    setSoftLimit(daemon.pid, 'nofile', TOO_FEW);
    client.end();
    await daemon.waitFor('reaped');
    expect(await daemon.stop()).toBe(0);
  });
});

describe.each(WAYS)('a daemon that may have no more processes (%s)', (_, options) => {
  testAsOther('keeps the connection that it accepted and those that wait, and serves them all later', async () => {
    const daemon = await startDaemon(ECHO, { ...options, wrapper: asOther });
    const fds = openFds(daemon.pid);
    const most = limits(daemon.pid).get('Max processes')?.split(' ')[0] ?? '';
    setSoftLimit(daemon.pid, 'nproc', 1, asOther);
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectTo(daemon.port())));
    for (const client of clients) client.send('patience\n');
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'echo', reason: 'processes' });
    expect(daemon.all('accepted')).toEqual([]);
    setSoftLimit(daemon.pid, 'nproc', most, asOther);
    expect(await Promise.all(clients.map((client) => client.line()))).toEqual(clients.map(() => 'patience'));
    await daemon.waitFor('resumed');
    for (const client of clients) client.end();
    expect(await daemon.waitForCount('reaped', 5)).toHaveLength(5);
    expect(daemon.all('dropped')).toEqual([]);
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, fds).length === 0);
  });

  testAsOther('tells of the connection that it kept in vain when it stops', async () => {
    const daemon = await startDaemon(`${ECHO}defaults: {stop_grace: 100ms}\n`, { ...options, wrapper: asOther });
    setSoftLimit(daemon.pid, 'nproc', 1, asOther);
    const client = await connectTo(daemon.port());
    await daemon.waitFor('paused');
    expect(await daemon.stop()).toBe(0);
    expect(await client.rest()).toBe('');
    expect(daemon.all('dropped')[0]).toMatchObject({ peer: client.address, step: 'clone', error: 'EAGAIN' });
  });
});

describe('a reload that cannot be done for want of', () => {
  const FEW: readonly [string, 'nofile' | 'nproc', number][] = [
    ['descriptors', 'nofile', TOO_FEW],
    ['processes', 'nproc', 1],
  ];

  testAsOther.each(FEW)('%s is rejected, and the daemon serves on', async (_, limit, few) => {
    const daemon = await startDaemon(ECHO, { wrapper: asOther });
    setSoftLimit(daemon.pid, limit, few, asOther);
    daemon.signal('SIGHUP');
    await daemon.waitFor('rejected');
    setSoftLimit(daemon.pid, limit, 4096, asOther);
    expect(await exchange(daemon.port(), 'as before')).toBe('as before');
    expect(await daemon.reload(ECHO)).toMatchObject({ kept: 1 });
  });
});

testAsOther('a reload with hardly any descriptor left is rejected with its reason, and leaves none open', async () => {
  const daemon = await startDaemon(ECHO, { wrapper: asOther });
  const fds = openFds(daemon.pid);
  const lowestFree = Array.from({ length: fds.size + 1 }, (_, fd) => fd).findIndex((fd) => !fds.has(fd));
  for (let left = 1; left < 8; left += 1) {
    setSoftLimit(daemon.pid, 'nofile', lowestFree + left, asOther);
    const from = daemon.events.length;
    daemon.signal('SIGHUP');
    const { message, remedy } = await daemon.waitFor('problem', {}, from);
    expect([message, remedy]).toEqual([
      'could not be loaded: too few open files',
      expect.stringContaining('LimitNOFILE'),
    ]);
    await daemon.waitFor('rejected', {}, from);
  }
  setSoftLimit(daemon.pid, 'nofile', 4096, asOther);
  expect([...openFds(daemon.pid).keys()].sort()).toEqual([...fds.keys()].sort());
  expect(await daemon.reload(ECHO)).toMatchObject({ kept: 1 });
});

test('a reload that asks for more sockets than there are descriptors leaves some for clients', async () => {
  const daemon = await startDaemon(ECHO, { wrapper: ['prlimit', '--nofile=200:200'] });
  const more = Array.from({ length: 300 }, (_, index) => `, s${index}: {listen: "127.0.0.1:0", exec: cat}`);
  await daemon.reload(`${ECHO.trimEnd().slice(0, -1)}${more.join('')}}\n`);
  await daemon.waitFor('unavailable');
  for (let time = 0; time < 3; time += 1) expect(await exchange(daemon.port(), 'hello')).toBe('hello');
});

describe('an address that is taken', () => {
  async function takePort(): Promise<number> {
    const server = createServer();
    atEnd(() => {
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  test('is told with its service; nothing is started and the exit status is 1', async () => {
    const port = await takePort();
    const daemon = launchDaemon(`services: {it: {listen: "127.0.0.1:${port}", exec: cat}}\n`);
    expect(await daemon.ended()).toBe(1);
    const told = { verb: 'listen', address: `127.0.0.1:${port}`, service: 'it', action: 'nothing was started' };
    expect(daemon.events).toMatchObject([told, { event: 'rejected', problems: 1 }]);
  });

  test('is told together with every other one, where everything has to be there', async () => {
    const [one, two] = [await takePort(), await takePort()];
    const daemon = launchDaemon(
      `services: {a: {listen: ["127.0.0.1:${one}", "127.0.0.1:0"], exec: cat}, b: {listen: "127.0.0.1:${two}", exec: cat}}\n`,
      { args: ['--strict'] },
    );
    expect(await daemon.ended()).toBe(1);
    const failed = daemon.all('failed').map(({ service, address }) => [service, address]);
    expect(failed).toEqual([
      ['a', `127.0.0.1:${one}`],
      ['b', `127.0.0.1:${two}`],
    ]);
  });

  test('does not stop a reload from keeping what is there', async () => {
    const port = await takePort();
    const daemon = await startDaemon(ECHO);
    daemon.configure(
      `services: {echo: {listen: "127.0.0.1:0", exec: tac}, b: {listen: "127.0.0.1:${port}", exec: cat}}\n`,
    );
    daemon.signal('SIGHUP');
    const unavailable = await daemon.waitFor('unavailable');
    expect(unavailable).toMatchObject({ service: 'b', served: 'no' });
    expect(unavailable.reason).toBe(`listen 127.0.0.1:${port}: EADDRINUSE address already in use`);
    expect(Object.keys(unavailable)).toEqual(['event', 'time', 'service', 'reason', 'served']);
    await daemon.waitFor('reloaded');
    expect(await exchange(daemon.port(), 'a\nb\n')).toBe('b\na\n');
  });
});

describe('a peer that has left before it was served', () => {
  test.each(WAYS)('is accounted for, and the program is told who it was (%s)', async (_, options) => {
    const folder = makeFolder();
    chmodSync(folder, 0o777);
    const told = join(folder, 'told');
    const exec = JSON.stringify(['sh', '-c', `echo "$TCPREMOTEIP:$TCPREMOTEPORT" > ${told}`]);
    const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: ${exec}}}\n`, options);
    const address = await daemon.whileStopped(async () => {
      const client = await connectTo(daemon.port());
      const { address } = client;
      client.reset();
      await untilTrue('the client is gone', () => client.socket.closed);
      return address;
    });
    const { connection } = await daemon.waitFor('accepted', { peer: address });
    await daemon.waitFor('reaped', { connection });
    expect(existsSync(told) ? execFileSync('cat', [told], { encoding: 'utf8' }) : '').toBe(`${address}\n`);
  });
});
