/**
 * Whatever becomes of the events, connections go on.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { exchange, inParallel } from './client';
import { Daemon, launchDaemon, startDaemon } from './daemon';
import { dumpProgram, parseDump } from './dump';
import { atEnd, endAll } from './endings';
import { makeFolder } from './fixtures';
import { fdFlags, listeners, openFds } from './proc';
import { until } from './until';

afterEach(endAll);

interface Told {
  readonly event: string;
  readonly count?: number;
}

/** The longest name makes the longest events. */
const NAME = 'n'.repeat(255);
const STALLED = `services: {${NAME}: {listen: "127.0.0.1:0", exec: "true"}}\n`;
/** Two events of 400 bytes each: far more than the pipe and the daemon's own queue of 1 MiB hold. */
const VISITS = 2500;

/** For a daemon whose events nobody hears. */
async function portOf(daemon: Daemon): Promise<number> {
  return until('the daemon listens', () => {
    if (daemon.isEnded) throw new Error('the daemon has ended');
    return [...listeners(daemon.pid).keys()][0];
  });
}

async function visit(port: number, times: number): Promise<void> {
  await inParallel(times, 16, async () => {
    expect(await exchange(port, '')).toBe('');
  });
}

function linesOf(text: string): Told[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Told);
}

function count(told: readonly Told[], event: string): number {
  return told.filter((line) => line.event === event).length;
}

/** null: nothing yet; empty: the end. */
function readSome(fd: number): string | null {
  const piece = Buffer.alloc(65536);
  try {
    return piece.toString('latin1', 0, readSync(fd, piece));
  } catch {
    return null; // EAGAIN
  }
}

/** A pipe with a name, in a new folder; both ends are ours. */
function makePipe(): { read: number; write: number } {
  const path = join(makeFolder(), 'pipe');
  execFileSync('mkfifo', [path]);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: openSync(path, constants.O_WRONLY) };
}

describe('a reader that has stopped reading', () => {
  function expectAccounts(told: readonly Told[]): void {
    const lost = told.filter(({ event }) => event === 'lost');
    expect(lost.length).toBeGreaterThan(0);
    const number = lost.reduce((sum, line) => sum + (line.count ?? 0), 0);
    expect(count(told, 'accepted') + count(told, 'reaped') + number).toBe(2 * VISITS);
    expect(Object.keys(lost[0] ?? {})).toEqual(['event', 'time', 'count']);
  }

  test('of a pipe delays no connection, and is told how many events it has lost', async () => {
    const { read, write } = makePipe();
    const daemon = launchDaemon(STALLED, { stderr: write });
    closeSync(write);
    await visit(await portOf(daemon), VISITS);
    const text = await readAndStop(read, daemon);
    expectAccounts(linesOf(text));
  });

  test('of a socket delays no connection, and is told how many events it has lost', async () => {
    const daemon = launchDaemon(STALLED);
    daemon.process.stderr?.pause();
    await visit(await portOf(daemon), VISITS);
    daemon.process.stderr?.resume();
    await daemon.waitFor('lost');
    expect(await daemon.stop()).toBe(0);
    expectAccounts(daemon.events);
  });

  /** Reads at last; stops the daemon when it has told of the loss, and reads on to the end. */
  async function readAndStop(fd: number, daemon: Daemon): Promise<string> {
    let text = '';
    await until('the loss is told', () => {
      text += readSome(fd) ?? '';
      return /"lost".*\n/.test(text) ? true : undefined;
    });
    daemon.signal('SIGTERM');
    await until('the end of the pipe', () => {
      const more = readSome(fd);
      text += more ?? '';
      return more === '' ? true : undefined;
    });
    closeSync(fd);
    expect(await daemon.ended()).toBe(0);
    return text;
  }
});

