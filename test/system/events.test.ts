/**
 * What stdiod tells of what it does.
 */
import { chmodSync } from 'node:fs';
import { constants } from 'node:os';
import { connectTo, exchange, inParallel } from './client';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { findFreePorts, testCore } from './machine';
import { listeners } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const ECHO = 'services: {echo: {listen: "127.0.0.1:0", exec: cat, max_connections: 1}}\n';

/** The lines of one event as they were written. */
function linesOf(daemon: Daemon, event: string): string[] {
  return daemon.stderr.split('\n').filter((line) => line.startsWith(`{"event":"${event}",`));
}

function keysOf(daemon: Daemon, event: string): string[] {
  return Object.keys(JSON.parse(linesOf(daemon, event)[0] ?? '{}') as object);
}

describe('an event on a pipe', () => {
  test('is a JSON line with its fields in a fixed order', async () => {
    const daemon = await startDaemon(ECHO);
    const first = await connectTo(daemon.port());
    await first.ask('one');
    const second = await connectTo(daemon.port());
    await daemon.waitFor('paused');
    daemon.signal('SIGUSR1');
    await daemon.waitFor('status');
    daemon.signal('SIGUSR2');
    await daemon.waitFor('ignored');
    for (const client of [first, second]) client.end();
    await daemon.waitForCount('reaped', 2);
    await daemon.waitFor('resumed');
    await daemon.reload(ECHO);
    expect(await daemon.stop()).toBe(0);
    const told = (event: string, ...fields: string[]): void => {
      expect([event, ...keysOf(daemon, event)]).toEqual([event, 'event', 'time', ...fields]);
    };
    told('listening', 'service', 'address', 'backlog');
    told('serving', 'version', 'pid', 'file', 'services', 'listeners');
    told('accepted', 'service', 'connection', 'peer', 'local', 'pid', 'children', 'limit');
    told('reaped', 'service', 'connection', 'pid', 'exit', 'duration', 'cpu', 'rss', 'usage', 'children', 'limit');
    told('paused', 'service', 'reason', 'children', 'limit');
    told('resumed', 'service', 'children', 'limit');
    told('status', 'service', 'listeners', 'children', 'limit');
    told('ignored', 'signal');
    told('reloaded', 'added', 'changed', 'removed', 'kept');
    told('stopping', 'signal', 'children');
    told('stopped', 'children');
  });

  test('tells of a connection what a program can work with', async () => {
    const before = Date.now();
    const daemon = await startDaemon(ECHO);
    const client = await connectTo(daemon.port());
    await client.ask('hello');
    const accepted = await daemon.waitFor('accepted');
    expect(accepted).toMatchObject({ service: 'echo', peer: client.address, children: 1, limit: 1 });
    expect(Date.parse(accepted.time)).toBeGreaterThanOrEqual(before);
    expect(accepted.time).toBe(new Date(accepted.time).toISOString());
    client.end();
    const reaped = await daemon.waitFor('reaped');
    const { connection, pid } = accepted;
    expect(reaped).toMatchObject({ service: 'echo', connection, pid, exit: 0, children: 0, limit: 1 });
    expect(reaped.duration).toBeGreaterThan(0);
    expect(reaped.duration).toBeLessThan((Date.now() - before) / 1000 + 1);
    expect(reaped.cpu).toBeGreaterThanOrEqual(0);
    expect(reaped.rss === null || reaped.rss > 0).toBe(true);
  });

  test('tells what a program has used, by the kernel and not by the clock', async () => {
    const script = 'head -c 50000000 /dev/zero | wc -c';
    const daemon = await startDaemon(
      `services: {it: {listen: "127.0.0.1:0", exec: [sh, -c, ${JSON.stringify(script)}]}}\n`,
    );
    await exchange(daemon.port(), '');
    const { usage, cpu } = await daemon.waitFor('reaped');
    expect(usage.user + usage.system).toBeCloseTo(cpu, 2);
    expect(usage.minor_faults).toBeGreaterThan(50);
    expect(usage.voluntary_switches).toBeGreaterThan(0);
    expect(usage.disk_read % 512).toBe(0);
    expect(usage.disk_written % 512).toBe(0);
  });

  testCore('tells of a core where the file wants one, and of none else (needs core_pattern "core")', async () => {
    const folder = makeFolder();
    chmodSync(folder, 0o777);
    const it = `listen: "127.0.0.1:0", exec: [sh, -c, 'kill -SEGV $$'], directory: "${folder}"`;
    const daemon = await startDaemon(`services:
  none: {${it}}
  some: {${it}, rlimits: {core_size: 10M}}
`);
    for (const name of ['none', 'some']) await exchange(daemon.port(name), '');
    const none = await daemon.waitFor('reaped', { service: 'none' });
    expect([none.signal, 'core' in none]).toEqual(['SIGSEGV', false]);
    expect(await daemon.waitFor('reaped', { service: 'some' })).toMatchObject({ signal: 'SIGSEGV', core: true });
  });

  test('tells the peer of an IPv4 client on a wildcard without ::ffff:', async () => {
    const daemon = await startDaemon('services: {echo: {listen: 0, exec: cat}}\n');
    await exchange(daemon.port(), '');
    expect((await daemon.waitFor('accepted')).peer).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test('is text when the configuration says so', async () => {
    const daemon = await startDaemon(`${ECHO}log: {format: text}\n`);
    const [listening, serving] = daemon.stderr.split('\n');
    expect(listening).toMatch(/^\d\d:\d\d:\d\d listening +service=echo address=127\.0\.0\.1:\d+ backlog=4096$/);
    expect(serving).toMatch(/^\d\d:\d\d:\d\d serving +version=\S+ pid=\d+ file=\S+ services=1 listeners=1$/);
  });
});

describe('an event on a terminal', () => {
  const wrapper = ['python3', fixture('on-terminal.py')];

  test('is a line in columns below the date, and has no colour with NO_COLOR', async () => {
    const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat, max_connections: 9}}\n', {
      wrapper,
      env: { NO_COLOR: '1' },
    });
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(daemon.stderr)?.[1]);
    expect(await exchange(port, 'hello')).toBe('hello');
    await untilTrue('the child is collected', () => daemon.stderr.includes('reaped'));
    await daemon.stop();
    const shapes = [
      /^-- [A-Z][a-z]{2} \d{4}-\d\d-\d\d --$/,
      /^\d\d:\d\d:\d\d listening {3}echo address=127\.0\.0\.1:\d+ backlog=4096$/,
      /^\d\d:\d\d:\d\d serving +version=\S+ pid=\d+ file=\S+ services=1 listeners=1$/,
      /^\d\d:\d\d:\d\d accepted {4}echo \w+ peer=127\.0\.0\.1:\d+ local=127\.0\.0\.1:\d+ pid=\d+ children=1\/9$/,
      /^\d\d:\d\d:\d\d reaped {6}echo \w+ pid=\d+ exit=0 duration=\d+\.\d{3} cpu=\d+\.\d{3} (rss=\S+ )?children=0\/9$/,
    ];
    const lines = daemon.stderr.split('\n');
    for (const [index, shape] of shapes.entries()) expect(lines[index]).toMatch(shape);
  });

  test('has colours where the terminal has', async () => {
    const env = { NO_COLOR: '', FORCE_COLOR: '', TERM: 'xterm' };
    const daemon = await startDaemon('services: {no: {listen: "127.0.0.1:0", exec: "false"}}\n', { wrapper, env });
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(daemon.stderr)?.[1]);
    expect(await exchange(port, '')).toBe('');
    await daemon.untilText(/\u001b\[31mreaped {5} *\u001b\[0m .*\u001b\[31mexit=1\u001b\[0m/);
  });

  test('of a range of ports is one line', async () => {
    const first = await findFreePorts(300);
    const range = `127.0.0.1:${first}-${first + 299}`;
    const daemon = await startDaemon(`services: {many: {listen: "${range}", exec: cat}}\n`, { wrapper });
    expect(daemon.stderr.match(/listening.*/g)).toEqual([`listening   many address=${range} backlog=4096`]);
    expect(listeners(daemon.pid).size).toBe(300);
  });

  test('of a file that is not taken shows the line that is wrong, as check does', async () => {
    const daemon = await startDaemon(ECHO, { wrapper, env: { NO_COLOR: '1' } });
    daemon.configure('services:\n  echo: {listen: 70000, exec: cat}\n');
    daemon.signal('SIGHUP');
    await daemon.untilText(/rejected/);
    expect(daemon.stderr).toMatch(
      /problem {5}\S+\/services.yaml:2:18: services.echo.listen: port must be 0-65535, got 70000\n +echo: .*\n +\^\n/,
    );
  });

  test('is JSON with --json', async () => {
    const daemon = await startDaemon(ECHO, { wrapper });
    await daemon.stop();
    expect(daemon.events).toEqual([]);
    const json = await startDaemon(ECHO, { wrapper, args: ['--json'] });
    expect(json.all('listening')).toHaveLength(1);
  });

  test('cannot be made to obey what a file is named', async () => {
    const daemon = await startDaemon(`include: "*.d"\n${ECHO}`, { wrapper, env: { NO_COLOR: '1' } });
    daemon.addFile('\u001b[31m\u009b\u202e\n.d', 'nonsense: 1\n');
    daemon.signal('SIGHUP');
    await daemon.untilText(/rejected/);
    expect(daemon.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});

test('text that comes from outside is escaped in JSON as well', async () => {
  const daemon = await startDaemon(`include: "*.d"\n${ECHO}`);
  const name = '\u001b[31m\u009b\u202e\n.d';
  daemon.addFile(name, '"\u202ekey": 1\n');
  daemon.signal('SIGHUP');
  const { file } = await daemon.waitFor('problem');
  expect(file).toContain(name);
  expect(daemon.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

describe('the end of a child', () => {
  /** What `reaped` says of each child when each was sent one of these lines. */
  async function endings(program: string, lines: readonly string[]): Promise<(string | number | undefined)[]> {
    const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: ${program}}}\n`);
    const told: (string | number | undefined)[] = [];
    await inParallel(lines.length, 16, async (index) => {
      const client = await connectTo(daemon.port());
      client.send(`${lines[index] ?? ''}\n`);
      await client.rest();
      const { connection } = await daemon.waitFor('accepted', { peer: client.address });
      client.end();
      const reaped = await daemon.waitFor('reaped', { connection });
      expect('exit' in reaped).not.toBe('signal' in reaped);
      told[index] = reaped.exit ?? reaped.signal;
    });
    expect(await daemon.waitForCount('accepted', lines.length)).toHaveLength(lines.length);
    expect(daemon.all('reaped')).toHaveLength(lines.length);
    return told;
  }

  test('is told with its exit status, for each of the 256', async () => {
    const statuses = Array.from({ length: 256 }, (_, status) => status);
    expect(await endings(fixture('exits-as-told.sh'), statuses.map(String))).toEqual(statuses);
  });

  test('is told with the name of its signal, for each one that ends a process', async () => {
    const survived = ['SIGCHLD', 'SIGCONT', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGWINCH'];
    const aliases = ['SIGIOT', 'SIGPOLL', 'SIGUNUSED'];
    const named = Object.entries(constants.signals).filter(([name]) => ![...survived, ...aliases].includes(name));
    const realTime = Array.from({ length: 31 }, (_, index): [string, number] => [`SIGRTMIN+${index}`, 34 + index]);
    const signals = [...named, ...realTime.slice(1), ['SIGRTMIN', 34] as const];
    const told = await endings(
      fixture('dies-by-signal.c'),
      signals.map(([, number]) => String(number)),
    );
    expect(told).toEqual(signals.map(([name]) => name));
  });
});
