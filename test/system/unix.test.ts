/**
 * Unix sockets: their paths, and who connects.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { launchDaemon, startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { testAsRoot } from './machine';
import { openFds } from './proc';
import { expectRest } from './rest';
import { askUnix, connectUnix, exchangeUnix, restOf } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

function serve(listen: string, exec = 'echo hello', more = ''): string {
  return `services: {it: {listen: "${listen}", exec: ${exec}, pass_env: [PATH], stop_grace: 100ms, ${more}}}\n`;
}

function wait(listen: string, exec = fixture('accepts.py'), more = ''): string {
  return serve(listen, exec, `wait: true, stderr: null, ${more}`);
}

/** Everybody may connect, so that a test may be anybody. */
const OPEN = 'socket: {mode: "0666"}';

function newPath(): string {
  return join(makeFolder(), 'socket');
}

function newName(): string {
  return `@stdiod-test-${process.pid}-${basename(makeFolder())}`;
}

/** Until the queue is full. */
async function connectForEver(path: string): Promise<never> {
  for (;;) await connectUnix(path);
}

/** Leaves a socket in the file system that nobody listens on. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer().listen(`${path}.made`);
  await once(server, 'listening');
  renameSync(`${path}.made`, path);
  server.close();
  await once(server, 'close');
}

describe('a Unix socket', () => {
  test.each(['path', 'abstract'])('with %s serves each connection', async (kind) => {
    const path = kind === 'path' ? newPath() : newName();
    const daemon = await startDaemon(serve(`unix:${path}`, 'cat'));
    for (const text of ['one', 'two']) expect(await askUnix('stream', path, text)).toEqual([text]);
    await daemon.waitForCount('reaped', 2);
    expect(daemon.all('listening')).toMatchObject([{ address: `unix:${path}` }]);
  });

  test.each(['path', 'abstract'])('of packets with %s serves each connection', async (kind) => {
    const path = kind === 'path' ? newPath() : newName();
    await startDaemon(serve(`unix-seqpacket:${path}`, 'cat'));
    expect(await askUnix('seqpacket', path, 'one', 'two')).toEqual(['one', 'two']);
  });

  test.each(['path', 'abstract'])('of datagrams with %s is handed to a child', async (kind) => {
    const path = kind === 'path' ? newPath() : newName();
    const more = kind === 'path' ? OPEN : '';
    const daemon = await startDaemon(serve(`unix-dgram:${path}`, fixture('receives.py'), `stderr: null, ${more}`));
    for (let round = 0; round < 2; round += 1) {
      const answers = await askUnix('dgram', path, 'hello', 'leave');
      expect(answers).toEqual([expect.stringMatching(/^\d+ hello$/), expect.stringMatching(/^\d+ leave$/)]);
      await daemon.waitForCount('reaped', round + 1);
    }
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('tells the program and the log who connects', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`, 'env'));
    const lines = (await exchangeUnix(path)).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'PROTO=UNIX',
        `UNIXLOCALPATH=${path}`,
        `UNIXREMOTEPID=${process.pid}`,
        `UNIXREMOTEEUID=${process.geteuid?.() ?? -1}`,
        `UNIXREMOTEEGID=${process.getegid?.() ?? -1}`,
      ]),
    );
    const { peer } = await daemon.waitFor('accepted');
    expect(peer).toContain(String(process.pid));
    expect(peer).toContain(String(process.geteuid?.()));
  });

  test('with a relative path lies beside the file that names it', async () => {
    const daemon = await startDaemon(serve('unix:./own'));
    expect(await exchangeUnix(join(daemon.folder, 'own'))).toBe('hello\n');
  });

  test('whose path is too long is refused with the limit', async () => {
    const daemon = launchDaemon(serve(`unix:/tmp/${'x'.repeat(120)}`));
    expect(await daemon.ended()).toBe(78);
    expect(daemon.stderr).toContain('107');
  });

  test('may have the longest path that the kernel takes', async () => {
    const folder = makeFolder();
    const path = join(folder, 'x'.repeat(107 - folder.length - 1));
    await startDaemon(serve(`unix:${path}`));
    expect(await exchangeUnix(path)).toBe('hello\n');
  });

  test('holds clients for its next child under wait, on the same socket', async () => {
    const path = newPath();
    const daemon = await startDaemon(wait(`unix:${path}`, `"${fixture('accepts.py')} --once"`, OPEN));
    const { ino } = lstatSync(path);
    const early = await Promise.all(Array.from({ length: 4 }, () => connectUnix(path)));
    for (const socket of early) expect(await restOf(socket, 'hello\n')).toMatch(/^\d+ hello\n$/);
    await daemon.waitForCount('reaped', 4);
    expect(lstatSync(path).ino).toBe(ino);
  });

  test('serves a long queue by children that take one client each without growing pauses', async () => {
    const path = newPath();
    const daemon = await startDaemon(wait(`unix:${path}`, `"${fixture('accepts.py')} --once"`, OPEN));
    const clients = await Promise.all(Array.from({ length: 12 }, () => connectUnix(path)));
    for (const client of clients) await restOf(client, 'hello\n');
    const [ends, starts] = [await daemon.waitForCount('reaped', 12), daemon.all('started')];
    const gap = Date.parse(starts[11]?.time ?? '') - Date.parse(ends[10]?.time ?? '');
    expect(gap).toBeLessThan(5_000);
  });

  test.each(['path', 'abstract'])('with %s that a child shuts down is made anew', async (kind) => {
    const path = kind === 'path' ? newPath() : newName();
    const daemon = await startDaemon(wait(`unix:${path}`, undefined, kind === 'path' ? OPEN : ''));
    await askUnix('stream', path, 'shutdown\n');
    await daemon.waitFor('reaped');
    await expectRest(daemon.pid);
    await untilTrue('clients are served again', async () => {
      const [answer] = await askUnix('stream', path, 'leave\n').catch(() => ['']);
      return (answer ?? '').includes('leave');
    });
    expect(await daemon.waitForCount('started', 2)).toHaveLength(2);
  });
});

describe('a client of a Unix socket that has sent something', () => {
  /** A reset would reject. */
  async function expectEnd(daemon: Daemon, path: string): Promise<void> {
    const client = await daemon.whileStopped(async () => {
      const socket = await connectUnix(path);
      await new Promise((resolve) => socket.write('x'.repeat(100_000), resolve));
      return socket;
    });
    expect(await restOf(client)).toBe('');
  }

  test('sees an end when it is refused', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`, 'cat', 'max_connections: 1, when_full: refuse'));
    await connectUnix(path);
    await daemon.waitFor('accepted');
    await expectEnd(daemon, path);
    expect(await daemon.waitFor('refused')).toMatchObject({ reason: 'service-limit' });
  });

  test('sees an end when the program cannot be started', async () => {
    const [path, program] = [newPath(), join(makeFolder(), 'program')];
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    const daemon = await startDaemon(serve(`unix:${path}`, program));
    rmSync(program);
    await expectEnd(daemon, path);
    expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'execve', error: 'ENOENT' });
  });
});

describe('the path of a Unix socket', () => {
  test('has the mode that the service gives it', async () => {
    const path = newPath();
    await startDaemon(serve(`unix:${path}`, 'cat', 'socket: {mode: "0640"}'));
    expect(lstatSync(path).mode & 0o777).toBe(0o640);
  });

  test('has what the umask leaves it without a mode', async () => {
    const path = newPath();
    await startDaemon(serve(`unix:${path}`, 'cat'), { wrapper: ['sh', '-c', 'umask 027; exec "$@"', 'sh'] });
    expect(lstatSync(path).mode & 0o777).toBe(0o750);
  });

  testAsRoot('has the owner and the group that the service gives it', async () => {
    const path = newPath();
    await startDaemon(serve(`unix:${path}`, 'cat', 'socket: {owner: 4321, group: 1234}'));
    expect(lstatSync(path)).toMatchObject({ uid: 4321, gid: 1234 });
  });

  test('has the mode that a reload gives it, on the same socket', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`, 'cat', 'socket: {mode: "0640"}'));
    const { ino } = lstatSync(path);
    await daemon.reload(serve(`unix:${path}`, 'cat', 'socket: {mode: "0600"}'));
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(lstatSync(path).ino).toBe(ino);
  });

  test('is not taken from another daemon that lives', async () => {
    const path = newPath();
    await startDaemon(serve(`unix:${path}`));
    const second = launchDaemon(serve(`unix:${path}`));
    expect(await second.ended()).toBe(1);
    expect(second.stderr).toContain('EADDRINUSE');
    expect(await exchangeUnix(path)).toBe('hello\n');
  });

  test('is not taken from another daemon that is stopped for a while and has a full queue', async () => {
    const path = newPath();
    const first = await startDaemon(serve(`unix:${path}`, 'echo hello', 'socket: {backlog: 1}'));
    await first.whileStopped(async () => {
      await expect(connectForEver(path)).rejects.toThrow('EAGAIN');
      expect(await launchDaemon(serve(`unix:${path}`)).ended()).toBe(1);
    });
    await first.waitFor('reaped');
    expect(await exchangeUnix(path)).toBe('hello\n');
  });

  test.each([false, true])('is had by one of two daemons that start at once, stale or not: %s', async (isStale) => {
    for (let round = 0; round < 3; round += 1) {
      const path = newPath();
      if (isStale) await leaveStale(path);
      const both = [1, 2].map(() => launchDaemon(serve(`unix:${path}`)));
      const loser = await Promise.race(both.map(async (daemon) => daemon.ended().then(() => daemon)));
      const winner = both.find((daemon) => daemon !== loser);
      await winner?.waitFor('listening');
      expect(loser.stderr).toContain('EADDRINUSE');
      expect(await exchangeUnix(path)).toBe('hello\n');
      expect(readdirSync(join(path, '..'))).toEqual(['socket']);
      expect(await winner?.stop()).toBe(0);
    }
  });

  test('is the name that the program sees', async () => {
    const path = newPath();
    await leaveStale(path);
    const tell = `["python3", "-c", "import socket; print(socket.socket(fileno=0).getsockname())"]`;
    await startDaemon(serve(`unix:${path}`, tell));
    expect(await exchangeUnix(path)).toBe(`${path}\n`);
  });

  test.each(['unix', 'unix-dgram', 'unix-seqpacket'])('is taken over from a stale socket by %s', async (scheme) => {
    const path = newPath();
    await leaveStale(path);
    await startDaemon(serve(`${scheme}:${path}`, 'cat', scheme === 'unix-dgram' ? 'wait: true, stderr: null' : ''));
    expect(readdirSync(join(path, '..'))).toEqual(['socket']);
  });

  test.each(['a file', 'a folder'])('is not touched when it is %s', async (kind) => {
    const path = newPath();
    if (kind === 'a file') writeFileSync(path, 'precious');
    else mkdirSync(path);
    const daemon = launchDaemon(serve(`unix:${path}`));
    expect([1, 78]).toContain(await daemon.ended());
    expect(daemon.stderr).toContain(path);
    expect(lstatSync(path).isSocket()).toBe(false);
    if (kind === 'a file') expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  test('is gone after a stop', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`));
    expect(await daemon.stop()).toBe(0);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  test('stays after a stop when it is another socket by then', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`));
    const server = createServer().listen(`${path}.other`);
    atEnd(() => {
      server.close();
    });
    await once(server, 'listening');
    renameSync(`${path}.other`, path);
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(path)).toBe(true);
  });

  test('is removed with its service, and comes back with it', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`));
    await daemon.reload('services: {}\n');
    expect(existsSync(path)).toBe(false);
    await daemon.reload(serve(`unix:${path}`, 'echo again'));
    expect(await exchangeUnix(path)).toBe('again\n');
  });
});

describe('a reload', () => {
  test('that removes a service serves the clients in its queue', async () => {
    const path = newPath();
    const daemon = await startDaemon(serve(`unix:${path}`, 'cat', 'max_connections: 1').replace('100ms', '60s'));
    const clients = [await connectUnix(path), await connectUnix(path), await connectUnix(path)];
    await daemon.waitFor('paused');
    await daemon.reload('services: {}\n');
    for (const client of clients) expect(await restOf(client, 'hello')).toBe('hello');
  });

  test.each([
    ['unix', 'unix-seqpacket'],
    ['unix-seqpacket', 'unix'],
  ])('changes the kind of a path from %s to %s', async (before, after) => {
    const path = newPath();
    const daemon = await startDaemon(serve(`${before}:${path}`, 'cat'));
    expect(await daemon.reload(serve(`${after}:${path}`, 'cat'))).toMatchObject({ changed: ['it'] });
    expect(await askUnix(after === 'unix' ? 'stream' : 'seqpacket', path, 'new')).toEqual(['new']);
    expect(readdirSync(join(path, '..'))).toEqual(['socket']);
    expect(daemon.all('failed')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  test('changes the kind of one path when another path cannot be had, which is not touched', async () => {
    const [path, other] = [newPath(), newPath()];
    const daemon = await startDaemon(serve(`unix:${path}`));
    writeFileSync(other, 'precious');
    const both = serve(`unix-seqpacket:${path}", "unix:${other}`, 'cat').replace(
      /listen: (.*?), exec/,
      'listen: [$1], exec',
    );
    for (let time = 1; time <= 2; time += 1) {
      expect(await daemon.reload(both)).toMatchObject({ unavailable: 1 });
      expect(await askUnix('seqpacket', path, 'new')).toEqual(['new']);
    }
    const reason = `listen unix:${other}: EEXIST file already exists`;
    expect(daemon.all('unavailable')).toMatchObject([{ reason, served: 'partly' }]);
    expect(readdirSync(join(path, '..'))).toEqual(['socket']);
    expect(readFileSync(other, 'utf8')).toBe('precious');
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('takes an abstract name again that it has just given up', async () => {
    const name = newName();
    const daemon = await startDaemon(serve(`unix:${name}`));
    await daemon.reload('services: {}\n');
    await daemon.reload(serve(`unix:${name}`, 'cat'));
    expect(await askUnix('stream', name, 'again')).toEqual(['again']);
  });

  test.each(['path', 'abstract'])('takes a %s again that a child of a removed service still has', async (kind) => {
    const path = kind === 'path' ? newPath() : newName();
    const yaml = wait(`unix:${path}`, undefined, kind === 'path' ? OPEN : '');
    const daemon = await startDaemon(yaml);
    await askUnix('stream', path, 'hello\n');
    await daemon.reload('services: {}\n');
    await daemon.reload(yaml);
    const [answer] = await askUnix('stream', path, 'hello\n');
    expect(answer).toMatch(/^\d+ hello$/);
  });
});

test('a socket is given back with its descriptor', async () => {
  const path = newPath();
  const daemon = await startDaemon(`services: {other: {listen: "unix:${newPath()}", exec: cat}}\n`);
  const other = daemon.all('listening')[0]?.address.slice('unix:'.length) ?? '';
  const both = `services: {other: {listen: "unix:${other}", exec: cat}, it: {listen: "unix:${path}", exec: cat}}\n`;
  const before = openFds(daemon.pid).size;
  for (let round = 0; round < 3; round += 1) {
    await daemon.reload(both);
    await daemon.reload(`services: {other: {listen: "unix:${other}", exec: cat}}\n`);
  }
  await untilTrue('the descriptors are given back', () => openFds(daemon.pid).size <= before);
});

test('where a thousand files may be open and no more, a path is served and its options change', async () => {
  const path = newPath();
  const limited = { wrapper: ['prlimit', '--nofile=1024:1024'] };
  const daemon = await startDaemon(serve(`unix:${path}`), limited);
  expect(await exchangeUnix(path)).toBe('hello\n');
  await daemon.reload(serve(`unix:${path}`, 'echo hello', 'socket: {backlog: 7}'));
  expect([...daemon.all('unavailable'), ...daemon.all('failed')]).toEqual([]);
});
