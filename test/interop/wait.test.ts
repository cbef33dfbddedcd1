/**
 * Programs made for systemd's socket activation under `wait: true`: they look for their listening socket on descriptor 3 and
 * in LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf } from './client-program';
import { portOf } from './configure';
import { giveToServices, makeTestFolder } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/m;

/** @param name of the service: what the program reads in LISTEN_FDNAMES */
function serve(name: string, listen: string, exec: readonly string[]): Promise<Daemon> {
  const service = { listen, exec, wait: true, stderr: null };
  return startDaemon(JSON.stringify({ services: { [name]: service } }));
}

describe('uuidd --socket-activation', () => {
  const testUuidd = testNeeding('uuidd');

  /** @param seconds without a client, after which it leaves */
  async function start(seconds: number): Promise<{ daemon: Daemon; ask: (...words: string[]) => Promise<string> }> {
    const socket = join(makeTestFolder(), 'request');
    const options = ['--socket-activation', '--no-fork', '--no-pid', '--timeout', String(seconds)];
    const daemon = await serve('uuidd', `unix:${socket}`, ['uuidd', ...options]);
    return { daemon, ask: (...words) => outputOf(['uuidd', '--socket', socket, ...words]) };
  }

  testUuidd('answers its clients over a Unix socket, all of them from one process', async () => {
    const { daemon, ask } = await start(60);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask('--random')));
    for (const answer of answers) expect(answer).toMatch(UUID);
    expect(new Set(answers).size).toBe(answers.length);
    expect(await daemon.waitForCount('started', 1)).toHaveLength(1);
  });

  testUuidd('is started again for the next client when it has left for want of any', async () => {
    const { daemon, ask } = await start(1);
    for (const count of [1, 2]) {
      expect(await ask('--random')).toMatch(UUID);
      const started = await daemon.waitForCount('started', count);
      expect(await daemon.waitFor('reaped', { pid: started[count - 1]?.pid ?? 0 })).toMatchObject({ children: 0 });
    }
  });
});

describe('gpg-agent --supervised', () => {
  const testAgent = testNeeding('gpg-agent', 'gpg-connect-agent');

  /** Its socket has to be called `std`, and its folder has to be closed to others. */
  async function start(): Promise<{ daemon: Daemon; ask: (...commands: string[]) => Promise<string> }> {
    const folder = makeTestFolder();
    const home = join(folder, 'home');
    mkdirSync(home);
    chmodSync(home, 0o700);
    giveToServices(home);
    const socket = join(folder, 'agent');
    const daemon = await serve('std', `unix:${socket}`, ['gpg-agent', '--supervised', '--homedir', home]);
    const client = ['gpg-connect-agent', '--homedir', makeTestFolder(), '--raw-socket', socket];
    return { daemon, ask: (...commands) => outputOf([...client, ...commands, '/bye']) };
  }

  testAgent('gets its clients', async () => {
    const { daemon, ask } = await start();
    const answer = await ask('GETINFO pid');
    expect(answer).toBe(`D ${(await daemon.waitFor('started')).pid}\nOK\n`);
    expect(await ask('GETINFO pid')).toBe(answer);
  });

  testAgent('is started again for the next client when it was told to end', async () => {
    const { daemon, ask } = await start();
    await ask('KILLAGENT');
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
    const answer = await ask('GETINFO pid');
    const [, second] = await daemon.waitForCount('started', 2);
    expect(answer).toBe(`D ${second?.pid ?? ''}\nOK\n`);
  });
});

const PYTHON = `
import os, socket
ours = socket.socket(fileno=3)
client = ours.accept()[0]
facts = [os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'], os.environ['LISTEN_PID'] == str(os.getpid())]
client.sendall(repr((facts, os.getpid(), os.path.samestat(os.fstat(0), os.fstat(3)))).encode())
`;

testNeeding('python3', 'nc.openbsd')('a Python script finds its socket as sd_listen_fds does', async () => {
  const daemon = await serve('web', '127.0.0.1:0', ['python3', '-c', PYTHON]);
  for (const count of [1, 2]) {
    const answer = await outputOf(['nc.openbsd', '-d', '127.0.0.1', String(portOf(daemon))]);
    const started = await daemon.waitForCount('started', count);
    expect(answer).toBe(`(['1', 'web', True], ${started[count - 1]?.pid ?? ''}, True)`);
    await daemon.waitForCount('reaped', count, { exit: 0 });
  }
});
