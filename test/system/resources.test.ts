/**
 * What a program may use, and its place beside others: /proc tells what it got.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connectTo, exchange } from './client';
import { startDaemon, type DaemonOptions } from './daemon';
import { endAll } from './endings';
import { isRoot, testAsRoot } from './machine';
import { limits, status, strings } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

async function startChild(keys: string, options: DaemonOptions = {}): Promise<number> {
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: cat, ${keys}}}\n`, options);
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
  return (await daemon.waitFor('accepted', { peer: client.address })).pid;
}

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

/** Somebody who has no other process: the limit on processes counts all of the same user, whoever has started them. */
const ALONE = isRoot ? `user: ${1_000_000 + process.pid}, group: ${1_000_000 + process.pid},` : '';

describe.each(WAYS)('%s', (_, options) => {
  test('has every limit that the file says, soft and hard', async () => {
    const written = {
      open_files: '64:128',
      processes: 500,
      address_space: '512M',
      cpu_time: '30s:1m',
      file_size: '1M',
      core_size: 0,
      stack: '1M:2M',
      data: '256M',
      memlock: '64K',
      locks: 7,
      pending_signals: 9,
      message_queues: 4096,
      nice: 0,
      realtime_priority: 0,
      realtime_time: '200ms',
      resident_set: '1G',
    };
    const pid = await startChild(`${ALONE} rlimits: ${JSON.stringify(written)}`, options);
    expect(Object.fromEntries(limits(pid))).toEqual({
      'Max open files': '64 128 files',
      'Max processes': '500 500 processes',
      'Max address space': '536870912 536870912 bytes',
      'Max cpu time': '30 60 seconds',
      'Max file size': '1048576 1048576 bytes',
      'Max core file size': '0 0 bytes',
      'Max stack size': '1048576 2097152 bytes',
      'Max data size': '268435456 268435456 bytes',
      'Max locked memory': '65536 65536 bytes',
      'Max file locks': '7 7 locks',
      'Max pending signals': '9 9 signals',
      'Max msgqueue size': '4096 4096 bytes',
      'Max nice priority': '0 0',
      'Max realtime priority': '0 0',
      'Max realtime timeout': '200000 200000 us',
      'Max resident set': '1073741824 1073741824 bytes',
    });
  });

  test('runs where and when the file says, and the daemon as before', async () => {
    const keys = 'nice: 7, cpu_affinity: 0, scheduling: batch, io_priority: best-effort:6';
    const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: cat, ${keys}}}\n`, options);
    const before = placeOf(daemon.pid);
    const client = await connectTo(daemon.port());
    expect(await client.ask('hello')).toBe('hello');
    const { pid } = await daemon.waitFor('accepted', { peer: client.address });
    expect(placeOf(pid)).toMatchObject({ nice: 7, policy: 'SCHED_BATCH', io: 'best-effort: prio 6', cpus: '0' });
    expect(placeOf(daemon.pid)).toEqual(before);
  });
});

test.each([
  ['for a connection', '', {}],
  ['with wait', 'wait: true', {}],
  ['by a plain fork', '', { env: { STDIOD_SPAWN: 'fork' } }],
] as const)('a child %s has the score that the file says, and the daemon its own', async (_, keys, options) => {
  const own = scoreOf(process.pid);
  const exec = 'exec: sleep 60, oom_score_adjust: 777, stop_grace: 10ms';
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", ${exec}, ${keys}}}\n`, options);
  await connectTo(daemon.port());
  const { pid } = await daemon.waitFor(keys === '' ? 'accepted' : 'started');
  await untilTrue('it has the score', () => scoreOf(pid) === 777);
  expect(scoreOf(daemon.pid)).toBe(own);
});

testAsRoot('a child may stand before the daemon, though its user could not take that place', async () => {
  const pid = await startChild('user: nobody, nice: -5');
  expect(placeOf(pid)).toMatchObject({ nice: -5 });
  expect(status(pid)['Uid']).toBe('65534\t65534\t65534\t65534');
});

test('a program that uses more CPU than it may is ended by the kernel', async () => {
  const yaml =
    'services: {it: {listen: "127.0.0.1:0", exec: [sh, -c, "while :; do :; done"], rlimits: {cpu_time: 1s}}}\n';
  const daemon = await startDaemon(yaml);
  await exchange(daemon.port(), '');
  expect(await daemon.waitFor('reaped')).toMatchObject({ signal: 'SIGKILL' });
});

test('a program that wants more memory than it may is refused it, and its neighbour is not', async () => {
  const yaml = `services:
  small: {listen: "127.0.0.1:0", exec: [python3, -c, "x = bytearray(10**9); print('had it')"], rlimits: {address_space: 300M}}
  free: {listen: "127.0.0.1:0", exec: [python3, -c, "x = bytearray(10**9); print('had it')"]}
`;
  const daemon = await startDaemon(yaml);
  expect(await exchange(daemon.port('small'), '')).toContain('MemoryError');
  expect(await exchange(daemon.port('free'), '')).toBe('had it\n');
});

test('a wait program has its limits as well', async () => {
  const daemon = await startDaemon(
    'services: {it: {listen: "127.0.0.1:0", wait: true, exec: sleep 60, rlimits: {open_files: 33}}}\n',
  );
  await connectTo(daemon.port());
  const { pid } = await daemon.waitFor('started');
  await untilTrue('it is the program', () => strings(pid, 'cmdline')[0] === 'sleep');
  expect(limits(pid).get('Max open files')).toBe('33 33 files');
});

function scoreOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1'));
}

/** Where a process stands, as ps(1), chrt(1) and ionice(1) tell. */
function placeOf(pid: number): Record<string, unknown> {
  const output = (...words: string[]): string => execFileSync(words[0] ?? '', words.slice(1), { encoding: 'utf8' });
  return {
    nice: Number(output('ps', '-o', 'ni=', '-p', String(pid))),
    policy: /policy: (\S+)/.exec(output('chrt', '-p', String(pid)))?.[1],
    io: output('ionice', '-p', String(pid)).trim(),
    cpus: status(pid)['Cpus_allowed_list'],
  };
}
