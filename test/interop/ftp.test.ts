/**
 * vsftpd from the times of inetd, and curl as its client: the server asks the real socket where to open the second
 * connection, the one for the file.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { bytesOf, outputOf } from './client-program';
import { BOTH_FAMILIES, oneService } from './configure';
import { checksum, makeBytes, makeTestFolder, MEGABYTE } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const FILE = makeBytes(5 * MEGABYTE);

/** To anybody, for reading. `vsftpd` reads settings only from a file that belongs to the user that it runs as. */
async function serveFtp(listen: readonly string[]): Promise<Daemon> {
  const folder = makeTestFolder();
  for (const name of ['public', 'empty']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'public/bytes.bin'), FILE);
  const settings = ['listen=NO', 'listen_ipv6=NO', 'anonymous_enable=YES', 'local_enable=NO', 'pasv_promiscuous=NO'];
  settings.push(
    `anon_root=${join(folder, 'public')}`,
    `secure_chroot_dir=${join(folder, 'empty')}`,
    'seccomp_sandbox=NO',
  );
  writeFileSync(join(folder, 'vsftpd.conf'), `${settings.join('\n')}\n`);
  return startDaemon(oneService(['vsftpd', join(folder, 'vsftpd.conf')], { listen, user: 'root' }));
}

describe('curl', () => {
  testNeeding(
    'root',
    'vsftpd',
    'curl',
  )('lists and downloads by FTP', async () => {
    const daemon = await serveFtp(['127.0.0.1:0']);
    const url = `ftp://127.0.0.1:${daemon.port()}/`;
    expect(await outputOf(['curl', '--silent', '--show-error', '--list-only', url])).toMatch(/^bytes\.bin\r?\n$/);
    expect(checksum(await bytesOf(['curl', '--silent', '--show-error', `${url}bytes.bin`]))).toBe(checksum(FILE));
  });

  testNeeding(
    'root',
    'vsftpd',
    'curl',
    'IPv6',
  )('downloads by FTP over IPv6', async () => {
    const daemon = await serveFtp(BOTH_FAMILIES);
    const url = `ftp://[::1]:${daemon.port('it', 1)}/bytes.bin`;
    expect(checksum(await bytesOf(['curl', '--silent', '--show-error', '--globoff', url]))).toBe(checksum(FILE));
  });
});
