/**
 * Commands that run before the program: their exit status decides, and nobody else waits for them.
 */
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientThatSent, connectTo, exchange, inParallel, type Client } from './client';
import { startDaemon, type Daemon, type DaemonOptions, type EventOf } from './daemon';
import { Denial } from './denial';
import { dumpProgram, parseDump, type Dump } from './dump';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { findProgram } from './machine';
import { childrenOf, isRunning, moreFds, openFds } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const WAYS: readonly [string, DaemonOptions][] = [
  ['clone', {}],
  ['plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

/** JSON is YAML. */
function serve(before: readonly unknown[], keys: object = {}): string {
  const echo = { listen: '127.0.0.1:0', exec: 'cat' };
  const it = { listen: '127.0.0.1:0', exec: 'cat', before, stop_grace: '1s', ...keys };
  return `services: ${JSON.stringify({ it, echo })}\n`;
}

function shell(script: string): readonly string[] {
  return ['sh', '-c', script];
}

/** Says that it is there, and exits as it is told when the file is. */
function waitingFor(file: string, status = 0): readonly string[] {
  return shell(`echo waiting; while [ ! -e ${file} ]; do sleep 0.02; done; exit ${status}`);
}

async function expectRefused(daemon: Daemon, client: Client, wanted: Partial<EventOf<'refused'>>): Promise<void> {
  expect(await client.rest()).toBe('');
  const refused = await daemon.waitFor('refused', { peer: client.address });
  expect(refused).toMatchObject({ service: 'it', reason: 'before', ...wanted });
  expect(daemon.all('accepted', { peer: client.address })).toEqual([]);
}

describe.each(WAYS)('the program (%s)', (_, options) => {
  test('starts when all commands have exited with 0, one after the other, and finds every byte', async () => {
    const say = (word: string): readonly string[] =>
      shell(`cat; echo ${word} $REMOTE_ADDR $STDIOD_CONNECTION >&2; echo out`);
    const daemon = await startDaemon(serve([say('one'), say('two')], { stderr: 'log' }), options);
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    await daemon.waitFor('reaped');
    const lines = daemon.all('said').map(({ line }) => line);
    expect(lines).toEqual(['one 127.0.0.1 c1', 'out', 'two 127.0.0.1 c1', 'out']);
    expect(daemon.all('accepted')).toMatchObject([{ connection: 'c1', children: 1 }]);
  });

  test.each([
    ['exits with another status', shell('exit 3'), { exit: 3 }],
    ['dies by a signal', shell('kill -SEGV $$'), { signal: 'SIGSEGV' }],
    ['is killed', shell('kill -KILL $$'), { signal: 'SIGKILL' }],
  ])('does not start where one %s: its client sees an end', async (_what, command, how) => {
    const daemon = await startDaemon(serve(['true', command, shell('echo late')], { stderr: 'log' }), options);
    const fds = openFds(daemon.pid);
    const client = await daemon.whileStopped(() => clientThatSent(daemon.port('it'), 'x'.repeat(10_000)));
    await expectRefused(daemon, client, { connection: 'c1', command: findProgram('sh'), ...how });
    expect([daemon.all('said'), childrenOf(daemon.pid)]).toEqual([[], []]);
    client.end();
    await untilTrue('no descriptor is left', () => moreFds(daemon.pid, fds).length === 0);
  });

  test('does not start where a command cannot', async () => {
    const [folder, text] = [makeFolder(), '#!/bin/sh\n'];
    const program = join(folder, 'gone');
    writeFileSync(program, text, { mode: 0o755 });
    const daemon = await startDaemon(serve([program]), options);
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    rmSync(program);
    const client = await connectTo(daemon.port('it'));
    await expectRefused(daemon, client, { command: program, step: 'execve', error: 'ENOENT' });
    writeFileSync(program, text, { mode: 0o755 });
    expect(await exchange(daemon.port('it'), 'again')).toBe('again');
  });
});

describe('a command', () => {
  test('is what the program is, but for its connection', async () => {
    const [program, folder] = [dumpProgram(), makeFolder()];
    const file = join(folder, 'dump');
    writeFileSync(file, '');
    chmodSync(file, 0o666);
    const keys =
      'umask: "0027", nice: 3, env: {WHO: "%{peer.address}"}, no_new_privileges: true, rlimits: {cpu_time: 10}';
    const yaml = `services: {it: {listen: "127.0.0.1:0", exec: [sh, -c, exec ${program}], ${keys}, before: [[sh, -c, 'exec ${program} >${file}']]}}`;
    const daemon = await startDaemon(yaml);
    const served = parseDump(await exchange(daemon.port(), ''));
    const asked = parseDump(readFileSync(file, 'utf8'));
    expect(own(asked)).toEqual(own(served));
    expect(asked.descriptors.map(({ target }) => target)).toEqual(['/dev/null', file, '/dev/null']);
  });

  test('has nowhere to speak to unless its standard error is the log', async () => {
    const daemon = await startDaemon(serve([shell('echo out && echo err >&2 && ! read -r line')]));
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    await daemon.waitFor('reaped');
    expect(daemon.all('said')).toEqual([]);
  });

  test('that never ends is ended with all that it has started, and its client refused', async () => {
    const folder = makeFolder();
    const left = join(folder, 'left');
    writeFileSync(left, '');
    chmodSync(left, 0o666);
    const command = shell(`trap '' TERM; setsid sleep 600 & echo $! >${left}; sleep 600; sleep 600`);
    const daemon = await startDaemon(serve([command], { before_timeout: '2s', max_connections: 1 }));
    const client = await connectTo(daemon.port('it'));
    await expectRefused(daemon, client, { step: 'before_timeout', error: 'ETIMEDOUT' });
    await untilTrue('nobody is left', () => !isRunning(Number(readFileSync(left, 'utf8'))));
    expect(childrenOf(daemon.pid)).toEqual([]);
  });

  test('that ends because its time is over has not let anybody in', async () => {
    const daemon = await startDaemon(
      serve([shell('trap "exit 0" TERM; sleep 600 & wait')], { before_timeout: '300ms' }),
    );
    const client = await connectTo(daemon.port('it'));
    await expectRefused(daemon, client, { step: 'before_timeout' });
  });

  test('that somebody kills refuses its client', async () => {
    const daemon = await startDaemon(serve([shell('echo ready; exec sleep 600')], { stderr: 'log' }));
    const client = await connectTo(daemon.port('it'));
    const { pid } = await daemon.waitFor('said');
    process.kill(pid ?? 0, 'SIGKILL');
    await expectRefused(daemon, client, { signal: 'SIGKILL' });
  });

  test('that goes on in the background has let its client in', async () => {
    const daemon = await startDaemon(serve([shell('sleep 600 & exit 0')]));
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
  });
});

describe('while a command runs', () => {
  /** One client waits for the file. */
  async function startWaiting(
    keys: object = {},
    status = 0,
  ): Promise<{ daemon: Daemon; client: Client; file: string }> {
    const file = join(makeFolder(), 'go');
    const yaml = serve([waitingFor(file, status)], { stderr: 'log', before_timeout: '60s', ...keys });
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port('it'));
    await daemon.waitFor('said', { line: 'waiting' });
    return { daemon, client, file };
  }

  test('others are served, of its own service too', async () => {
    const file = join(makeFolder(), 'go');
    const first = waitingFor(file).join(' ').slice('sh -c '.length);
    const command = shell(`[ $STDIOD_CONNECTION = c1 ] || exit 0; ${first}`);
    const daemon = await startDaemon(serve([command], { stderr: 'log', before_timeout: '60s' }));
    const waiting = await connectTo(daemon.port('it'));
    await daemon.waitFor('said', { line: 'waiting' });
    expect(await exchange(daemon.port('it'), 'same')).toBe('same');
    expect(await exchange(daemon.port('echo'), 'other')).toBe('other');
    writeFileSync(file, '');
    expect(await waiting.ask('hello')).toBe('hello');
  });

  test('its client holds a slot', async () => {
    const { daemon, client, file } = await startWaiting({ max_connections: 1 });
    const second = await connectTo(daemon.port('it'));
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'it', reason: 'full', children: 1 });
    writeFileSync(file, '');
    expect(await client.ask('one')).toBe('one');
    client.end();
    expect(await second.ask('two')).toBe('two');
  });

  test('a reload that removes its service changes nothing for its client', async () => {
    const { daemon, client, file } = await startWaiting();
    daemon.configure('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ removed: ['it'] });
    writeFileSync(file, '');
    expect(await client.ask('hello')).toBe('hello');
    client.end();
    const { connection } = await daemon.waitFor('reaped');
    expect(daemon.all('accepted', { connection })).toHaveLength(1);
    expect([...daemon.all('refused'), ...daemon.all('dropped')]).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s has its client refused once, and leaves nothing', async (signal) => {
    const file = join(makeFolder(), 'go');
    // It takes SIGTERM for leave to let its client in.
    const command = shell(`trap 'exit 0' TERM; echo waiting; while [ ! -e ${file} ]; do sleep 0.02; done`);
    const daemon = await startDaemon(serve([command], { stderr: 'log', before_timeout: '60s', stop_grace: '200ms' }));
    const client = await connectTo(daemon.port('it'));
    await daemon.waitFor('said', { line: 'waiting' });
    daemon.signal(signal);
    expect(await daemon.ended()).toBe(0);
    expect(await client.rest()).toBe('');
    expect(daemon.all('refused')).toMatchObject([{ reason: 'stopping', peer: client.address }]);
    expect([...daemon.all('accepted'), ...daemon.all('dropped')]).toEqual([]);
    expect(daemon.all('stopped')).toMatchObject([{ children: 0 }]);
  });

  test('a stop waits for a client whose command lets it in within the grace', async () => {
    const { daemon, client, file } = await startWaiting({ stop_grace: '20s' });
    daemon.signal('SIGTERM');
    await daemon.waitFor('stopping');
    writeFileSync(file, '');
    expect(await client.ask('hello')).toBe('hello');
    client.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('reaped')).toHaveLength(1);
  });

  test('a client that leaves costs nobody anything', async () => {
    const { daemon, client, file } = await startWaiting({ max_connections: 1 });
    client.reset();
    writeFileSync(file, '');
    expect(await exchange(daemon.port('it'), 'next')).toBe('next');
    await daemon.waitForCount('reaped', 2);
    expect(daemon.all('accepted')).toHaveLength(2);
  });
});

