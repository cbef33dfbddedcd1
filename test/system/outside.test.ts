/**
 * What is done to our listeners from outside: destroyed, their path removed, their interface taken away.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon } from './daemon';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { testAsRoot, testIpv6 } from './machine';
import { listeners, openFds } from './proc';
import { expectRest } from './rest';
import { exchangeUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

const run = promisify(execFile);

function serve(listen: string, more = ''): string {
  return `services: {it: {listen: "${listen}", exec: cat, stop_grace: 100ms, ${more}}}\n`;
}

/** Of the daemon's listener at a port or a path, `socket:[1234]`. */
function socketAt({ pid }: Daemon, where: number | string): string | undefined {
  if (typeof where === 'number') return listeners(pid).get(where);
  const line = readFileSync(`/proc/${pid}/net/unix`, 'utf8')
    .split('\n')
    .find((each) => each.endsWith(` ${where}`));
  return `socket:[${line?.trim().split(/\s+/)[6] ?? ''}]`;
}

async function shutDown(daemon: Daemon, where: number | string): Promise<void> {
  const socket = socketAt(daemon, where);
  const [fd] = [...openFds(daemon.pid)].find(([, file]) => file === socket) ?? [];
  await run(fixture('shuts-down.py'), [String(daemon.pid), String(fd)]);
}

describe('a listener that somebody destroys', () => {
  testAsRoot('is bound anew at its port, within a second, and told once', async () => {
    const daemon = await startDaemon(serve('127.0.0.1:0'));
    const port = daemon.port();
    const before = socketAt(daemon, port);
    await run('ss', ['-tKH', 'state', 'listening', 'sport', `= :${port}`]);
    await untilTrue('there is a new one', () => ![before, undefined].includes(socketAt(daemon, port)));
    expect(await exchange(port, 'hello')).toBe('hello');
    expect(daemon.all('failed')).toMatchObject([{ verb: 'accept', service: 'it', address: `127.0.0.1:${port}` }]);
    expect(daemon.all('paused')).toEqual([]);
    await expectRest(daemon.pid);
  });

  testAsRoot('while it is paused is bound anew when there is room, and is told to be resumed', async () => {
    const daemon = await startDaemon(serve('127.0.0.1:0', 'max_connections: 1'));
    const port = daemon.port();
    const first = await connectTo(port);
    await first.ask('hello');
    await connectTo(port);
    await daemon.waitFor('paused');
    await shutDown(daemon, port);
    first.end();
    await daemon.waitFor('resumed');
    expect(await exchange(port, 'hello')).toBe('hello');
  });

  testAsRoot('at a Unix path is bound anew, again and again', async () => {
    const path = join(makeFolder(), 'socket');
    const daemon = await startDaemon(serve(`unix:${path}`, 'socket: {mode: "0666"}'));
    for (let round = 1; round <= 3; round += 1) {
      await shutDown(daemon, path);
      await daemon.waitForCount('failed', round);
      expect(await exchangeUnix(path, 'hello')).toBe('hello');
    }
  });
});

describe('a Unix path', () => {
  const open = 'socket: {mode: "0666"}';

  test('that was removed is there again after HUP', async () => {
    const path = join(makeFolder(), 'socket');
    const daemon = await startDaemon(serve(`unix:${path}`, open));
    rmSync(path);
    expect(await daemon.reload(serve(`unix:${path}`, open))).toMatchObject({ kept: 1 });
    expect(await exchangeUnix(path, 'hello')).toBe('hello');
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('that leads to a dead socket of somebody else is ours again after HUP', async () => {
    const path = join(makeFolder(), 'socket');
    const daemon = await startDaemon(serve(`unix:${path}`, open));
    const other = spawn('python3', ['-c', BINDS, `${path}.new`], { stdio: 'ignore' });
    await once(other, 'exit');
    renameSync(`${path}.new`, path);
    await daemon.reload(serve(`unix:${path}`, open));
    expect(await exchangeUnix(path, 'hello')).toBe('hello');
  });

  test('that is still ours keeps its socket', async () => {
    const path = join(makeFolder(), 'socket');
    const daemon = await startDaemon(serve(`unix:${path}`, open));
    const { ino } = lstatSync(path);
    const before = socketAt(daemon, path);
    await daemon.reload(serve(`unix:${path}`, `${open}, max_connections: 7`));
    expect([lstatSync(path).ino, socketAt(daemon, path)]).toEqual([ino, before]);
    expect(daemon.all('listening')).toHaveLength(1);
  });
});

const BINDS = 'import socket, sys\nsocket.socket(socket.AF_UNIX).bind(sys.argv[1])';

testIpv6('an address with an interface that means nothing to it keeps its socket', async () => {
  const daemon = await startDaemon(serve('[::1%lo]:0'));
  const before = socketAt(daemon, daemon.port());
  expect(await daemon.reload(serve('[::1%lo]:0', 'max_connections: 7'))).toMatchObject({ changed: ['it'] });
  expect(socketAt(daemon, daemon.port())).toBe(before);
});

describe('an interface that went and came back', () => {
  const ADDRESS = '192.0.2.1';
  const PLUG = `ip link add stdiod0 type veth peer name stdiod1 netns "$PEER" && ip addr add ${ADDRESS}/24 dev stdiod0 &&
    ip link set stdiod0 up && nsenter -t "$PEER" -n ip addr add 192.0.2.2/24 dev stdiod1 &&
    nsenter -t "$PEER" -n ip link set stdiod1 up`;

  const ASKS = `import socket
s = socket.create_connection(("${ADDRESS}", 7007), 30)
s.sendall(b"hello\\n")
s.shutdown(socket.SHUT_WR)
print(s.makefile().read(), end="")`;

  testAsRoot('is served again after HUP', async () => {
    const holder = spawn('unshare', ['-n', 'sleep', '1000'], { stdio: 'ignore' });
    atEnd(() => void holder.kill('SIGKILL'));
    const peer = String(holder.pid);
    const within = (pid: number | string, script: string): Promise<{ stdout: string }> =>
      run('nsenter', ['-t', String(pid), '-n', 'sh', '-c', script], { env: { ...process.env, PEER: peer } });
    const network = (pid: string): string => readlinkSync(`/proc/${pid}/ns/net`);
    await untilTrue('it has a network of its own', () => network(peer) !== network('self'));
    const wrapper = ['unshare', '-n', 'sh', '-c', `${PLUG} && exec "$@"`, 'sh'];
    const yaml = serve(`${ADDRESS}:7007`, 'socket: {device: stdiod0}');
    const daemon = await startDaemon(yaml, { wrapper, env: { PEER: peer } });
    const ask = async (): Promise<string> => (await within(peer, `python3 -c '${ASKS}'`)).stdout;
    expect(await ask()).toBe('hello\n');
    await within(daemon.pid, `ip link del stdiod0 && ${PLUG}`);
    await daemon.reload(yaml);
    expect(await ask()).toBe('hello\n');
  });
});
