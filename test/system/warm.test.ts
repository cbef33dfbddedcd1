/**
 * Programs that are started ahead of their clients: each client is served once, by a process of its own that is told and ends like any other, and
 * whoever finds nobody waiting is served as if there had never been anybody.
 */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientThatSent, connectTo, exchange, inParallel } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { dumpProgram, parseDump, type Dump } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { testAsRoot } from './machine';
import { childrenOf, isRunning, openFds } from './proc';
import { exchangeUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

type Mode = 'pool' | 'template';
const MODES: readonly Mode[] = ['pool', 'template'];
const WAYS: readonly [string, DaemonOptions][] = [
  ['clone', {}],
  ['plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

/** Says which process answers, under which name, and what it was asked. */
const ANSWER = 'read x; echo "$x $$ $STDIOD_CONNECTION"; exit 7';

/** JSON is YAML. */
function serve(warm: unknown, script = ANSWER, keys: object = {}): string {
  const it = { listen: '127.0.0.1:0', exec: ['sh', '-c', script], stop_grace: '1s', ...keys, warm };
  return `services: ${JSON.stringify({ it })}\n`;
}

function uidOf(pid: number): number {
  return Number(/^Uid:\t(\d+)/m.exec(statusOf(pid))?.[1]);
}

/** Whether any of its memory can be both written and executed. */
function isSelfWritten(pid: number): boolean {
  return /^\S+ .wx/m.test(readFileSync(`/proc/${pid}/maps`, 'latin1'));
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** Children that are their program by now, and traced by nobody. */
function parkedBy(daemon: Daemon): number[] {
  return childrenOf(daemon.pid).filter((pid) => {
    const status = statusOf(pid);
    return (
      /^TracerPid:\t0$/m.test(status) &&
      !/^Name:\t(park|node|MainThread|stdiod)/m.test(status) &&
      !/^State:\tZ/m.test(status)
    );
  });
}

async function untilParked(daemon: Daemon, services = 1, from = 0): Promise<readonly number[]> {
  await untilTrue(
    'all services are warm',
    () => daemon.events.slice(from).filter(({ event }) => event === 'warm').length >= services,
  );
  return parkedBy(daemon);
}

/** Who answered, and the connection that it was told of. */
async function ask(daemon: Daemon, text = 'hello'): Promise<{ text: string; shell: number; name: string }> {
  const [said = '', shell = '', name = ''] = (await exchange(daemon.port('it'), `${text}\n`)).trim().split(' ');
  return { text: said, shell: Number(shell), name };
}

describe.each(MODES)('%s', (mode) => {
  test.each(WAYS)('a client is served by what was there before, and told like any other (%s)', async (_, options) => {
    const daemon = await startDaemon(serve({ mode, size: 1 }), options);
    const [waiting = 0] = await untilParked(daemon);
    const { text, shell, name } = await ask(daemon);
    expect([text, shell]).toEqual(['hello', waiting]);
    expect(name).toMatch(/^w/);
    const reaped = await daemon.waitFor('reaped');
    const [accepted] = daemon.all('accepted');
    expect(reaped).toMatchObject({ connection: 'c1', pid: accepted?.pid, exit: 7, children: 0 });
    expect(accepted?.pid === waiting).toBe(mode === 'pool');
  });

  test('each of many clients gets its own answer, from a process of its own', async () => {
    const daemon = await startDaemon(serve({ mode, size: 3 }));
    await untilParked(daemon);
    const fds = openFds(daemon.pid).size;
    const asked = Array.from({ length: 200 }, (_, index) => `client-${index}`);
    const answers: string[] = [];
    await inParallel(200, 8, async (index) => {
      answers[index] = (await ask(daemon, asked[index])).text;
    });
    expect(answers).toEqual(asked);
    await daemon.waitForCount('reaped', 200);
    expect(daemon.all('accepted')).toHaveLength(200);
    expect(new Set(daemon.all('accepted').map(({ pid }) => pid)).size).toBeGreaterThan(150);
    expect(daemon.all('reaped', { exit: 7 })).toHaveLength(200);
    expect(daemon.all('cold')).toEqual([]);
    await untilTrue('no descriptor is left', () => parkedBy(daemon).length === 3 && openFds(daemon.pid).size === fds);
  });

  test('a program finds what it would have found, but for the facts of its connection', async () => {
    const program = dumpProgram();
    const run = (warm: Mode | 'none'): object => ({ listen: '127.0.0.1:0', exec: [program], warm });
    const daemon = await startDaemon(`services: ${JSON.stringify({ warm: run(mode), it: run('none') })}\n`);
    await untilParked(daemon);
    const [warm, cold] = [await dumpOf(daemon, 'warm'), await dumpOf(daemon, 'it')];
    expect(comparable(warm)).toEqual(comparable(cold));
    expect(warm.environment.filter((each) => !cold.environment.includes(each))).toEqual([
      'STDIOD_SERVICE=warm',
      expect.stringMatching(/^STDIOD_CONNECTION=w/),
    ]);
    expect(warm.environment).toContain('PROTO=TCP');
    expect(warm.environment.join('\n')).not.toContain('REMOTE');
    expect([warm['session'], warm['group']]).toEqual([warm.pid, warm.pid]);
    expect(daemon.all('accepted', { service: 'warm' })).toMatchObject([{ pid: warm.pid }]);
  });

  testAsRoot('nobody of its user may look into one that waits, and who woke has no way to it', async () => {
    const daemon = await startDaemon(serve({ mode, size: 1 }, 'read x; echo "$x"; read y'));
    const [waiting = 0] = await untilParked(daemon);
    // Of a process that is not dumpable the kernel gives what /proc has to root (proc(5)).
    expect([statSync(`/proc/${waiting}/maps`).uid, isSelfWritten(waiting)]).toEqual([0, false]);
    const client = await connectTo(daemon.port('it'));
    expect(await client.ask('hello')).toBe('hello');
    const { pid } = await daemon.waitFor('accepted');
    expect(statSync(`/proc/${pid}/maps`).uid).toBe(uidOf(pid));
    expect([...openFds(pid).keys()]).toEqual([0, 1, 2]);
  });

  test('what it writes to stderr is told with its connection', async () => {
    const daemon = await startDaemon(serve(mode, 'read x; echo "heard $x" >&2; echo done', { stderr: 'log' }));
    await untilParked(daemon);
    expect(await exchange(daemon.port('it'), 'hello\n')).toBe('done\n');
    const { pid } = await daemon.waitFor('accepted');
    expect(await daemon.waitFor('said')).toMatchObject({ connection: 'c1', pid, line: 'heard hello' });
  });

  test('a session that lasts too long is ended, with what it has started', async () => {
    const script = 'read x; sleep 1000 & echo "$!"; wait';
    const daemon = await startDaemon(serve(mode, script, { session_timeout: '300ms' }));
    await untilParked(daemon);
    const client = await clientThatSent(daemon.port('it'), 'hello\n');
    const started = Number(await client.line());
    expect(await daemon.waitFor('reaped')).toMatchObject({ reason: 'session-timeout' });
    await untilTrue('what it has started is gone', () => !isRunning(started));
  });

  test('a session that dies by a signal is told so', async () => {
    const daemon = await startDaemon(
      serve(mode, 'read x; sh -c "kill -SEGV $PPID" 2>&1; kill -KILL $(sh -c "echo \\$PPID")'),
    );
    await untilParked(daemon);
    await exchange(daemon.port('it'), 'hello\n').catch(() => '');
    const reaped = await daemon.waitFor('reaped');
    expect(reaped.pid).toBe(daemon.all('accepted')[0]?.pid);
  });

  test('who finds nobody is served by a new program, and waits for nobody', async () => {
    const daemon = await startDaemon(serve({ mode, size: 1 }));
    const [waiting = 0] = await untilParked(daemon);
    const client = await daemon.whileStopped(async () => {
      process.kill(waiting, 'SIGKILL');
      return clientThatSent(daemon.port('it'), 'hello\n');
    });
    expect(await client.rest()).toMatch(/^hello \d+ c1\n$/);
    expect(await daemon.waitFor('cold')).toMatchObject({ service: 'it', duration: 1 });
    await untilParked(daemon, 2);
    expect((await ask(daemon)).name).toMatch(/^w/);
  });

  test('nobody is lost, and nobody served twice, while those who wait are killed all the time', async () => {
    const daemon = await startDaemon(serve({ mode, size: 2 }));
    await untilParked(daemon);
    const killer = setInterval(() => {
      for (const pid of parkedBy(daemon)) {
        if (statusOf(pid).includes('Name:\tsh') && !daemon.all('accepted').some((each) => each.pid === pid))
          tryKill(pid);
      }
    }, 50);
    const answers: string[] = [];
    await inParallel(150, 4, async (index) => {
      answers[index] = await exchange(daemon.port('it'), `client-${index}\n`).catch(String);
    });
    clearInterval(killer);
    await daemon.waitForCount('reaped', 150);
    expect([daemon.all('accepted').length, daemon.all('dropped').length]).toEqual([150, 0]);
    // One that was killed as it woke, before we had heard of it, was a session by then.
    const killed = daemon.all('reaped', { signal: 'SIGKILL' }).length;
    const served = answers.filter((answer, index) => answer.startsWith(`client-${index} `)).length;
    expect(served).toBeGreaterThanOrEqual(150 - killed);
  });

  test('one that somebody stops costs its client a moment, and nobody the answer', async () => {
    const daemon = await startDaemon(serve({ mode, size: 1 }));
    const [waiting = 0] = await untilParked(daemon);
    process.kill(waiting, 'SIGSTOP');
    await untilTrue('it is stopped', () => statusOf(waiting).includes('T (stopped)'));
    const { text, name } = await ask(daemon);
    expect([text, name]).toEqual(['hello', 'c1']);
    await daemon.waitFor('reaped');
    expect(daemon.all('accepted')).toHaveLength(1);
    expect(await daemon.waitFor('cold')).toMatchObject({ reason: 'it does not wake' });
    await untilTrue('it is gone', () => !isRunning(waiting));
  });

  test('a change of the script makes others of those who wait', async () => {
    const path = join(makeFolder(), 'script');
    writeFileSync(path, 'read x; echo old');
    const keys = { exec: ['sh', path], listen: '127.0.0.1:0', warm: mode };
    const daemon = await startDaemon(`services: ${JSON.stringify({ it: keys })}\n`);
    await untilParked(daemon);
    expect(await exchange(daemon.port('it'), 'x\n')).toBe('old\n');
    writeFileSync(path, 'read x; echo new one');
    await untilParked(daemon, 2);
    expect(await exchange(daemon.port('it'), 'x\n')).toBe('new one\n');
    expect(daemon.all('cold')).toEqual([]);
  });

  test('a reload replaces those of a service that changed, and leaves all others alone', async () => {
    const both = (greeting: string): string => {
      const other = { listen: '127.0.0.1:0', exec: ['sh', '-c', ANSWER], warm: { mode, size: 1 } };
      return `services: ${JSON.stringify({ it: { ...other, exec: ['sh', '-c', `read x; echo ${greeting}`] }, other })}\n`;
    };
    const daemon = await startDaemon(both('first'));
    const before = await untilParked(daemon, 2);
    await daemon.reload(both('second'));
    const after = await untilParked(daemon, 3);
    expect([after.length, after.filter((pid) => before.includes(pid)).length]).toEqual([2, 1]);
    expect(await exchange(daemon.port('it'), 'x\n')).toBe('second\n');
    await daemon.reload('services: {}\n');
    await untilTrue('nobody waits', () => childrenOf(daemon.pid).length === 0);
  });

  test('a stop leaves nobody, and takes no grace for those who wait', async () => {
    const daemon = await startDaemon(serve({ mode, size: 2 }, ANSWER, { stop_grace: '60s' }));
    const waiting = await untilParked(daemon);
    expect(waiting).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('terminating')).toEqual([]);
    expect(waiting.filter(isRunning)).toEqual([]);
  });

  test.each([
    ['exits', 'exit 3', 'it ended before it used its connection (exit 3)'],
    ['never uses its connection', 'exec sleep 1000', 'it has not used its connection within start_timeout'],
    [
      'starts another one that uses it',
      'cat; true',
      'a process that it starts uses the connection before it does itself',
    ],
  ])('a program that %s is served cold, and that is told once', async (_, script, reason) => {
    const starts = makeFolder();
    chmodSync(starts, 0o777);
    const daemon = await startDaemon(serve({ mode, start_timeout: '200ms' }, `mkdir ${starts}/$$; ${script}`));
    expect(await daemon.waitFor('cold')).toMatchObject({ service: 'it', reason, duration: 1 });
    const client = await connectTo(daemon.port('it'));
    client.end();
    await daemon.waitFor('accepted');
    await untilTrue('it was tried again', () => readdirSync(starts).length >= 4);
    expect(daemon.all('cold')).toHaveLength(1);
  });

  test('a client of a Unix socket is served as well', async () => {
    const path = join(makeFolder(), 'socket');
    const daemon = await startDaemon(serve({ mode, size: 1 }, ANSWER, { listen: `unix:${path}` }));
    const [waiting = 0] = await untilParked(daemon);
    expect(await exchangeUnix(path, 'hello\n')).toMatch(new RegExp(`^hello ${waiting} w\\d+\\n$`));
  });
});

describe('template', () => {
  test('after max_uses another one takes its place', async () => {
    const daemon = await startDaemon(serve({ mode: 'template', max_uses: 3 }));
    const [first = 0] = await untilParked(daemon);
    for (let client = 0; client < 3; client += 1) expect((await ask(daemon)).shell).toBe(first);
    await untilTrue('it is gone', () => !isRunning(first));
    expect((await ask(daemon)).shell).not.toBe(first);
    expect(daemon.all('cold')).toEqual([]);
  });
});

async function dumpOf(daemon: Daemon, service: string): Promise<Dump> {
  return parseDump(await exchange(daemon.port(service), ''));
}

/** What differs between any two children is left out, and so is what the manual says that differs. */
const OWN = ['environment', 'pid', 'group', 'session'];

function comparable({ descriptors, ...dump }: Dump): object {
  const facts = Object.entries(dump).filter(([name]) => !OWN.includes(name));
  const plain = descriptors.map(({ fd, kind, flags = null }) => ({ fd, kind, flags }));
  return { ...Object.fromEntries(facts), descriptors: plain };
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
