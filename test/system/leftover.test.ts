/**
 * Processes that outlive their program where that ends by itself, of services that say what is to become of them.
 */
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { findProgram, OTHER_ID, testAsRoot } from './machine';
import { childrenOf, isRunning } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const ORPHAN = fixture('leaves-orphan.sh');
const FORKS = fixture('forks-twice.py');

function serve(exec: string, more: string): Promise<Daemon> {
  const it = `it: {listen: "127.0.0.1:0", exec: ${exec}, ${more}}`;
  return startDaemon(`defaults: {stop_grace: 100ms}\nservices: {${it}, cat: {listen: "127.0.0.1:0", exec: cat}}\n`);
}

async function expectGone(pid: number): Promise<void> {
  await untilTrue(`${pid} is gone`, () => !isRunning(pid));
}

describe('with leftover: kill what a program leaves behind', () => {
  test('is ended, and its client sees the end, while the slot is another one’s already', async () => {
    const daemon = await serve(ORPHAN, 'leftover: kill, max_connections: 1');
    const [first, second] = [await connectTo(daemon.port('it')), await connectTo(daemon.port('it'))];
    const pids = [Number(await first.line()), Number(await second.line())];
    expect([await first.rest(), await second.rest()]).toEqual(['', '']);
    await Promise.all(pids.map(expectGone));
    const [reaped] = await daemon.waitForCount('reaped', 2);
    expect(reaped).toMatchObject({ exit: 0, children: 0 });
    expect(reaped?.reason).toBeUndefined();
    expect(await daemon.waitForCount('leftover', 2)).toMatchObject([
      { service: 'it', connection: 'c1', pid: reaped?.pid, left: 1, signal: 'SIGTERM' },
      { service: 'it', connection: 'c2', left: 1, signal: 'SIGTERM' },
    ]);
    await untilTrue('both are collected', () => !pids.some((pid) => childrenOf(daemon.pid).includes(pid)));
    expect(daemon.all('reaped')).toHaveLength(2);
  });

  test.each(['', ' stubborn', ' stubborn stopped'])(
    'gets SIGKILL after the grace when it does not leave at SIGTERM, whatever it has left (%s)',
    async (words) => {
      const daemon = await serve(`"${FORKS} leaves${words}"`, 'leftover: kill');
      const pid = Number(await exchange(daemon.port('it'), ''));
      expect(await daemon.waitFor('leftover')).toMatchObject({ left: 1, signal: 'SIGTERM' });
      await expectGone(pid);
    },
  );

  test('is asked to leave by the signal of its service', async () => {
    const daemon = await serve(ORPHAN, 'leftover: kill, stop_signal: INT');
    const client = await connectTo(daemon.port('it'));
    const pid = Number(await client.line());
    expect(await daemon.waitFor('leftover')).toMatchObject({ signal: 'SIGINT' });
    await expectGone(pid);
  });

  test('is told as the end of its session alone where that was ended by force', async () => {
    const daemon = await serve(`"${FORKS} stubborn"`, 'leftover: kill, session_timeout: 3s');
    const client = await connectTo(daemon.port('it'));
    const pid = Number(await client.line());
    expect(await daemon.waitFor('reaped')).toMatchObject({ reason: 'session-timeout' });
    await expectGone(pid);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('leftover')).toEqual([]);
  });
});

describe('what the commands before a program leave behind where their client gets none', () => {
  const ways: readonly [string, string, string][] = [
    ['it is refused', '[sh, -c, exit 3]', 'cat'],
    ['a later command cannot be started', 'GONE', 'cat'],
    ['the program cannot be started', '"true"', 'GONE'],
  ];

  /** The first command leaves somebody, who says its number. */
  async function meet(second: string, program: string, leftover: string): Promise<{ daemon: Daemon; pid: number }> {
    const gone = join(makeFolder(), 'gone');
    copyFileSync(findProgram('true'), gone);
    const [last, exec] = [second, program].map((word) => word.replace('GONE', gone));
    const leave = `[sh, -c, 'setsid sleep 600 >/dev/null 2>&1 & echo $!']`;
    const daemon = await serve(`${exec}`, `before: [${leave}, ${last}], stderr: log, leftover: ${leftover}`);
    rmSync(gone);
    expect(await exchange(daemon.port('it'), '')).toBe('');
    const { line } = await daemon.waitFor('said');
    return { daemon, pid: Number(line) };
  }

  test.each(ways)('is told and ended with leftover: kill when %s', async (_, second, program) => {
    const { daemon, pid } = await meet(second, program, 'kill');
    expect(await daemon.waitFor('leftover')).toMatchObject({ connection: 'c1', left: 1, signal: 'SIGTERM' });
    await expectGone(pid);
  });

  test('is told with leftover: keep', async () => {
    const { daemon, pid } = await meet('[sh, -c, exit 3]', 'cat', 'keep');
    expect((await daemon.waitFor('leftover')).signal).toBeUndefined();
    expect(isRunning(pid)).toBe(true);
  });
});

