/**
 * The lock of the folder of all processes, which any user of the machine can hold for as long as they like.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connectTo, exchange } from './client';
import { startDaemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture } from './fixtures';
import { isRoot } from './machine';
import { isRunning } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

/** Only with the right to keep the kernel waiting for a page (userfaultfd(2)); a user has it with a FUSE server of their own. */
const mayHold = isRoot && spawnSync(fixture('holds-proc.c'), ['try']).status === 0;
const testHolding = mayHold ? test : test.skip;

/** @returns lets go, and tells whether it was held until then (`told`), or let go before (`late`). Nobody may look at /proc meanwhile. */
async function holdProc(): Promise<() => Promise<string>> {
  const holder = spawn(fixture('holds-proc.c'), { stdio: ['pipe', 'pipe', 'inherit'] });
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
  const letGo = await holdProc();
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
  const letGo = await holdProc();
  daemon.signal('SIGTERM');
  await daemon.waitFor('terminating', { signal: 'SIGTERM', children: 1 });
  expect(await letGo()).toBe('told');
  expect(await daemon.ended()).toBe(0);
  await untilTrue('it is gone', () => !isRunning(pid));
});
