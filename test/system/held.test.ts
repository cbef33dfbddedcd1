/**
 * The lock of a folder, which whoever may list it can hold for as long as they like: of that of all processes, and of one with Unix
 * sockets in it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectTo, exchange } from './client';
import { startDaemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { asOther, isRoot } from './machine';
import { isRunning, threads } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

/** Only with the right to keep the kernel waiting for a page (userfaultfd(2)); a user has it with a FUSE server of their own. */
const mayHold = isRoot && spawnSync(fixture('holds-folder.c')).status === 0;
const testHolding = mayHold ? test : test.skip;

/** The whole machine waits for that of processes, and nobody else for that of a test. */
const SHORT_MS = 2000;
const LONG_MS = 60_000;

/** @returns lets go, and tells whether it was held until then (`told`), or let go before (`late`). Nobody may look at it meanwhile. */
async function hold(folder: string, milliseconds: number, ...words: string[]): Promise<() => Promise<string>> {
  const holder = spawn(fixture('holds-folder.c'), [folder, String(milliseconds), ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  atEnd(() => {
    holder.kill('SIGKILL');
  });
  const exit = once(holder, 'exit');
  const lines = createInterface(holder.stdout)[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('held');
  return async () => {
    holder.stdin.end('.');
    const { value } = await lines.next();
    await exit;
    return String(value);
  };
}

testHolding('who holds the list of processes holds up nobody: a child gets its score later', async () => {
  const daemon = await startDaemon(`
services:
  scored: {listen: "127.0.0.1:0", exec: cat, oom_score_adjust: 555}
  other: {listen: "127.0.0.1:0", exec: cat}
`);
  expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  const letGo = await hold('/proc', SHORT_MS, 'all');
  const client = await connectTo(daemon.port('scored'));
  expect(await client.ask('hello')).toBe('hello');
  expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  expect(await letGo()).toBe('told');
  const { pid } = await daemon.waitFor('accepted', { service: 'scored' });
  await untilTrue('it has its score', () => readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1').trim() === '555');
});

testHolding('who holds the list of processes holds up no end of a session: who has left it ends later', async () => {
  const exec = `"${fixture('forks-twice.py')} stubborn"`;
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: ${exec}, stop_grace: 100ms}}\n`);
  const client = await connectTo(daemon.port());
  const pid = Number(await client.line());
  const letGo = await hold('/proc', SHORT_MS, 'all');
  daemon.signal('SIGTERM');
  await daemon.waitFor('terminating', { signal: 'SIGTERM', children: 1 });
  expect(await letGo()).toBe('told');
  expect(await daemon.ended()).toBe(0);
  await untilTrue('it is gone', () => !isRunning(pid));
});

testHolding(
  'who holds up one sandbox holds up others of its kind no longer: one thread waits for all of them',
  async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const other = 'services:\n  other: {listen: "127.0.0.1:0", exec: cat}\n';
    const walled = names.map((name) => `  ${name}: {listen: "127.0.0.1:0", exec: cat, private_processes: true}\n`);
    const daemon = await startDaemon(other);
    await daemon.reload(other);
    const before = threads(daemon.pid).length;
    const letGo = await hold('/proc', SHORT_MS);
    await daemon.reload(other + walled.join(''));
    await daemon.waitForCount('unavailable', names.length);
    expect(threads(daemon.pid).length - before).toBeLessThan(names.length / 2);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    expect(await letGo()).toBe('told');
    await daemon.waitForCount('available', names.length);
  },
);

/** Who has no right to mount gets them in a folder below one that others may list. */
testHolding(
  'who holds the folder of credentials holds up nobody: their service is served as soon as they let go',
  async () => {
    const shared = mkdtempSync('/dev/shm/stdiod-test-');
    atEnd(() => {
      rmSync(shared, { recursive: true, force: true });
    });
    chmodSync(shared, 0o1777);
    const secret = join(makeFolder(), 'token');
    writeFileSync(secret, 'secret', { mode: 0o644 });
    const yaml = (more: string): string => `services:\n  other: {listen: "127.0.0.1:0", exec: cat}\n${more}`;
    const options = { wrapper: asOther, env: { RUNTIME_DIRECTORY: shared } };
    const daemon = await startDaemon(yaml(''), options);
    const letGo = await hold(shared, LONG_MS);
    const exec = `[sh, -c, 'cat $CREDENTIALS_DIRECTORY/token']`;
    await daemon.reload(yaml(`  it: {listen: "127.0.0.1:0", exec: ${exec}, credentials: {token: ${secret}}}\n`));
    await daemon.waitFor('unavailable', { service: 'it' });
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    expect(await letGo()).toBe('told');
    await daemon.waitFor('available', { service: 'it' });
    expect(await exchange(daemon.port('it'), '')).toBe('secret');
  },
);

describe('who holds the folder of a Unix socket', () => {
  function configuration(folder: string, name: string): string {
    const service = `${name}: {listen: "unix:${join(folder, name)}", exec: cat}`;
    return `services:\n  other: {listen: "127.0.0.1:0", exec: cat}\n  ${service}\n`;
  }

  testHolding('holds up nobody at a reload: its service is served as soon as they let go', async () => {
    const folder = makeFolder();
    const daemon = await startDaemon(configuration(folder, 'before'));
    const letGo = await hold(folder, LONG_MS);
    await daemon.reload(configuration(folder, 'after'));
    const { reason } = await daemon.waitFor('unavailable', { service: 'after' });
    expect(reason).toContain('whoever may list its folder can hold it up');
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    expect(await letGo()).toBe('told');
    await daemon.waitFor('available', { service: 'after' });
    await untilTrue('the path that is not wanted any more is gone', () => readdirSync(folder).join() === 'after');
  });

  testHolding('does not keep stdiod from its end', async () => {
    const folder = makeFolder();
    const daemon = await startDaemon(configuration(folder, 'before'));
    const letGo = await hold(folder, LONG_MS);
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopped');
    expect(await letGo()).toBe('told');
    expect(await daemon.ended()).toBe(0);
  });
});
