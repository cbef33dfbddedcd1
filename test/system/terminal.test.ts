/**
 * stdiod on a terminal: what its keys do, and what becomes of it when the terminal goes away.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange, type Client } from './client';
import { launchDaemon, startDaemon, startWords, type Daemon } from './daemon';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { Keyboard } from './keyboard';
import { isRunning, listeners } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const ECHO = 'services: {echo: {listen: "127.0.0.1:0", exec: cat, stop_grace: 60s}}\n';
const QUICK = 'services: {echo: {listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}}\n';
const CTRL_C = '\u0003';
const CTRL_BACKSLASH = '\u001c';

function portOf(daemon: Daemon): number {
  const [port] = listeners(daemon.pid).keys();
  if (port === undefined) throw new Error(`nothing listens: ${daemon.stderr}`);
  return port;
}

/** A client that is being served. */
async function visit(daemon: Daemon): Promise<Client> {
  const client = await connectTo(portOf(daemon));
  expect(await client.ask('hello')).toBe('hello');
  return client;
}

describe('a terminal that goes away', () => {
  test.each([
    ['run', (options: Keyboard['options']): Promise<Daemon> => startDaemon(QUICK, options)],
    [
      'try',
      (options: Keyboard['options']): Promise<Daemon> => startWords(['try', '127.0.0.1:0', '--', 'cat'], options),
    ],
  ])('ends a %s that was started on it', async (_, start) => {
    const keyboard = new Keyboard();
    const daemon = await start(keyboard.options);
    expect(await exchange(portOf(daemon), 'hello')).toBe('hello');
    keyboard.leave();
    await untilTrue('stdiod has ended', () => daemon.isEnded);
    expect(daemon.process.exitCode).toBe(0);
  });

  test('ends its children after their grace', async () => {
    const keyboard = new Keyboard();
    const daemon = await startDaemon(QUICK, keyboard.options);
    await visit(daemon);
    const pid = Number(/ pid=(\d+)/.exec(daemon.stderr)?.[1]);
    keyboard.leave();
    await untilTrue('stdiod has ended', () => daemon.isEnded);
    expect([daemon.process.exitCode, isRunning(pid)]).toEqual([0, false]);
  });

  test('ends a run in the foreground whose events go to a file', async () => {
    const log = join(makeFolder(), 'log');
    const keyboard = new Keyboard(0, ['sh', '-c', `exec "$@" 2>${log}`, 'sh']);
    const daemon = await startUnheard(keyboard, log);
    keyboard.leave();
    await untilTrue('stdiod has ended', () => daemon.isEnded);
    expect(readFileSync(log, 'utf8')).toMatch(/"stopping".*"SIGHUP"/);
  });

  test('means a reload to a run that has nothing of it but its session, as under nohup', async () => {
    const log = join(makeFolder(), 'log');
    // The shell would hold the terminal as well.
    const redirected = `exec "$@" </dev/null >/dev/null 2>${log} 9>/dev/tty`;
    const keyboard = new Keyboard(0, ['sh', '-c', redirected, 'sh']);
    const daemon = await startUnheard(keyboard, log);
    keyboard.leave();
    await untilTrue('the file is read again', () => readFileSync(log, 'utf8').includes('"reloaded"'));
    expect(await exchange(portOf(daemon), 'hello')).toBe('hello');
    daemon.signal('SIGHUP');
    await untilTrue('and again', () => readFileSync(log, 'utf8').split('"reloaded"').length === 3);
    expect(await daemon.stop()).toBe(0);
  });

  async function startUnheard(keyboard: Keyboard, log: string): Promise<Daemon> {
    const daemon = launchDaemon(ECHO, keyboard.options);
    await untilTrue('stdiod listens', () => existsSync(log) && readFileSync(log, 'utf8').includes('"listening"'));
    return daemon;
  }
});

test('HUP means a reload for as long as the terminal is there', async () => {
  const daemon = await startDaemon(ECHO, new Keyboard().options);
  daemon.signal('SIGHUP');
  await daemon.untilText(/reloaded/);
  expect(await exchange(portOf(daemon), 'hello')).toBe('hello');
  expect(await daemon.stop()).toBe(0);
});

describe('Ctrl-\\', () => {
  test('ends stdiod and every child at once', async () => {
    const keyboard = new Keyboard();
    const daemon = await startDaemon(ECHO, keyboard.options);
    await visit(daemon);
    const pid = Number(/ pid=(\d+)/.exec(daemon.stderr)?.[1]);
    keyboard.type(CTRL_BACKSLASH);
    expect(await daemon.ended()).toBe(0);
    expect(isRunning(pid)).toBe(false);
    expect(daemon.stderr).toMatch(/stopping +signal=SIGQUIT children=1\n.* terminating signal=SIGKILL children=1\n/);
  });
});

describe('Ctrl-C', () => {
  test('says how many children are left and what a second one does, which it then does', async () => {
    const keyboard = new Keyboard();
    const daemon = await startDaemon(ECHO, keyboard.options);
    await visit(daemon);
    await visit(daemon);
    keyboard.type(CTRL_C);
    await daemon.untilText(
      / stopping +signal=SIGINT children=2\n +2 children are left; Ctrl-C once more ends them now\n/,
    );
    expect(daemon.isEnded).toBe(false);
    keyboard.type(CTRL_C);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.stderr).toMatch(/terminating signal=SIGKILL children=2\n/);
  });

  test('threatens nobody where nobody is', async () => {
    const keyboard = new Keyboard();
    const daemon = await startDaemon(ECHO, keyboard.options);
    keyboard.type(CTRL_C);
    expect(await daemon.ended()).toBe(0);
    expect(daemon.stderr).not.toMatch(/left|terminating/);
  });
});

test('the width of the terminal is that of the lines', async () => {
  const daemon = await startDaemon(ECHO, new Keyboard(70).options);
  await visit(daemon);
  await daemon.untilText(/accepted.*\n/);
  expect(Math.max(...daemon.stderr.split('\n').map((line) => line.length))).toBeLessThanOrEqual(70);
});
