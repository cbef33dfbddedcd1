/**
 * `in.tftpd`, the classic program under `udp wait`: it takes the first datagram of each transfer from the socket that it was
 * given, forks for the transfer, and leaves when there was nothing to do for a while.
 */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { status } from '../system/proc';
import { outputOf } from './client-program';
import { oneService, portOf } from './configure';
import { checksum, checksums, makeBytes, makeTestFolder, MEGABYTE } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

/** in.tftpd changes its root folder and its user, for which it has to be root at first. */
const testTftp = testNeeding('root', 'in.tftpd', 'tftp');

class Site {
  /** What is served. */
  readonly folder = makeTestFolder();
  /** Where the clients are. */
  readonly here = makeTestFolder();
  daemon!: Daemon;

  /** @param seconds without a request, after which the program leaves */
  async start(seconds = 60): Promise<this> {
    chmodSync(this.folder, 0o777);
    const options = ['--secure', '--create', '--permissive', '--timeout', String(seconds)];
    const exec = ['in.tftpd', ...options, this.folder];
    this.daemon = await startDaemon(oneService(exec, { listen: '127.0.0.1:0/udp', user: 'root', stderr: null }));
    return this;
  }

  async tftp(...command: readonly string[]): Promise<void> {
    const server = ['127.0.0.1', String(portOf(this.daemon))];
    // It tells its errors, but ends with 0 after most of them.
    const said = await outputOf(['tftp', '-m', 'binary', ...server, '-c', ...command], { cwd: this.here });
    expect(said).toBe('');
  }
}

describe('in.tftpd', () => {
  testTftp('sends a file as it is', async () => {
    const site = await new Site().start();
    const sent = makeBytes(MEGABYTE);
    writeFileSync(join(site.folder, 'image'), sent);
    await site.tftp('get', 'image', 'copy');
    expect(checksum(readFileSync(join(site.here, 'copy')))).toBe(checksum(sent));
  });

  testTftp('takes a file as it is, and as nobody', async () => {
    const site = await new Site().start();
    const sent = makeBytes(MEGABYTE);
    writeFileSync(join(site.here, 'image'), sent);
    await site.tftp('put', 'image', 'upload');
    expect(checksum(readFileSync(join(site.folder, 'upload')))).toBe(checksum(sent));
    const nobody = Number(await outputOf(['id', '-u', 'nobody']));
    expect(statSync(join(site.folder, 'upload')).uid).toBe(nobody);
  });

  testTftp('serves one client after the other from one process', async () => {
    const site = await new Site().start();
    const names = ['empty', 'one block', 'two blocks', 'a block more'];
    names.forEach((name, blocks) => {
      writeFileSync(join(site.folder, name), makeBytes(blocks * 512));
    });
    for (const name of names) await site.tftp('get', name, name);
    expect(checksums(site.here)).toEqual(checksums(site.folder));
    const [started, ...others] = await site.daemon.waitForCount('started', 1);
    expect(others).toEqual([]);
    expect(status(started?.pid ?? 0)['Name']).toBe('in.tftpd');
  });

  testTftp('serves clients at the same time', async () => {
    const site = await new Site().start();
    const sent = makeBytes(MEGABYTE);
    writeFileSync(join(site.folder, 'image'), sent);
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(names.map((name) => site.tftp('get', 'image', name)));
    expect(Object.values(checksums(site.here))).toEqual(names.map(() => checksum(sent)));
  });

  testTftp('is started again for the next client when it has left, and no datagram is lost', async () => {
    const site = await new Site().start(1);
    mkdirSync(join(site.folder, 'deep'));
    writeFileSync(join(site.folder, 'deep/image'), makeBytes(5000));
    for (const [count, name] of [
      [1, 'first'],
      [2, 'second'],
    ] as const) {
      await site.tftp('get', 'deep/image', name);
      await site.daemon.waitForCount('reaped', count, { exit: 0, children: 0 });
      expect(await site.daemon.waitForCount('started', count)).toHaveLength(count);
    }
    const [first, second] = Object.values(checksums(site.here));
    expect(second).toBe(first);
    expect(site.daemon.all('dropped')).toEqual([]);
  });
});
