/**
 * `svnserve -i` and Subversion as its client.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf, runProgram } from './client-program';
import { oneService } from './configure';
import { checksums, giveToServices, makeTestFolder, writeSampleFiles } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const testSvn = testNeeding('svnserve', 'svn', 'svnadmin');

class Site {
  readonly folder = makeTestFolder();

  constructor(readonly url: string) {}

  words(...words: readonly string[]): string[] {
    return ['svn', '--non-interactive', '--config-dir', join(this.folder, 'svn'), ...words];
  }

  svn(...words: readonly string[]): Promise<string> {
    return outputOf(this.words(...words), { cwd: this.folder });
  }

  async checkOut(name: string): Promise<string> {
    await this.svn('checkout', '--quiet', this.url, name);
    return join(this.folder, name);
  }
}

/** @param access of a client that says no name: `read` or `write` */
async function serveRepository(access: string): Promise<Site> {
  const folder = makeTestFolder();
  const repository = join(folder, 'project');
  await outputOf(['svnadmin', 'create', repository]);
  writeFileSync(join(repository, 'conf/svnserve.conf'), `[general]\nanon-access = ${access}\n`);
  giveToServices(repository);
  const daemon = await startDaemon(oneService(['svnserve', '-i', '-r', folder]));
  return new Site(`svn://127.0.0.1:${daemon.port()}/project`);
}

describe('svn', () => {
  testSvn('commits files that another checkout gets as they are', async () => {
    const site = await serveRepository('write');
    const mine = await site.checkOut('mine');
    writeSampleFiles(mine);
    await site.svn('add', '--quiet', '--force', mine);
    expect(await site.svn('commit', '--message', 'first', mine)).toContain('Committed revision 1.');
    expect(checksums(await site.checkOut('yours'))).toEqual(checksums(mine));
  });

  testSvn('updates a checkout to what was committed since', async () => {
    const site = await serveRepository('write');
    const [mine, yours] = [await site.checkOut('mine'), await site.checkOut('yours')];
    writeSampleFiles(mine);
    await site.svn('add', '--quiet', '--force', mine);
    await site.svn('commit', '--quiet', '--message', 'first', mine);
    await site.svn('update', '--quiet', yours);
    expect(checksums(yours)).toEqual(checksums(mine));
  });

  testSvn('cannot commit where it may only read', async () => {
    const site = await serveRepository('read');
    const { status, stderr } = await runProgram(site.words('mkdir', '--message', 'no', `${site.url}/folder`));
    expect(status).toBe(1);
    expect(stderr).toMatch(/Authorization failed|No access|Authentication/i);
    expect(await site.svn('list', site.url)).toBe('');
  });
});
