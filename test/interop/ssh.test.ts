/**
 * `sshd -i`, as config/sshd.yaml serves it, with a host key and an account's key of the test's own, and ssh as its client.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { isRunning } from '../system/proc';
import { untilTrue } from '../system/until';
import { bytesOf, outputOf, runProgram, startProgram } from './client-program';
import { Shipped } from './configure';
import { checksum, makeBytes, makeTestFolder, MEGABYTE } from './files';
import { testNeeding } from './needs';

const testSsh = testNeeding('root', 'sshd', 'ssh', 'ssh-keygen');

/**
 * sshd locks itself into this folder, as its manual says; the system makes it when it starts one. It stays: another sshd may be
 * in it by now.
 */
const EMPTY = '/run/sshd';

beforeAll(() => {
  if (process.getuid?.() === 0) mkdirSync(EMPTY, { mode: 0o755, recursive: true });
});

afterEach(endAll);

interface Login {
  readonly daemon: Daemon;
  /** The words of a client that runs the command. */
  readonly ssh: (...command: readonly string[]) => string[];
}

async function serveLogins(): Promise<Login> {
  const folder = makeTestFolder();
  for (const name of ['host', 'user']) {
    await outputOf(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  writeFileSync(join(folder, 'sshd_config'), serverSettings(folder));
  const shipped = new Shipped();
  shipped.edit('config/sshd.yaml', '/usr/sbin/sshd -i', `/usr/sbin/sshd -i -f ${join(folder, 'sshd_config')}`);
  const daemon = await shipped.start('sshd.yaml');
  const hostKey = readFileSync(join(folder, 'host.pub'), 'utf8');
  writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${daemon.port()} ${hostKey}`);
  const words = ['ssh', '-F', 'none', '-p', String(daemon.port()), ...clientSettings(folder), 'root@127.0.0.1'];
  return { daemon, ssh: (...command) => [...words, ...command] };
}

/** The keys lie below the folder for temporary files, which sshd would find too open; PAM is the machine's own affair. */
function serverSettings(folder: string): string {
  const keys = `HostKey ${join(folder, 'host')}\nAuthorizedKeysFile ${join(folder, 'user.pub')}\n`;
  return `${keys}StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPidFile none\n`;
}

function clientSettings(folder: string): string[] {
  const keys = ['-i', join(folder, 'user'), '-o', `UserKnownHostsFile=${join(folder, 'known_hosts')}`];
  const settings = ['BatchMode=yes', 'StrictHostKeyChecking=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none'];
  return [...keys, ...settings.flatMap((setting) => ['-o', setting])];
}

describe('ssh', () => {
  testSsh('runs a command and gets its output and its exit status', async () => {
    const { daemon, ssh } = await serveLogins();
    const { status, stdout } = await runProgram(ssh('echo hello; exit 7'));
    expect([status, stdout.toString()]).toEqual([7, 'hello\n']);
    expect(await daemon.waitFor('reaped')).toMatchObject({ service: 'sshd' });
  });

  testSsh('carries 5 MB there and back unchanged', async () => {
    const { ssh } = await serveLogins();
    const bytes = makeBytes(5 * MEGABYTE);
    expect(await outputOf(ssh('sha256sum'), { input: bytes })).toBe(`${checksum(bytes)}  -\n`);
    expect(checksum(await bytesOf(ssh('cat'), { input: bytes }))).toBe(checksum(bytes));
  });

  testSsh('is known to sshd by its own address and port', async () => {
    const { daemon, ssh } = await serveLogins();
    const connection = await outputOf(ssh('echo $SSH_CONNECTION'));
    const { peer } = await daemon.waitFor('accepted');
    expect(connection).toBe(`${peer.replace(':', ' ')} 127.0.0.1 ${daemon.port()}\n`);
  });

  testSsh('with a key that is not known is refused', async () => {
    const { ssh } = await serveLogins();
    const stranger = join(makeTestFolder(), 'stranger');
    await outputOf(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    const words = ssh('true').map((word) => (word.endsWith('/user') ? stranger : word));
    const { status, stderr } = await runProgram(words);
    expect(status).toBe(255);
    expect(stderr).toContain('Permission denied');
  });

  testSsh('leaves no sshd behind when it is killed', async () => {
    const { daemon, ssh } = await serveLogins();
    const client = startProgram(ssh('echo ready; cat'));
    let text = '';
    client.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await untilTrue('the login is there', () => text === 'ready\n');
    const { pid } = await daemon.waitFor('accepted');
    client.kill('SIGKILL');
    await daemon.waitFor('reaped', { pid });
    await untilTrue('sshd is gone', () => !isRunning(pid));
  });
});
