/**
 * What the machine lacks stops only the services that need it, and they are served as soon as it is there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { launchDaemon, startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, libraryFixture, main, makeFolder } from './fixtures';
import { findFreePorts, findProgram, testAsRoot } from './machine';
import { listeners } from './proc';
import { askUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

/** A tenth of a second until the second attempt. */
const SOON: DaemonOptions = { env: { STDIOD_RETRY_MS: '100' } };
const OTHER = '  other: {listen: "127.0.0.1:0", exec: cat}\n';

function withOther(keys: string): string {
  return `services:\n  it: {${keys}}\n${OTHER}`;
}

/** It is there at once, and whole. */
function install(name: string, path: string): void {
  copyFileSync(findProgram(name), `${path}.new`);
  renameSync(`${path}.new`, path);
}

/** Somebody else has the port. */
async function occupy(port: number, host = '127.0.0.1'): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  atEnd(() => {
    server.close();
  });
  return server;
}

async function expectOtherServed(daemon: Daemon): Promise<void> {
  expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
}

/** `available`, then `listening`. */
async function untilAvailable(daemon: Daemon, service = 'it'): Promise<void> {
  await daemon.waitFor('available', { service });
  await daemon.waitFor('listening', { service });
  const names = daemon.events.filter((event) => 'service' in event && event.service === service);
  expect(names.slice(-2).map(({ event }) => event)).toEqual(['available', 'listening']);
}

describe('a service is served when there is', () => {
  test('its program', async () => {
    const program = join(makeFolder(), 'late');
    const daemon = await startDaemon(withOther(`listen: "127.0.0.1:0", exec: ${program}`), SOON);
    const reason = `${program} does not exist`;
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason, served: 'no' });
    await expectOtherServed(daemon);
    install('cat', program);
    await untilAvailable(daemon);
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    expect(daemon.all('unavailable')).toHaveLength(1);
  });

  test('its port, which another process had', async () => {
    const port = await findFreePorts(1);
    const server = await occupy(port);
    const daemon = await startDaemon(withOther(`listen: "127.0.0.1:${port}", exec: cat`), SOON);
    const reason = `listen 127.0.0.1:${port}: EADDRINUSE address already in use`;
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason, served: 'no' });
    await expectOtherServed(daemon);
    server.close();
    await untilAvailable(daemon);
    expect(await exchange(port, 'hello')).toBe('hello');
  });

  test('the folder of its Unix socket', async () => {
    const folder = join(makeFolder(), 'run');
    const daemon = await startDaemon(withOther(`listen: "unix:${folder}/it", exec: cat`), SOON);
    const reason = `listen unix:${folder}/it: ENOENT no such file or directory`;
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason });
    mkdirSync(folder);
    await untilAvailable(daemon);
    expect(await askUnix('stream', `${folder}/it`, 'hello')).toEqual(['hello']);
  });

  testAsRoot('its user', async () => {
    const accounts = join(makeFolder(), 'passwd');
    copyFileSync('/etc/passwd', accounts);
    const wrapper = ['unshare', '--mount', 'sh', '-c', `mount --bind ${accounts} /etc/passwd && exec "$0" "$@"`];
    const daemon = await startDaemon(withOther('listen: "127.0.0.1:0", exec: id -un, user: webapp'), {
      ...SOON,
      wrapper,
    });
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason: 'unknown user "webapp"' });
    await expectOtherServed(daemon);
    appendFileSync(accounts, 'webapp:x:61234:61234::/:/bin/sh\n');
    await untilAvailable(daemon);
    expect(await exchange(daemon.port('it'), '')).toBe('webapp\n');
  });

  testAsRoot('its address', async () => {
    const wrapper = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];
    const daemon = await startDaemon(withOther('listen: "192.0.2.7:7007", exec: cat'), { ...SOON, wrapper });
    const reason = 'listen 192.0.2.7:7007: EADDRNOTAVAIL address not available';
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason });
    const inside = ['--target', String(daemon.pid), '--net'];
    execFileSync('nsenter', [...inside, 'ip', 'addr', 'add', '192.0.2.7/32', 'dev', 'lo']);
    await untilAvailable(daemon);
    const ask = 'import socket; s = socket.create_connection(("192.0.2.7", 7007)); s.send(b"hello"); print(s.recv(9))';
    expect(execFileSync('nsenter', [...inside, 'python3', '-c', ask], { encoding: 'utf8' })).toBe("b'hello'\n");
  });

  test('an end of the child to which a stdiod before this one has lent its socket', async () => {
    const port = await findFreePorts(1);
    const keys = `listen: "127.0.0.1:${port}", exec: ${fixture('accepts.py')}, wait: true, pass_env: [PATH]`;
    const before = await startDaemon(withOther(keys));
    const client = await connectTo(port);
    client.send('hello\n');
    const { pid } = await before.waitFor('started');
    atEnd(() => {
      spawnSync('kill', ['-9', String(pid)]);
    });
    before.signal('SIGKILL');
    await before.ended();
    const daemon = await startDaemon(withOther(keys), SOON);
    await daemon.waitFor('unavailable', { service: 'it' });
    await expectOtherServed(daemon);
    process.kill(pid, 'SIGKILL');
    await untilAvailable(daemon);
    expect(listeners(daemon.pid).has(port)).toBe(true);
  });
});

