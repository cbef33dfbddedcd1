/**
 * What programs write to their standard error under `stderr: log`: it is in the log, and however much it is, and whatever they do to
 * the pipe, nobody else is the worse for it.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connectTo, exchange, inParallel, type Client } from './client';
import { startDaemon, type Daemon, type EventOf } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture } from './fixtures';
import { findProgram, isRoot, testAsRoot } from './machine';
import { isRunning, openFds } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

/** Services of one program each, that say what they say to the log. */
async function serve(programs: Readonly<Record<string, readonly string[]>>): Promise<Daemon> {
  const entries = Object.entries(programs).map(([name, exec]) => [name, { listen: '127.0.0.1:0', exec }]);
  const defaults = { stderr: 'log', stop_grace: '100ms' };
  return startDaemon(JSON.stringify({ defaults, services: Object.fromEntries(entries) as unknown }));
}

function script(text: string): readonly string[] {
  return ['sh', '-c', text];
}

/** The lines of a service, without what was left out. */
function linesOf(daemon: Daemon, service: string): string[] {
  return daemon.all('said', { service }).flatMap(({ line }) => line ?? []);
}

function leftOut(daemon: Daemon, service: string): number {
  return daemon.all('said', { service }).reduce((sum, { count = 0 }) => sum + count, 0);
}

function pipesOf(daemon: Daemon): number {
  return [...openFds(daemon.pid).values()].filter((target) => target.startsWith('pipe:')).length;
}

testAsRoot('a program may open its standard error by its name, whoever it runs as (needs root)', async () => {
  const daemon = await serve({ it: script('echo named >/dev/stderr; echo plain >&2') });
  await exchange(daemon.port(), '');
  await daemon.waitFor('reaped', { exit: 0 });
  expect(linesOf(daemon, 'it')).toEqual(['named', 'plain']);
});

test('a line that comes byte by byte is one line, and its characters are whole', async () => {
  const write = "import os; [os.write(2, bytes([byte])) for byte in 'zwölf €\\n'.encode()]";
  const daemon = await serve({ it: [findProgram('python3'), '-c', write] });
  await exchange(daemon.port(), '');
  await daemon.waitFor('reaped');
  expect(linesOf(daemon, 'it')).toEqual(['zwölf €']);
});

describe('a service that floods its standard error', () => {
  test('costs no other service an event, and is told how much was left out', async () => {
    const daemon = await serve({ flood: script('yes >&2'), calm: script('echo said >&2; echo answer') });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectTo(daemon.port('flood'))));
    await daemon.waitFor('said', ({ service, count }) => service === 'flood' && count !== undefined);
    await inParallel(100, 8, async () => {
      expect(await exchange(daemon.port('calm'), '')).toBe('answer\n');
    });
    for (const client of clients) client.socket.destroy();
    await daemon.waitForCount('reaped', 100, { service: 'calm' });
    expect(linesOf(daemon, 'calm')).toEqual(Array.from({ length: 100 }, () => 'said'));
    expect(daemon.all('accepted', { service: 'calm' })).toHaveLength(100);
    await daemon.stop();
    expect(daemon.all('lost')).toEqual([]);
    expect(daemon.all('reaped', { service: 'flood' })).toHaveLength(20);
    expect(daemon.all('stopped')).toMatchObject([{ children: 0 }]);
  });

  test('has every line either told or counted, and the last 20 told before its end', async () => {
    const daemon = await serve({ it: script('seq 50000 >&2; printf end >&2') });
    await exchange(daemon.port(), '');
    await daemon.waitFor('reaped');
    const lines = linesOf(daemon, 'it');
    expect(lines.slice(0, 1000)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index + 1)));
    expect(lines.slice(-20)).toEqual([...Array.from({ length: 19 }, (_, index) => String(49_982 + index)), 'end']);
    expect(daemon.events.at(-1)?.event).toBe('reaped');
    await untilTrue('all is accounted for', () => linesOf(daemon, 'it').length + leftOut(daemon, 'it') === 50_001);
  });

  test('goes on as if somebody read it', async () => {
    const daemon = await serve({ it: script('head -c 20000000 /dev/zero >&2; echo done') });
    expect(await exchange(daemon.port(), '')).toBe('done\n');
  });

  test('has the count told before stdiod ends', async () => {
    const daemon = await serve({ it: script('seq 5000 >&2') });
    await exchange(daemon.port(), '');
    await daemon.waitFor('reaped');
    expect(await daemon.stop()).toBe(0);
    expect(linesOf(daemon, 'it').length + leftOut(daemon, 'it')).toBe(5000);
    expect(daemon.events.at(-1)?.event).toBe('stopped');
  });
});

