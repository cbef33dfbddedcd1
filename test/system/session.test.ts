/**
 * Sessions that have to end. What ends with them is in session-processes.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { fixture } from './fixtures';
import { isRoot, testAsRoot } from './machine';
import { childrenOf, isRunning, openFds, processesOf, threads } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

function serve(exec: string, more: string): string {
  return `services: {it: {listen: "127.0.0.1:0", exec: ${exec}, stop_grace: 100ms, ${more}}}\n`;
}

/** For a program to say that it is there, on a machine that is busy with others. */
const ENOUGH = 'session_timeout: 8s';

describe('session_timeout', () => {
  test('ends a session after that time, and its client sees the end', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 300ms, max_connections: 1'));
    const client = await connectTo(daemon.port());
    expect(await client.rest()).toBe('');
    const reaped = await daemon.waitFor('reaped');
    expect(reaped).toMatchObject({ signal: 'SIGTERM', reason: 'session-timeout', children: 0 });
    expect(reaped.duration).toBeGreaterThanOrEqual(0.3);
    expect([reaped.hint, daemon.all('terminating')]).toEqual([undefined, []]);
  });

  test('is counted from the start of each', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 400ms'));
    const first = await connectTo(daemon.port());
    await daemon.waitFor('accepted', { peer: first.address });
    const second = await connectTo(daemon.port());
    await Promise.all([first.rest(), second.rest()]);
    const reaped = await daemon.waitForCount('reaped', 2);
    for (const { duration, reason } of reaped) {
      expect(reason).toBe('session-timeout');
      expect(duration).toBeGreaterThanOrEqual(0.4);
    }
  });

  test('is no concern of one that has ended by itself', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 1h'));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect((await daemon.waitFor('reaped')).reason).toBeUndefined();
  });

  test('stays for a session what it was when that began, whatever a reload says', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 1s'));
    const port = daemon.port();
    const early = await connectTo(port);
    await daemon.waitFor('accepted');
    daemon.configure(serve('cat', ''));
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ changed: ['it'] });
    const late = await connectTo(port);
    await late.ask('hello');
    await early.rest();
    expect(await daemon.waitFor('reaped')).toMatchObject({ reason: 'session-timeout' });
    expect(await late.ask('still here')).toBe('still here');
  });

  test('holds for built-ins', async () => {
    const daemon = await startDaemon(`
defaults: {session_timeout: 300ms, stop_grace: 100ms}
services: {echo: {listen: "127.0.0.1:0", builtin: echo}}
`);
    const client = await connectTo(daemon.port('echo'));
    await client.rest();
    expect(await daemon.waitFor('reaped', { service: 'echo' })).toMatchObject({ reason: 'session-timeout' });
  });
});

describe('stop_signal', () => {
  const FIXTURE = fixture('leaves-at.sh');

  test('is what a session gets whose time is over', async () => {
    const daemon = await startDaemon(serve(`${FIXTURE} USR1`, `${ENOUGH}, stop_signal: USR1`));
    const client = await connectTo(daemon.port());
    expect(await client.line()).toBe('ready');
    expect(await client.rest()).toBe('left at USR1\n');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 3, reason: 'session-timeout' });
  });

  test('is followed by SIGKILL where a program does not leave at it', async () => {
    const daemon = await startDaemon(serve(`${FIXTURE} TERM`, `${ENOUGH}, stop_signal: SIGHUP`));
    const client = await connectTo(daemon.port());
    expect(await client.line()).toBe('ready');
    expect(await client.rest()).toBe('');
    expect(await daemon.waitFor('reaped')).toMatchObject({ signal: 'SIGKILL', reason: 'session-timeout' });
  });

  test('reaches who was stopped, at a stop, each service by its own', async () => {
    const daemon = await startDaemon(`defaults: {stop_grace: 1s}
services:
  usr: {listen: "127.0.0.1:0", exec: ${FIXTURE} USR1, stop_signal: USR1}
  term: {listen: "127.0.0.1:0", exec: ${FIXTURE} TERM}
`);
    const [usr, term] = [await connectTo(daemon.port('usr')), await connectTo(daemon.port('term'))];
    expect([await usr.line(), await term.line()]).toEqual(['ready', 'ready']);
    const { pid } = await daemon.waitFor('accepted', { service: 'usr' });
    process.kill(-pid, 'SIGSTOP');
    daemon.signal('SIGTERM');
    expect([await usr.rest(), await term.rest()]).toEqual(['left at USR1\n', 'left at TERM\n']);
    expect(await daemon.ended()).toBe(0);
    const signals = daemon.all('terminating').map(({ signal, children }) => [signal, children]);
    expect(signals.sort()).toEqual([
      ['SIGTERM', 1],
      ['SIGUSR1', 1],
    ]);
  });

  test('stays for a child what it was when that began', async () => {
    const yaml = (key: string): string => serve(`${FIXTURE} USR1`, `${ENOUGH}${key}`);
    const daemon = await startDaemon(yaml(', stop_signal: USR1'));
    const client = await connectTo(daemon.port());
    expect(await client.line()).toBe('ready');
    daemon.configure(yaml(''));
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ changed: ['it'] });
    expect(await client.rest()).toBe('left at USR1\n');
  });

  test('is what the child of a wait service gets that is removed', async () => {
    const program = '[python3, -c, "import signal; signal.sigwait([signal.SIGUSR2])"]';
    const daemon = await startDaemon(`services:
  other: {listen: "127.0.0.1:0", exec: cat}
  it: {listen: "127.0.0.1:0", exec: ${program}, wait: true, stop_signal: USR2, stop_grace: 100ms}
`);
    await connectTo(daemon.port('it'));
    const { pid } = await daemon.waitFor('started', { service: 'it' });
    daemon.configure('services: {other: {listen: "127.0.0.1:0", exec: cat}}\n');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reaped')).toMatchObject({ pid, signal: 'SIGUSR2', reason: 'removed' });
  });
});

