/**
 * Who is there, and signals for who is not a child of ours.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { addon, PROCESS_FIELDS } from '../../src/native/addon';
import type { ProcessFacts } from '../../src/child/census';
import { until, untilTrue } from '../system/until';

const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

function start(env: Record<string, string> = {}): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['600'], { env: { PATH: process.env['PATH'] ?? '', ...env } });
  started.push(child);
  if (child.pid === undefined) throw new Error('sleep did not start');
  return Object.assign(child, { pid: child.pid });
}

/** A child of a child, which ends with our end of its input. */
async function startFar(): Promise<number> {
  const child = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; wait'], { stdio: ['pipe', 'pipe', 'ignore'] });
  started.push(child);
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(text);
}

async function list(): Promise<ProcessFacts[]> {
  expect(addon.beginCensus()).toBe(true);
  const { records } = await until('all are listed', () => addon.takeCensus() ?? undefined);
  const found: ProcessFacts[] = [];
  for (let at = 0; at < records.length; at += PROCESS_FIELDS) {
    const [pid = 0, parent = 0, group = 0, begun = 0] = records.subarray(at, at + PROCESS_FIELDS);
    found.push({ pid, parent, group, start: begun });
  }
  return found;
}

async function find(pid: number): Promise<ProcessFacts> {
  const found = (await list()).find((each) => each.pid === pid);
  if (found === undefined) throw new Error(`${pid} is not there`);
  return found;
}

function kill(...processes: Pick<ProcessFacts, 'pid' | 'start'>[]): void {
  const known = processes.flatMap(({ pid, start: begun }) => [pid, begun]);
  expect(addon.signalProcesses(Float64Array.from(known), constants.signals.SIGKILL)).toBe(true);
}

async function namesOf(...pids: number[]): Promise<string[]> {
  addon.askNames(Int32Array.from(pids));
  return until('all are asked', () => {
    const names = addon.namesSoFar();
    return names.length === pids.length ? names : undefined;
  });
}

test('all processes are listed, each once', async () => {
  const { pid } = start();
  const pids = (await list()).map((each) => each.pid);
  expect(pids).toEqual(expect.arrayContaining([process.pid, pid]));
  expect(new Set(pids).size).toBe(pids.length);
  expect(await find(pid)).toMatchObject({ parent: process.pid });
});

test('there is one list at a time, and each is told once', async () => {
  // The first may have come to its end before the second is asked for, but not each of a thousand.
  const begun = Array.from({ length: 1000 }, () => addon.beginCensus());
  expect([begun[0], begun.includes(false)]).toEqual([true, true]);
  await until('all are listed', () => addon.takeCensus() ?? undefined);
  expect(addon.takeCensus()).toBeNull();
  expect((await list()).length).toBeGreaterThan(0);
});

test('a signal reaches the process that is meant', async () => {
  const child = start();
  kill(await find(child.pid));
  await untilTrue('it has ended', () => child.signalCode === 'SIGKILL');
});

test('a signal does not reach another one that has its number, and one that has another parent by now', async () => {
  const [{ pid }, far] = [start(), await startFar()];
  const [facts, others] = [await find(pid), await find(far)];
  kill({ ...facts, start: facts.start - 1 }, { ...facts, start: facts.start + 1 }, { pid: 2 ** 22 + 1, start: 0 });
  // Signals are sent before the next list begins.
  expect([await find(pid), await find(far)]).toEqual([facts, others]);
  kill(others);
  await untilTrue('it has ended', async () => (await list()).every((each) => each.pid !== far));
});

test('whose a process is stands in its environment, and as who it says that is known', async () => {
  const named = start({ A: '1', STDIOD_SERVICE: 'web', XSTDIOD_CONNECTION: 'c2', STDIOD_CONNECTION: 'c1' });
  const half = start({ STDIOD_SERVICE: 'web' });
  const nobody = start({ NOT_STDIOD_SERVICE: 'web', STDIOD_CONNECTIONS: 'c1' });
  await untilTrue('they are what they were started for', async () => (await namesOf(named.pid))[0] !== '');
  expect(await namesOf(named.pid, half.pid, nobody.pid, 2 ** 22 + 1)).toEqual([
    `web\0c1\0${process.geteuid?.()}`,
    '',
    '',
    '',
  ]);
});