describe('of several addresses', () => {
  test('those are served that can be had, and the others when they can', async () => {
    const first = await findFreePorts(4);
    const taken = [await occupy(first + 1), await occupy(first + 2)];
    const keys = `listen: "127.0.0.1:${first}-${first + 3}", exec: cat`;
    const daemon = await startDaemon(withOther(keys), SOON);
    const reason = `listen 127.0.0.1:${first + 1}: EADDRINUSE address already in use; and 1 more`;
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason, served: 'partly' });
    for (const port of [first, first + 3]) expect(await exchange(port, 'hello')).toBe('hello');
    for (const server of taken) server.close();
    await daemon.waitFor('available', { service: 'it' });
    await daemon.waitForCount('listening', 4, { service: 'it' });
    for (const port of [first + 1, first + 2]) expect(await exchange(port, 'hello')).toBe('hello');
    expect(await daemon.reload(withOther(keys))).toMatchObject({ kept: 2 });
    expect(daemon.all('listening')).toHaveLength(5);
  });

  test('it is told which one a client came to', async () => {
    const first = await findFreePorts(2);
    const yaml = `services:\n  it: {listen: "127.0.0.1:${first}-${first + 1}", exec: cat}\n  wide: {listen: 0, exec: cat}\n${OTHER}`;
    const daemon = await startDaemon(yaml.replace(':0"', `:${await findFreePorts(1)}"`));
    await exchange(first + 1, 'hello');
    await exchange(daemon.port('wide'), 'hello', '127.0.0.9');
    await expectOtherServed(daemon);
    const local = (service: string): unknown => daemon.all('accepted', { service })[0]?.local;
    expect([local('it'), local('wide'), local('other')]).toEqual([
      `127.0.0.1:${first + 1}`,
      `127.0.0.9:${daemon.port('wide')}`,
      undefined,
    ]);
  });
});