describe('idle_timeout', () => {
  test('ends a session in which nothing was sent nor received, and no other', async () => {
    const daemon = await startDaemon(serve('cat', 'idle_timeout: 4s'));
    const silent = await connectTo(daemon.port());
    const { pid } = await daemon.waitFor('accepted', { peer: silent.address });
    const busy = await connectTo(daemon.port());
    const other = await daemon.waitFor('accepted', { peer: busy.address });
    while (daemon.all('reaped', { pid }).length === 0) expect(await busy.ask('hello')).toBe('hello');
    const [reaped] = daemon.all('reaped');
    expect(reaped).toMatchObject({ pid, signal: 'SIGTERM', reason: 'idle-timeout', children: 1 });
    expect(reaped?.duration).toBeGreaterThanOrEqual(4);
    expect(isRunning(other.pid)).toBe(true);
    expect(await daemon.waitFor('reaped', { pid: other.pid })).toMatchObject({ reason: 'idle-timeout' });
  });

  test('holds over IPv6, and for a client that never reads', async () => {
    const yaml = 'services: {it: {listen: "[::1]:0", exec: yes, stop_grace: 100ms, idle_timeout: 1s}}\n';
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port(), '::1');
    client.socket.pause();
    expect(await daemon.waitFor('reaped')).toMatchObject({ reason: 'idle-timeout' });
  });
});

/** Only with the right to keep the kernel waiting for a page (userfaultfd(2)); a user has it with a FUSE server of their own. */
const mayHold = isRoot && spawnSync(fixture('holds-connection.c'), ['try']).status === 0;
const testHolding = mayHold ? test : test.skip;

describe('programs that hold the kernel’s lock of their connections', () => {
  /** More than a service may have questions out. */
  const HOLDERS = 8;
  /** So many sessions of the other last longer than it takes until a connection is asked about again. */
  const ROUNDS = 4;
  const YAML = `
defaults: {stop_grace: 100ms}
services:
  holder: {listen: "127.0.0.1:0", exec: ${fixture('holds-connection.c')}, user: root, stderr: log, idle_timeout: 3s}
  calm: {listen: "127.0.0.1:0", exec: cat, idle_timeout: 2500ms}
`;

  /** @returns the pids of programs that hold theirs */
  async function hold(daemon: Daemon): Promise<number[]> {
    for (let count = 1; count <= HOLDERS; count += 1) {
      const client = await connectTo(daemon.port('holder'));
      client.socket.write('x');
      await daemon.waitForCount('said', count);
    }
    return daemon.all('accepted', { service: 'holder' }).map(({ pid }) => pid);
  }

  /** Of the descriptors those that lead to sockets: pipes of standard errors come and go. */
  function holdings({ pid }: Daemon): { threads: number; sockets: number } {
    const sockets = [...openFds(pid).values()].filter((target) => target.startsWith('socket:'));
    return { threads: threads(pid).length, sockets: sockets.length };
  }

  async function expectIdleEnds(daemon: Daemon, count: number): Promise<void> {
    for (let time = 0; time < count; time += 1) {
      const client = await connectTo(daemon.port('calm'));
      expect(await client.rest()).toBe('');
    }
    const ends = await daemon.waitForCount('reaped', count);
    expect(ends.map(({ service, reason }) => [service, reason])).toEqual(ends.map(() => ['calm', 'idle-timeout']));
  }

  testHolding(
    'are asked about once, a few of a service, and all others end when they are idle (needs root)',
    async () => {
      const daemon = await startDaemon(YAML);
      const before = holdings(daemon);
      const pids = await hold(daemon);
      await expectIdleEnds(daemon, ROUNDS);
      const after = holdings(daemon);
      expect(after.sockets - before.sockets).toBeLessThan(HOLDERS);
      expect(after.threads - before.threads).toBeLessThan(HOLDERS);
      expect(daemon.all('failed')).toMatchObject([{ verb: 'watch', service: 'holder' }]);
      for (const pid of pids) process.kill(pid, 'SIGUSR1');
      const ends = await daemon.waitForCount('reaped', ROUNDS + HOLDERS);
      expect(ends.slice(ROUNDS).map(({ reason }) => reason)).toEqual(pids.map(() => 'idle-timeout'));
      expect(holdings(daemon).sockets).toBe(before.sockets);
      expect(await daemon.stop()).toBe(0);
    },
  );
});