test('very many clients at once start no more commands than the service may have children', async () => {
  const daemon = await startDaemon(serve([shell('sleep 0.05')], { max_connections: 8, max_per_peer: 8 }));
  const clients = inParallel(200, 200, async (index) => {
    expect(await exchange(daemon.port('it'), `${index}`)).toBe(`${index}`);
  });
  let most = 0;
  await untilTrue('all are served', () => {
    most = Math.max(most, childrenOf(daemon.pid).length);
    return daemon.all('reaped').length === 200;
  });
  await clients;
  expect(most).toBeLessThanOrEqual(8);
  expect(new Set(daemon.all('accepted').map(({ connection }) => connection)).size).toBe(200);
});

describe.each([1, 2])('without a process for command %d', (which) => {
  test('its client waits, and is served by and by', async () => {
    const denial = new Denial('clone');
    const daemon = await startDaemon(serve(['true', 'true']), { wrapper: denial.wrapper });
    denial.deny('EAGAIN', { skip: which - 1, times: 3 });
    const client = await connectTo(daemon.port('it'));
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'it', reason: 'processes' });
    expect(await client.ask('hello')).toBe('hello');
    expect(denial.count).toBe(3);
    expect([...daemon.all('refused'), ...daemon.all('dropped')]).toEqual([]);
  });
});

