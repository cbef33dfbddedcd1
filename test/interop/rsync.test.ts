/**
 * `rsync --daemon`, as config/rsync.yaml serves it, and rsync as its client.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf, runProgram } from './client-program';
import { Shipped } from './configure';
import { checksums, giveToServices, makeTestFolder, writeSampleFiles } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const testRsync = testNeeding('rsync');

interface Site {
  readonly daemon: Daemon;
  /** Is served as `files`, to be read. */
  readonly source: string;
  /** Is served as `inbox`, to be written. */
  readonly inbox: string;
  readonly url: string;
}

/** The shipped module, and two more for what it does not do. */
async function serveFiles(): Promise<Site> {
  const folder = makeTestFolder();
  const [source, inbox] = [join(folder, 'source'), join(folder, 'inbox')];
  for (const made of [source, inbox]) mkdirSync(made);
  writeSampleFiles(source);
  giveToServices(inbox);
  const shipped = new Shipped();
  shipped.edit('config/rsyncd.conf', '/srv/rsync', source);
  appendFileSync(shipped.path('config/rsyncd.conf'), `[inbox]\n    path = ${inbox}\n    read only = no\n`);
  appendFileSync(shipped.path('config/rsyncd.conf'), `[others]\n    path = ${source}\n    hosts allow = 127.0.0.2\n`);
  const daemon = await shipped.start('rsync.yaml');
  return { daemon, source, inbox, url: `rsync://127.0.0.1:${daemon.port()}` };
}

describe('rsync', () => {
  testRsync('lists what there is', async () => {
    const { url } = await serveFiles();
    expect(await outputOf(['rsync', `${url}/`])).toMatch(/^files\s+Files to be copied$/m);
  });

  testRsync('downloads every file as it is', async () => {
    const { daemon, source, url } = await serveFiles();
    const target = makeTestFolder();
    await outputOf(['rsync', '--archive', `${url}/files/`, target]);
    expect(checksums(target)).toEqual(checksums(source));
    expect(await daemon.waitFor('reaped')).toMatchObject({ service: 'rsync', exit: 0 });
  });

  testRsync('uploads every file as it is, and nothing the second time', async () => {
    const { source, inbox, url } = await serveFiles();
    const upload = [
      'rsync',
      '--recursive',
      '--times',
      '--checksum',
      '--itemize-changes',
      `${source}/`,
      `${url}/inbox/`,
    ];
    expect(await outputOf(upload)).toContain('deep/er/bytes.bin');
    expect(checksums(inbox)).toEqual(checksums(source));
    expect(await outputOf(upload)).not.toMatch(/^<f/m);
  });

  testRsync('cannot upload to what is shipped to be read', async () => {
    const { source, url } = await serveFiles();
    const { status, stderr } = await runProgram(['rsync', '--recursive', `${source}/`, `${url}/files/new`]);
    expect(status).not.toBe(0);
    expect(stderr).toContain('module is read only');
  });

  testRsync('is judged by its own address: the daemon asks the real socket for it', async () => {
    const { url, source } = await serveFiles();
    const { stderr } = await runProgram(['rsync', `${url}/others/`]);
    expect(stderr).toMatch(/access denied to others from .*127\.0\.0\.1/);
    const target = makeTestFolder();
    await outputOf(['rsync', '--archive', '--address=127.0.0.2', `${url}/others/`, target]);
    expect(checksums(target)).toEqual(checksums(source));
  });
});