describe('on_disconnect: terminate', () => {
  const KEYS = 'on_disconnect: terminate, disconnect_delay: 500ms';

  test.each(['leaves', 'resets'])('ends a program that has not noticed that its client %s', async (how) => {
    const daemon = await startDaemon(serve('sleep 600', KEYS));
    const staying = await connectTo(daemon.port());
    const { pid } = await daemon.waitFor('accepted', { peer: staying.address });
    const client = await connectTo(daemon.port());
    if (how === 'leaves') client.socket.destroy();
    else client.reset();
    expect(await daemon.waitFor('reaped')).toMatchObject({ signal: 'SIGTERM', reason: 'disconnected', children: 1 });
    expect(isRunning(pid)).toBe(true);
  });

  test('lets a client have its answer that has sent its end', async () => {
    const exec = "[sh, -c, 'while echo more; do :; done']";
    const daemon = await startDaemon(serve(exec, KEYS));
    const half = await connectTo(daemon.port());
    half.end();
    const { pid } = await daemon.waitFor('accepted', { peer: half.address });
    const gone = await connectTo(daemon.port());
    await daemon.waitFor('accepted', { peer: gone.address });
    const waiting = await daemon.waitFor('accepted', { peer: gone.address });
    process.kill(waiting.pid, 'SIGSTOP');
    gone.reset();
    expect(await daemon.waitFor('reaped')).toMatchObject({ pid: waiting.pid, reason: 'disconnected' });
    expect(isRunning(pid)).toBe(true);
  });
});

describe('a session that makes processes faster than they are found', () => {
  /** Nobody else's: the limit is that of a user. */
  const USER = 61_321;

  testAsRoot('ends with all of them (needs root)', async () => {
    const daemon = await startDaemon(`
services:
  bomb:
    listen: "127.0.0.1:0"
    exec: ${fixture('forks-on.c')}
    user: ${USER}
    group: ${USER}
    rlimits: {processes: 60}
    ${ENOUGH}
    stop_grace: 100ms
  echo: {listen: "127.0.0.1:0", exec: cat}
`);
    const client = await connectTo(daemon.port('bomb'));
    expect(await client.line()).toBe('ready');
    for (let time = 0; time < 5; time += 1) expect(await exchange(daemon.port('echo'), 'hello')).toBe('hello');
    expect(await daemon.waitFor('reaped', { service: 'bomb' })).toMatchObject({
      signal: 'SIGKILL',
      reason: 'session-timeout',
      children: 0,
    });
    await untilTrue('all are gone', () => processesOf(USER).length === 0);
    await untilTrue('all are collected', () => childrenOf(daemon.pid).length === 0);
  });
});

describe('a child that is stopped', () => {
  test('ends like the others', async () => {
    const daemon = await startDaemon(serve('cat', 'session_timeout: 2s'));
    const client = await connectTo(daemon.port());
    const { pid } = await daemon.waitFor('accepted');
    process.kill(pid, 'SIGSTOP');
    await client.rest();
    const reaped = await daemon.waitFor('reaped');
    expect(reaped).toMatchObject({ pid, signal: 'SIGTERM', reason: 'session-timeout', children: 0 });
  });
});