describe('a reader that has left', () => {
  test('a pipe does not stop the daemon', async () => {
    const { read, write } = makePipe();
    const daemon = launchDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n', { stderr: write });
    closeSync(write);
    const port = await portOf(daemon);
    closeSync(read);
    for (const text of ['one', 'two', 'three']) expect(await exchange(port, text)).toBe(text);
    expect(await daemon.stop()).toBe(0);
  });

  test('of a named pipe may be followed by another, who gets what was told meanwhile', async () => {
    const path = join(makeFolder(), 'pipe');
    execFileSync('mkfifo', [path]);
    const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const write = openSync(path, constants.O_WRONLY);
    const daemon = launchDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n', { stderr: write });
    closeSync(write);
    const port = await portOf(daemon);
    closeSync(read);
    expect(await exchange(port, 'unheard')).toBe('unheard');
    const next = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let text = '';
    await until('it is told', () => {
      text += readSome(next) ?? '';
      return text.includes('"reaped"') ? true : undefined;
    });
    closeSync(next);
    expect(count(linesOf(text.slice(0, text.lastIndexOf('\n'))), 'accepted')).toBe(1);
    expect(await daemon.stop()).toBe(0);
  });

  test('a socket does not stop the daemon', async () => {
    const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n');
    daemon.process.stderr?.destroy();
    for (const text of ['one', 'two', 'three']) expect(await exchange(daemon.port(), text)).toBe(text);
    daemon.signal('SIGTERM');
    await until('the daemon ends', () => (daemon.isEnded ? true : undefined));
    expect(daemon.process.exitCode).toBe(0);
  });
});

describe('events in a file', () => {
  test('are all there, after what was there before', async () => {
    const path = join(makeFolder(), 'log');
    const file = openSync(path, 'a');
    execFileSync('sh', ['-c', 'echo "{\\"event\\":\\"before\\"}" >> "$0"', path]);
    const daemon = launchDaemon(STALLED, { stderr: file });
    closeSync(file);
    await visit(await portOf(daemon), 50);
    expect(await daemon.stop()).toBe(0);
    const told = linesOf(readFileSync(path, 'utf8'));
    expect(told[0]?.event).toBe('before');
    expect([count(told, 'accepted'), count(told, 'reaped'), told.at(-1)?.event]).toEqual([50, 50, 'stopped']);
  });
});

describe('the stderr that the daemon shares with others', () => {
  test('stays in blocking mode when it is a pipe', async () => {
    const { read, write } = makePipe();
    const daemon = launchDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n', { stderr: write });
    atEnd(() => {
      closeSync(read);
      closeSync(write);
    });
    expect(await exchange(await portOf(daemon), 'hello')).toBe('hello');
    expect(fdFlags(daemon.pid, 2) & constants.O_NONBLOCK).toBe(0);
  });

  test('stays in blocking mode when it is a socket', async () => {
    const daemon = await startDaemon('services: {echo: {listen: "127.0.0.1:0", exec: cat}}\n');
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect(fdFlags(daemon.pid, 2) & constants.O_NONBLOCK).toBe(0);
  });
});

describe('a daemon that was started with closed descriptors', () => {
  const SUBSETS = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]];

  test.each(SUBSETS.map((fds) => fds.join(', ')))(
    '%s serves, and its children have the connection on 0, 1, 2',
    async (fds) => {
      const closed = fds.split(', ').map((fd) => `${fd}>&-`);
      const wrapper = ['sh', '-c', `exec "$@" ${closed.join(' ')}`, 'sh'];
      const daemon = launchDaemon(`services: {it: {listen: "127.0.0.1:0", exec: ${dumpProgram()}}}\n`, {
        wrapper,
      });
      const port = await portOf(daemon);
      const before = openFds(daemon.pid);
      for (let time = 0; time < 3; time += 1) {
        const { descriptors } = parseDump(await exchange(port, ''));
        expect(descriptors).toMatchObject([0, 1, 2].map((fd) => ({ fd, kind: 'socket', blocking: true })));
        expect(new Set(descriptors.map(({ target }) => target)).size).toBe(1);
      }
      for (const fd of [0, 1, 2]) expect(before.has(fd)).toBe(true);
      expect(await daemon.stop()).toBe(0);
    },
  );
});
