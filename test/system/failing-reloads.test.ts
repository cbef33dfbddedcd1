/**
 * Each system call that a reload makes is made to fail, one after the other: it costs nobody else, leaves nothing open, and the
 * next reload is in force.
 */
import { readFileSync } from 'node:fs';
import { exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { Denial } from './denial';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { findFreePorts } from './machine';
import { openFds } from './proc';
import { until } from './until';

// Each of these is dozens of reloads.
jest.setTimeout(600_000);

afterEach(endAll);

/** A reload from the one to the other opens, moves, changes and closes sockets of every kind. */
async function twoConfigurations(): Promise<readonly [string, string]> {
  const folder = makeFolder();
  const port = await findFreePorts(1);
  const keep = 'keep: {listen: "127.0.0.1:0", exec: cat}';
  const before = `moves: {listen: "127.0.0.1:${port}", exec: cat}, changes: {listen: "unix:${folder}/c", exec: cat}`;
  const after = `moves: {listen: "*:${port}/tcp4", exec: cat, socket: {nodelay: false}},
    changes: {listen: "unix-seqpacket:${folder}/c", exec: cat, socket: {mode: "0600"}},
    fresh: {listen: "unix:${folder}/f", exec: cat, socket: {mode: "0666"}}`;
  const gone = `gone: {listen: "127.0.0.1:0", exec: cat}`;
  return [`services: {${keep}, ${before}, ${gone}}\n`, `services: {${keep}, ${after}}\n`];
}

function socketsOf(daemon: Daemon): readonly string[] {
  return [...openFds(daemon.pid).values()].filter((target) => target.startsWith('socket:'));
}

/** What /proc says of them, a `+` before those that were not there before. */
function describeSockets(daemon: Daemon, before: readonly string[]): string {
  const tables = ['tcp', 'tcp6', 'unix'].map((name) => readFileSync(`/proc/${daemon.pid}/net/${name}`, 'utf8'));
  const lines = tables.join('').split('\n');
  const described = socketsOf(daemon).map((target) => {
    const inode = target.replace(/\D/gu, '');
    const line = lines.find((line) => line.split(/\s+/u).includes(inode));
    return `${before.includes(target) ? ' ' : '+'} ${target} ${line ?? ''}`;
  });
  return [...described, ...daemon.events.map((event) => JSON.stringify(event))].join('\n');
}

/** More than any reload makes of one kind. */
const MOST_CALLS = 60;

/** @returns whether a call failed */
async function reloadWithFault(daemon: Daemon, denial: Denial, yaml: string, skip: number): Promise<boolean> {
  const { count } = denial;
  denial.deny('ENOMEM', { skip, times: 1 });
  daemon.configure(yaml);
  await daemon.hup();
  denial.allow();
  return denial.count > count;
}

describe('a reload with one failing call', () => {
  const STEPS = ['socket', 'bind', 'listen', 'setsockopt', 'getsockname', 'fcntl', 'fchmod', 'statx', 'openat'];
  const MORE = ['rename', 'unlink', 'connect', 'epoll_ctl', 'epoll_ctl-del'];

  test.each([...STEPS, ...MORE])(
    '(each %s in turn) costs nobody else, leaves nothing open, and the next one is in force',
    async (step) => {
      const denial = new Denial(step);
      const [before, after] = await twoConfigurations();
      const daemon = await startDaemon(before, { wrapper: denial.wrapper });
      const sockets = socketsOf(daemon);
      // The first watches are Node's own: one that it is refused is none of ours.
      daemon.signal('SIGUSR1');
      await daemon.waitFor('status');
      for (let skip = 0; skip < MOST_CALLS; skip += 1) {
        if (!(await reloadWithFault(daemon, denial, after, skip))) break;
        expect(await exchange(daemon.port('keep'), 'still there')).toBe('still there');
        await daemon.reload(before);
        expect(await exchange(daemon.port('moves'), 'still there')).toBe('still there');
        await until(
          () => `no socket is left, skip ${skip}, of ${sockets.length}\n${describeSockets(daemon, sockets)}`,
          () => (socketsOf(daemon).length <= sockets.length ? true : undefined),
        );
      }
      expect(await daemon.stop()).toBe(0);
    },
  );

  test('(a listen that a signal interrupts, where a supervisor is asked) is tried again at once', async () => {
    const denial = new Denial('listen');
    const [before, after] = await twoConfigurations();
    const daemon = await startDaemon(before, { wrapper: denial.wrapper });
    denial.deny('EINTR', { times: 3 });
    await daemon.reload(after);
    expect([denial.count, daemon.all('unavailable')]).toEqual([3, []]);
  });

  test.each(['openat', 'statx', 'faccessat2', 'setgroups', 'setresgid', 'setresuid'])(
    'on a thread that reads the file or asks about it (%s) is told, and the next one is in force',
    async (step) => {
      const denial = new Denial(`thread ${step}`);
      const [before, after] = await twoConfigurations();
      const daemon = await startDaemon(before, { wrapper: denial.wrapper });
      denial.deny('EIO');
      daemon.configure(after);
      daemon.signal('SIGHUP');
      // What cannot be told of one service is a lack of that service.
      await daemon.waitFor(['openat', 'statx'].includes(step) ? 'rejected' : 'reloaded');
      expect(denial.count).toBeGreaterThan(0);
      denial.allow();
      await daemon.reload(after);
      expect(await exchange(daemon.port('keep'), 'still there')).toBe('still there');
    },
  );
});