describe('with leftover: keep what a program leaves behind', () => {
  test('is told and stays until stdiod stops; nobody who leaves nobody is told', async () => {
    const daemon = await serve(`[sh, -c, 'read word; test "$word" = alone || exec ${ORPHAN}']`, 'leftover: keep');
    expect(await exchange(daemon.port('it'), 'alone\n')).toBe('');
    const client = await connectTo(daemon.port('it'));
    client.socket.write('not alone\n');
    const pid = Number(await client.line());
    const told = await daemon.waitFor('leftover');
    expect(told).toMatchObject({ service: 'it', connection: 'c2', left: 1 });
    expect([told.signal, daemon.all('reaped').length, isRunning(pid)]).toEqual([undefined, 2, true]);
    expect(await daemon.stop()).toBe(0);
    await expectGone(pid);
    expect(daemon.all('leftover')).toHaveLength(1);
  });
});

describe('whoever says in its environment to be of a session', () => {
  const leave = (environment: string): string => `${environment} setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!`;

  /** Services of two users: what the first leaves behind takes itself for the second's next connection. JSON is YAML. */
  async function forge(victim: object): Promise<{ daemon: Daemon; forged: number; own: number }> {
    const common = { listen: '127.0.0.1:0', stop_grace: '100ms' };
    const exec = ['sh', '-c', leave('STDIOD_SERVICE=victim STDIOD_CONNECTION=c2')];
    const forger = { ...common, user: OTHER_ID, group: OTHER_ID, exec };
    const services = { forger, victim: { ...common, leftover: 'kill', ...victim } };
    const daemon = await startDaemon(`services: ${JSON.stringify(services)}\n`);
    const forged = Number(await exchange(daemon.port('forger'), ''));
    await untilTrue('it says so', () => readFileSync(`/proc/${forged}/cmdline`, 'latin1').startsWith('sleep'));
    return { daemon, forged, own: Number(await exchange(daemon.port('victim'), '')) };
  }

  testAsRoot('is not taken for it when another user’s, told neither nor ended (needs root)', async () => {
    const { daemon, forged, own } = await forge({ exec: ['sh', '-c', leave('')] });
    expect(await daemon.waitFor('leftover')).toMatchObject({ service: 'victim', connection: 'c2', left: 1 });
    await expectGone(own);
    expect(isRunning(forged)).toBe(true);
    expect(await daemon.stop()).toBe(0);
    await expectGone(forged);
  });

  testAsRoot('is, whoever it became, when its program was root (needs root)', async () => {
    const become = `import os; os.setsid(); os.setuid(${OTHER_ID + 1}); os.execlp("sleep", "sleep", "600")`;
    const exec = [
      'sh',
      '-c',
      `python3 -c '${become}' </dev/null >/dev/null 2>&1 & echo $!; while ! grep -q sleep /proc/$!/comm; do :; done`,
    ];
    const { daemon, own } = await forge({ user: 'root', exec });
    expect(await daemon.waitFor('leftover')).toMatchObject({ service: 'victim', connection: 'c2' });
    await expectGone(own);
  });
});

test('a service that says nothing of it is told nothing, and what it leaves behind stays', async () => {
  const daemon = await serve(ORPHAN, 'description: as inetd has it');
  const client = await connectTo(daemon.port('it'));
  const pid = Number(await client.line());
  await daemon.waitFor('reaped');
  expect(await exchange(daemon.port('cat'), 'hello')).toBe('hello');
  expect(isRunning(pid)).toBe(true);
  expect(await daemon.stop()).toBe(0);
  expect(daemon.all('leftover')).toEqual([]);
});