describe('a process that a program leaves behind', () => {
  test('is heard as the connection that it was started for, and no longer costs anything when it ends', async () => {
    const daemon = await serve({ it: script('exec 3<&0; (cat <&3; echo behind >&2) & echo before >&2') });
    const before = pipesOf(daemon);
    const client = await connectTo(daemon.port());
    const reaped = await daemon.waitFor('reaped');
    expect([linesOf(daemon, 'it'), pipesOf(daemon)]).toEqual([['before'], before + 1]);
    client.socket.end();
    const told: EventOf<'said'> = await daemon.waitFor('said', { line: 'behind' });
    expect([told.connection, told.pid]).toEqual([reaped.connection, reaped.pid]);
    await untilTrue('the pipe is closed', () => pipesOf(daemon) === before);
  });

  test('loses its pipe to younger ones, so that descriptors do not run out', async () => {
    const daemon = await serve({ it: script('sleep 300 <&- >&- & echo $!') });
    const before = pipesOf(daemon);
    const pids: number[] = [];
    atEnd(() => {
      for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    });
    await inParallel(60, 4, async () => {
      pids.push(Number(await exchange(daemon.port(), '')));
    });
    await daemon.waitForCount('reaped', 60);
    expect(pipesOf(daemon)).toBe(before + 16);
    expect(pids.filter(isRunning)).toHaveLength(60);
  });
});

describe('a program that abuses its standard error', () => {
  const WORDS = ['nonblock', 'packets', 'enlarge', 'owner', 'read', 'bytes', 'splice', 'chmod'];

  test.each(WORDS)('is heard to its end, and stdiod serves on: %s', async (word) => {
    const daemon = await serve({ it: [fixture('abuses-stderr.py')], calm: script('echo fine') });
    expect(await exchange(daemon.port('it'), `${word}\n`)).toBe(`done ${word}\n`);
    expect(await daemon.waitFor('reaped', { service: 'it' })).toMatchObject({ exit: 0 });
    expect(linesOf(daemon, 'it').at(-1)).toBe(`after ${word}`);
    expect(await exchange(daemon.port('calm'), '')).toBe('fine\n');
    expect(await daemon.stop()).toBe(0);
  });

  test('closes it, and nothing of the pipe is left', async () => {
    const daemon = await serve({ it: [fixture('abuses-stderr.py')] });
    const before = pipesOf(daemon);
    expect(await exchange(daemon.port(), 'close\n')).toBe('done close\n');
    await daemon.waitFor('reaped', { exit: 0 });
    expect(pipesOf(daemon)).toBe(before);
  });

  test('cannot forge an event, nor move a terminal', async () => {
    const daemon = await serve({ it: [fixture('abuses-stderr.py')] });
    await exchange(daemon.port(), 'bytes\n');
    await daemon.waitFor('reaped');
    expect(linesOf(daemon, 'it')[0]).toBe('\0\u001b[2J\ufffd\ufffd\ufffd\r\u007f\u202e');

    expect(daemon.stderr).not.toMatch(/[\0\u001b\u0080-\u009f\u007f\u202e]/);
  });
});

/** Only with the right to keep the kernel waiting for a page (userfaultfd(2)); a user has it with a FUSE server of their own. */
const mayHold = isRoot && spawnSync(fixture('holds-pipe.c'), ['try']).status === 0;
const testHolding = mayHold ? test : test.skip;

describe('a program that holds the kernel’s lock of its pipe', () => {
  async function serveHolder(): Promise<Daemon> {
    const holder = { listen: '127.0.0.1:0', exec: [fixture('holds-pipe.c')], user: 'root' };
    const calm = { listen: '127.0.0.1:0', exec: script('echo said >&2; echo fine') };
    return startDaemon(JSON.stringify({ defaults: { stderr: 'log' }, services: { holder, calm } }));
  }

  /** @returns the client of one that holds it, with something to read in the pipe */
  async function hold(daemon: Daemon): Promise<Client> {
    const client = await connectTo(daemon.port('holder'));
    await daemon.waitFor('accepted', { service: 'holder' });
    await daemon.whileStopped(async () => {
      expect(await client.ask('hold')).toBe('held');
    });
    return client;
  }

  testHolding('holds up nobody else, and its service is served and not heard', async () => {
    const daemon = await serveHolder();
    await hold(daemon);
    expect(await daemon.waitFor('unheard')).toMatchObject({ service: 'holder', duration: 1 });
    expect(await exchange(daemon.port('calm'), '')).toBe('fine\n');
    expect(await exchange(daemon.port('holder'), '')).toBe('free\n');
    await daemon.waitForCount('reaped', 2);
    expect([linesOf(daemon, 'calm'), linesOf(daemon, 'holder')]).toEqual([['said'], []]);
    expect(await daemon.stop()).toBe(0);
  });

  testHolding(
    'is heard when it lets go, and so are those who start then, and nothing of the pipe is left',
    async () => {
      const daemon = await serveHolder();
      const before = pipesOf(daemon);
      const client = await hold(daemon);
      await daemon.waitFor('unheard');
      client.end();
      await daemon.waitFor('reaped', { service: 'holder', exit: 0 });
      await daemon.waitFor('said', { service: 'holder', line: 'before' });
      await untilTrue('the pipe is closed', () => pipesOf(daemon) === before);
      expect(await exchange(daemon.port('holder'), '')).toBe('free\n');
      await daemon.waitFor('said', { service: 'holder', line: 'free' });
    },
  );
});