test('a service that is asked for by name has its commands as well', async () => {
  const folder = makeFolder();
  const open = join(folder, 'open');
  const daemon = await startDaemon(`services:
  mux: {listen: "127.0.0.1:0", builtin: tcpmux}
  it: {tcpmux: true, exec: cat, before: [[test, -e, ${open}]]}
`);
  const refused = await connectTo(daemon.port('mux'));
  refused.send('it\r\n');
  await expectRefused(daemon, refused, { exit: 1 });
  writeFileSync(open, '');
  const client = await connectTo(daemon.port('mux'));
  client.send('it\r\n');
  expect(await client.ask('hello')).toBe('hello');
});

test.each(['builtin: echo', 'redirect: "127.0.0.1:TARGET"'])('%s has commands before it', async (run) => {
  const target = await startDaemon('services: {cat: {listen: "127.0.0.1:0", exec: cat}}\n');
  const [runs, open] = [run.replace('TARGET', String(target.port())), join(makeFolder(), 'open')];
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", ${runs}, before: [[test, -e, ${open}]]}}\n`);
  await expectRefused(daemon, await connectTo(daemon.port()), { exit: 1 });
  writeFileSync(open, '');
  expect(existsSync(open)).toBe(true);
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
});

test('what a reload says of commands holds for the next client', async () => {
  const daemon = await startDaemon(serve(['false']));
  await expectRefused(daemon, await connectTo(daemon.port('it')), { exit: 1 });
  daemon.configure(serve(['true']));
  daemon.signal('SIGHUP');
  expect(await daemon.waitFor('reloaded')).toMatchObject({ changed: ['it'] });
  expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
});

test('a process that ignores SIGTERM keeps a stop no longer than its grace', async () => {
  const daemon = await startDaemon(
    serve([fixture('ignores-sigterm.sh'), shell("trap '' TERM; echo deaf; sleep 600; sleep 600")], {
      stderr: 'log',
      stop_grace: '300ms',
      before_timeout: '60s',
    }),
  );
  const client = await connectTo(daemon.port('it'));
  await daemon.waitFor('said', { line: 'deaf' });
  daemon.signal('SIGTERM');
  expect(await daemon.ended()).toBe(0);
  expect(await client.rest()).toBe('');
  expect(daemon.all('refused')).toMatchObject([{ reason: 'stopping' }]);
});

/** What is not the connection's, nor of each process. */
function own({ descriptors, pid, ...facts }: Dump): object {
  expect([descriptors.length, pid > 0]).toEqual([3, true]);
  const { argv, group, session, ...others } = facts;
  expect(argv).toHaveLength(1);
  expect([group, session]).toEqual([pid, pid]);
  return others;
}