describe('a reload', () => {
  test('leaves a service as it was when its new version cannot be had, and takes that when it can', async () => {
    const program = join(makeFolder(), 'late');
    const port = await findFreePorts(2);
    const version = (keys: string): string => withOther(`${keys}, max_connections: 1`);
    const daemon = await startDaemon(version(`listen: "127.0.0.1:${port}", exec: cat`), SOON);
    const first = await connectTo(port);
    await first.ask('hello');
    const queued = await connectTo(port);
    const told = await daemon.reload(version(`listen: "127.0.0.1:${port + 1}", exec: ${program}`));
    expect(told).toMatchObject({ added: [], changed: [], removed: [], kept: 2, unavailable: 1 });
    expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', served: 'before' });
    first.end();
    expect(await queued.ask('still here')).toBe('still here');
    queued.end();
    install('tac', program);
    await untilAvailable(daemon);
    expect(await exchange(port + 1, 'a\nb\n')).toBe('b\na\n');
    await untilTrue('the old address is closed', () => !listeners(daemon.pid).has(port));
  });

  test('of a file whose text is wrong changes nothing, as ever', async () => {
    const daemon = await startDaemon(withOther('listen: "127.0.0.1:0", exec: no-such-program'));
    daemon.configure(withOther('listen: "127.0.0.1:0", comand: cat'));
    daemon.signal('SIGHUP');
    await daemon.waitFor('rejected');
    expect(daemon.all('unavailable')).toHaveLength(1);
  });

  test('is not made by an attempt: what was edited since waits for HUP', async () => {
    const program = join(makeFolder(), 'late');
    const yaml = withOther(`listen: "127.0.0.1:0", exec: ${program}`);
    const daemon = await startDaemon(yaml, SOON);
    daemon.configure(yaml.replace('other', 'another').replace(program, '/bin/cat'));
    install('tac', program);
    await untilAvailable(daemon);
    expect(await exchange(daemon.port('it'), 'a\nb\n')).toBe('b\na\n');
    await expectOtherServed(daemon);
    expect(daemon.all('listening', { service: 'another' })).toEqual([]);
  });

  test('may come while an attempt is under way, and again and again: what is there at the end is served', async () => {
    const program = join(makeFolder(), 'flaps');
    const yaml = withOther(`listen: "127.0.0.1:0", exec: ${program}`);
    const daemon = await startDaemon(yaml, { env: { STDIOD_RETRY_MS: '1' } });
    for (let round = 0; round < 10; round += 1) {
      if (round % 2 === 0) install('cat', program);
      else rmSync(program);
      await daemon.reload(yaml);
    }
    install('cat', program);
    await daemon.reload(yaml);
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    const told = daemon.events.filter(({ event }) => event === 'available' || event === 'unavailable');
    const twice = told.filter(({ event }, at) => event === told[at - 1]?.event);
    expect(twice).toEqual([]);
  });
});

