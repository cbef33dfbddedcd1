/**
 * With a session end all its processes, and nobody else. The sessions of this file begin together and are over together, so that
 * each may last as long as its programs need to say that they are there on a machine that is busy with others.
 */
import { readdirSync } from 'node:fs';
import { connectTo, type Client } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { fixture } from './fixtures';
import { childrenOf, isRunning, stat } from './proc';
import { untilTrue } from './until';

afterAll(endAll);

const LEAVERS = ['', 'stubborn', 'stopped', 'stubborn stopped'];
const WAITERS = ['waits', 'waits naked', 'waits stubborn naked'];
/** Their first thread ends. */
const HEADLESS = ['headless', 'headless waits'];
/** Their sessions have no end of their own. */
const OTHERS = ['other', 'other forged'];
const ENDS = 'session_timeout: 12s';

let daemon: Daemon;
/** Of a program that ignores SIGTERM. */
let deaf: Promise<Client>;
/** By their words, what the first line of each says: the process that has left its session. */
const left = new Map<string, Promise<number>>();

beforeAll(async () => {
  const sleepers = [...LEAVERS, ...WAITERS, ...OTHERS];
  const services = sleepers.map((words) => {
    const ending = OTHERS.includes(words) ? '' : ENDS;
    return `  ${nameOf(words)}: {listen: "127.0.0.1:0", exec: "${fixture('forks-twice.py')} ${words}", ${ending}}\n`;
  });
  for (const words of HEADLESS) {
    const exec = `${fixture('leaves-thread.c')}${words.replace('headless', '')}`;
    services.push(`  ${nameOf(words)}: {listen: "127.0.0.1:0", exec: "${exec}", ${ENDS}}\n`);
  }
  services.push(`  deaf: {listen: "127.0.0.1:0", exec: ${fixture('ignores-sigterm.sh')}, ${ENDS}}\n`);
  daemon = await startDaemon(`defaults: {stop_grace: 100ms}\nservices:\n${services.join('')}`);
  deaf = connectTo(daemon.port('deaf'));
  for (const words of [...sleepers, ...HEADLESS]) left.set(words, leave(words));
  // One that fails is told by the test that asks for it.
  for (const started of [deaf, ...left.values()]) started.catch(() => undefined);
});

function nameOf(words: string): string {
  return `it ${words}`.trim().replaceAll(' ', '-');
}

/** @returns the process that has left its session, which is there */
async function leave(words: string): Promise<number> {
  const client = await connectTo(daemon.port(nameOf(words)));
  const pid = Number(await client.line());
  expect(isRunning(pid) || threadsOf(pid) > 1).toBe(true);
  return pid;
}

function threadsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

async function leftBy(words: string): Promise<number> {
  return (await left.get(words)) ?? 0;
}

/** When the session is over. */
async function lastOf(words: string): Promise<number> {
  const pid = await leftBy(words);
  await daemon.waitFor('reaped', { service: nameOf(words), reason: 'session-timeout' });
  return pid;
}

async function expectGone(pid: number): Promise<void> {
  await untilTrue(`${pid} is gone`, () => !isRunning(pid));
}

describe('with a session ends', () => {
  test('its program, with SIGKILL where it does not leave at SIGTERM', async () => {
    const client = await deaf;
    expect(await client.line()).toBe('ready');
    const { pid } = await daemon.waitFor('accepted', { service: 'deaf' });
    await client.rest();
    expect(await daemon.waitFor('reaped', { pid })).toMatchObject({ signal: 'SIGKILL', reason: 'session-timeout' });
    expect(isRunning(pid)).toBe(false);
  });

  test.each(LEAVERS)('a process that has left its family (%s)', async (words) => {
    const pid = await leftBy(words);
    await untilTrue('it has lost its parent', () => childrenOf(daemon.pid).includes(pid) || !isRunning(pid));
    await expectGone(await lastOf(words));
    await untilTrue('it is collected', () => !childrenOf(daemon.pid).includes(pid));
    expect(daemon.all('reaped', { service: nameOf(words) })).toHaveLength(1);
  });

  test.each(WAITERS)('one in another process group, whatever its environment (%s)', async (words) => {
    await expectGone(await lastOf(words));
  });

  test.each(HEADLESS)('one whose first thread has ended (%s)', async (words) => {
    const pid = await leftBy(words);
    await untilTrue('its first thread has ended', () => threadsOf(pid) < 2 || stat(pid).state === 'Z');
    await lastOf(words);
    await untilTrue('it is gone', () => threadsOf(pid) < 2);
  });

  test('nobody of another session, and nobody who only says so', async () => {
    await Promise.all([...LEAVERS, ...WAITERS, ...HEADLESS].map(lastOf));
    const pids = await Promise.all(OTHERS.map(leftBy));
    expect(pids.map(isRunning)).toEqual([true, true]);
    expect(daemon.all('reaped')).toHaveLength(1 + LEAVERS.length + WAITERS.length + HEADLESS.length);
    await daemon.stop();
    await Promise.all(pids.map(expectGone));
  });
});