test('a program that came by tcpmux is heard', async () => {
  const program = { tcpmux: true, exec: script('echo heard >&2'), stderr: 'log' };
  const services = { mux: { listen: '127.0.0.1:0', builtin: 'tcpmux' }, it: program };
  const daemon = await startDaemon(JSON.stringify({ services }));
  await exchange(daemon.port('mux'), 'it\r\n');
  const { connection, pid } = await daemon.waitFor('accepted', { service: 'it' });
  expect(await daemon.waitFor('said')).toMatchObject({ service: 'it', connection, pid, line: 'heard' });
});

test('a program that has the socket itself is heard while it stays, and floods nobody', async () => {
  const program =
    'import socket, sys; s = socket.socket(fileno=0)\nwhile s.recv(9): print("x\\n" * 5000, file=sys.stderr)';
  const it = { listen: '127.0.0.1:0/udp', exec: [findProgram('python3'), '-uc', program], stop_grace: '100ms' };
  const daemon = await startDaemon(JSON.stringify({ services: { it } }));
  const client = createSocket('udp4');
  atEnd(() => {
    client.close();
  });
  client.send('x', daemon.port(), '127.0.0.1');
  await daemon.waitFor('said', ({ count }) => count !== undefined);
  expect(daemon.all('reaped')).toEqual([]);
});

describe('an operator whose program fails', () => {
  const FAILS = script('echo why it failed >&2; exit 3');

  /** @returns what was said of stderr with each end, in the order of the ends */
  async function hintsOf(
    it: object,
    clients: number,
    before: (daemon: Daemon) => Promise<unknown>,
  ): Promise<unknown[]> {
    const service = { listen: '127.0.0.1:0', stop_grace: '100ms', ...it };
    const daemon = await startDaemon(JSON.stringify({ services: { it: service } }));
    await inParallel(clients, 1, async (index) => {
      await before(daemon);
      await daemon.waitForCount('reaped', index + 1);
    });
    await daemon.stop();
    return daemon.all('reaped').map(({ hint }) => hint);
  }

  async function visit(daemon: Daemon): Promise<void> {
    await exchange(daemon.port(), '');
  }

  const HINT = 'what it wrote to stderr went to its client; stderr: log brings it here';

  test('is told the first time where its words went, and which key brings them', async () => {
    expect(await hintsOf({ exec: FAILS }, 3, visit)).toEqual([HINT, undefined, undefined]);
    expect(await hintsOf({ exec: script('kill -SEGV $$') }, 1, visit)).toEqual([HINT]);
  });

  test('is told too of a socket that takes no words', async () => {
    const ends = script('exec 3<&-; exit 1');
    const [hint] = await hintsOf({ exec: ends, wait: true, stderr: 'socket' }, 1, async (daemon) => {
      const client = await connectTo(daemon.port());
      await daemon.waitFor('reaped');
      client.socket.destroy();
    });
    expect(hint).toBe('what it wrote to stderr went to the socket, which takes no words; stderr: log brings it here');
  });

  test.each([
    ['its words are in the log', { exec: FAILS, stderr: 'log' }],
    ['they are wanted nowhere', { exec: FAILS, stderr: 'null' }],
    ['it has not failed', { exec: script('exit 0') }],
    ['its client had left', { exec: script('kill -PIPE $$') }],
  ])('is told nothing where %s', async (_, it) => {
    expect(await hintsOf(it, 1, visit)).toEqual([undefined]);
  });

  test('is told nothing of those that stdiod ends itself', async () => {
    const visited = hintsOf({ exec: 'sleep 300' }, 1, async (daemon) => {
      const client = await connectTo(daemon.port());
      const { pid } = await daemon.waitFor('accepted');
      await untilTrue('the program runs', () => isRunning(pid));
      daemon.signal('SIGTERM');
      await daemon.waitFor('reaped');
      client.socket.destroy();
    });
    expect(await visited).toEqual([undefined]);
  });
});