describe('many services that are unavailable', () => {
  const COUNT = 1_000;

  test('are told once each, however often they are tried', async () => {
    const names = Array.from({ length: COUNT }, (_, index) => `s${index}`);
    const lines = names.map((name) => `  ${name}: {listen: "127.0.0.1:0", exec: /nowhere/${name}}\n`);
    const program = join(makeFolder(), 'late');
    const late = `  late: {listen: "127.0.0.1:0", exec: ${program}}\n`;
    const daemon = await startDaemon(`services:\n${OTHER}${late}${lines.join('')}`, SOON);
    expect(await daemon.waitFor('serving')).toMatchObject({ services: 1, unavailable: COUNT + 1 });
    install('cat', program);
    await untilAvailable(daemon, 'late');
    await expectOtherServed(daemon);
    expect(daemon.all('unavailable')).toHaveLength(COUNT + 1);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('an attempt that hangs', () => {
  testAsRoot('keeps nobody: not the others, not a reload, not a stop', async () => {
    const file = join(makeFolder(), 'hang');
    const env = { LD_PRELOAD: libraryFixture('slow-accounts.c'), SLOW_ACCOUNTS: file };
    const yaml = withOther('listen: "127.0.0.1:0", exec: /nowhere/it, user: daemon');
    const limits = { STDIOD_RELOAD_LIMIT_MS: '4000', STDIOD_RETRY_MS: '300' };
    const daemon = await startDaemon(yaml, { env: { ...env, ...limits } });
    writeFileSync(file, '');
    await untilTrue('an attempt asks', () => statSync(file).size > 0);
    expect(await daemon.waitFor('problem')).toMatchObject({ message: expect.stringContaining('given up') as string });
    await expectOtherServed(daemon);
    rmSync(file);
    expect(await daemon.reloadAtLast(yaml)).toMatchObject({ unavailable: 1 });
    writeFileSync(file, '');
    await untilTrue('another attempt asks', () => statSync(file).size > 0);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a start', () => {
  interface Outcome {
    readonly status: number | null;
    readonly events: readonly Record<string, unknown>[];
  }

  function run(yaml: string, ...words: string[]): Outcome {
    const file = join(makeFolder(), 'services.yaml');
    writeFileSync(file, yaml);
    const { status, stderr } = spawnSync(process.execPath, [main, 'run', '-c', file, ...words], { encoding: 'utf8' });
    const events = stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    return { status, events };
  }

  const names = ({ events }: Outcome): unknown[] => events.map(({ event }) => event);

  test('with nothing that can be served exits with 1, and says why in the form of the log', async () => {
    const port = await findFreePorts(1);
    await occupy(port);
    const yaml = `services:\n  a: {listen: "127.0.0.1:${port}", exec: cat}\n  b: {listen: 7, exec: no-such-program}\n`;
    const outcome = run(yaml);
    expect([outcome.status, names(outcome)]).toEqual([1, ['problem', 'failed', 'rejected']]);
    expect(outcome.events).toMatchObject([
      { path: 'services.b.exec', line: 3 },
      { verb: 'listen', address: `127.0.0.1:${port}`, service: 'a', action: 'nothing was started' },
      { problems: 2 },
    ]);
  });

  test('with a file that is wrong exits with 78, and every problem is an event', () => {
    const outcome = run('services:\n  a: {listen: 70000, exec: cat}\n');
    expect([outcome.status, names(outcome)]).toEqual([78, ['problem', 'rejected']]);
  });

  test('that is strict exits with 78 for want of a program, and with 1 for want of an address', async () => {
    expect(run(withOther('listen: "127.0.0.1:0", exec: no-such-program'), '--strict').status).toBe(78);
    const port = await findFreePorts(1);
    await occupy(port);
    const outcome = run(withOther(`listen: "127.0.0.1:${port}", exec: cat`), '--strict');
    expect([outcome.status, names(outcome)]).toEqual([1, ['failed', 'rejected']]);
  });

  test('says as text what is wrong where the log is text', () => {
    const file = join(makeFolder(), 'services.yaml');
    writeFileSync(file, 'log: {format: text}\nservices:\n  a: {listen: 70000, exec: cat}\n');
    const { status, stderr } = spawnSync(process.execPath, [main, 'run', '-c', file], { encoding: 'utf8' });
    expect(status).toBe(78);
    expect(stderr).toMatch(/\n +\^\n[^]*1 problem, nothing was started\n$/);
  });

  test('tells when all is up: which stdiod, of which file, and how much of it', async () => {
    const daemon = await startDaemon(withOther('listen: ["127.0.0.1:0", "127.0.0.2:0"], exec: cat'));
    const { version } = JSON.parse(readFileSync(join(main, '../../../package.json'), 'utf8')) as { version: string };
    const serving = await daemon.waitFor('serving');
    const { pid, folder } = daemon;
    const file = join(folder, 'services.yaml');
    expect(serving).toEqual({
      ...{ event: 'serving', time: serving.time, version, pid, file },
      ...{ services: 2, listeners: 3 },
    });
    expect(daemon.events.map(({ event }) => event)).toEqual(['listening', 'listening', 'listening', 'serving']);
  });

  test('with everything disabled says so, and so does a reload', async () => {
    const off = 'services: {a: {enabled: false, listen: 7, exec: cat}, b: {enabled: false, listen: 8, exec: cat}}\n';
    const daemon = launchDaemon(off);
    expect(await daemon.waitFor('idle')).toMatchObject({ disabled: 2 });
    await daemon.reload(`services:\n${OTHER}`);
    await daemon.reload(off);
    await daemon.waitForCount('idle', 2);
    expect(await daemon.stop()).toBe(0);
  });
});
