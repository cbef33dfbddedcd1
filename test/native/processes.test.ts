/**
 * Who is there, and signals for who is not a child of ours.
 */
import { spawn, type ChildProcess } from 'node:child_process';
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

function list(capacity = 8): ProcessFacts[] {
  const records = new Float64Array(capacity * PROCESS_FIELDS);
  const found: ProcessFacts[] = [];
  expect(addon.beginProcesses()).toBe(true);
  for (let count = addon.nextProcesses(records); count > 0; count = addon.nextProcesses(records)) {
    for (let at = 0; at < count * PROCESS_FIELDS; at += PROCESS_FIELDS) {
      const [pid = 0, parent = 0, group = 0, begun = 0] = records.subarray(at, at + PROCESS_FIELDS);
      found.push({ pid, parent, group, start: begun });
    }
  }
  return found;
}

function find(pid: number): ProcessFacts {
  const found = list().find((each) => each.pid === pid);
  if (found === undefined) throw new Error(`${pid} is not there`);
  return found;
}

function kill({ pid, parent, start: begun }: ProcessFacts): boolean {
  return addon.signalProcess(pid, parent, begun, constants.signals.SIGKILL);
}

async function namesOf(...pids: number[]): Promise<string[]> {
  addon.askNames(Int32Array.from(pids));
  return until('all are asked', () => {
    const names = addon.namesSoFar();
    return names.length === pids.length ? names : undefined;
  });
}

test('all processes are listed, each once, in as many parts as it takes', () => {
  const { pid } = start();
  const pids = list(1).map((each) => each.pid);
  expect(pids).toEqual(expect.arrayContaining([process.pid, pid]));
  expect(new Set(pids).size).toBe(pids.length);
  expect(find(pid)).toMatchObject({ parent: process.pid });
});

test('a signal reaches the process that is meant', async () => {
  const child = start();
  expect(kill(find(child.pid))).toBe(true);
  await untilTrue('it has ended', () => child.signalCode === 'SIGKILL');
});

test('a signal does not reach another one that has its number, or one with another parent', () => {
  const { pid } = start();
  const facts = find(pid);
  expect(kill({ ...facts, start: facts.start - 1 })).toBe(false);
  const init = find(1);
  expect(addon.signalProcess(1, 4711, init.start, 0)).toBe(false);
  expect(addon.signalProcess(2 ** 22 + 1, process.pid, 0, 0)).toBe(false);
  expect(find(pid)).toEqual(facts);
});

test('whose a process is stands in its environment', async () => {
  const named = start({ A: '1', STDIOD_SERVICE: 'web', XSTDIOD_CONNECTION: 'c2', STDIOD_CONNECTION: 'c1' });
  const half = start({ STDIOD_SERVICE: 'web' });
  const nobody = start({ NOT_STDIOD_SERVICE: 'web', STDIOD_CONNECTIONS: 'c1' });
  await untilTrue('they are what they were started for', async () => (await namesOf(named.pid))[0] !== '');
  expect(await namesOf(named.pid, half.pid, nobody.pid, 2 ** 22 + 1)).toEqual(['web\0c1', '', '', '']);
});
