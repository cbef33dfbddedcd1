/**
 * Each step of child set-up is made to fail, one after the other in the same daemon: it costs that connection, is told, and leaves
 * nothing behind.
 */
import { exchange } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { Denial } from './denial';
import { expectDrop } from './drop';
import { endAll } from './endings';
import { isRoot, testAsRoot } from './machine';
import { childrenOf, moreFds, openFds } from './proc';
import { untilTrue } from './until';

afterAll(endAll);

const WAYS: readonly [string, DaemonOptions][] = [
  ['clone', {}],
  ['plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];
const OF_ROOT = ['setns', 'capbset_drop', 'setgroups', 'setresgid', 'setresuid', 'verify-ids'];
const STEPS = [
  'close_range',
  'dup3',
  'close-rest',
  'rt_sigaction',
  'setsid',
  'prlimit',
  'umask',
  'setpriority',
  'sched_setaffinity',
  'sched_setscheduler',
  'ioprio_set',
  'prctl',
  'capset',
  'no_new_privs',
  'chdir',
  'seccomp',
  'rt_sigprocmask',
  'execve',
];
const ALL_STEPS =
  'nice: 19, cpu_affinity: 0-8191, scheduling: batch, io_priority: idle, capabilities: [], system_calls: {deny: [clock]}';
const KEYS = isRoot ? `${ALL_STEPS}, private_network: true` : ALL_STEPS;

describe.each(WAYS)('a step of child set-up that fails (%s)', (_, options) => {
  let denial: Denial;
  let daemon: Daemon;

  async function start(keys: string, ...steps: readonly string[]): Promise<void> {
    denial = new Denial(...steps);
    const yaml = `services: {it: {listen: "127.0.0.1:0", exec: cat, max_connections: 1, ${keys}}}\n`;
    daemon = await startDaemon(yaml, { ...options, wrapper: denial.wrapper });
  }

  beforeAll(() => start(KEYS, ...OF_ROOT, ...STEPS));

  afterEach(() => {
    denial.allow();
  });

  testAsRoot.each(OF_ROOT)('is told: %s (needs root)', checkStep);
  test.each(STEPS)('is told: %s', checkStep);

  // Of the calls of each of them one is that of another step: it has a daemon of its own.
  testAsRoot.each([
    ['securebits', 'securebits: [noroot]'],
    ['chroot', 'chroot: /'],
  ])('is told: %s (needs root)', async (step, key) => {
    await start(`${KEYS}, ${key}`, step);
    await checkStep(step);
  });

  async function checkStep(step: string): Promise<void> {
    const [fds, reaped] = [openFds(daemon.pid), daemon.all('reaped').length];
    expect(await exchange(daemon.port(), 'before')).toBe('before');
    denial.deny('EIO', { step });
    // Of a wrong identity the kernel gives no errno: the child compared.
    for (let time = 0; time < 3; time += 1) await expectDrop(daemon, step, step === 'verify-ids' ? 'EPERM' : 'EIO');
    denial.allow();
    expect(await exchange(daemon.port(), 'after')).toBe('after');
    await daemon.waitForCount('reaped', reaped + 2);
    expect(childrenOf(daemon.pid)).toEqual([]);
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, fds).length === 0);
  }
});
