/**
 * `git daemon --inetd`, as config/git.yaml serves it, and git as its client.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inParallel } from '../system/client';
import type { Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf, runProgram } from './client-program';
import { Shipped } from './configure';
import { checksums, makeTestFolder, writeSampleFiles } from './files';
import { GIT_DAEMON, testNeeding } from './needs';

afterEach(endAll);

const testGit = testNeeding(GIT_DAEMON);

const NOBODY_ASKED = { GIT_TERMINAL_PROMPT: '0', GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org' };
const env = { ...NOBODY_ASKED, GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org' };

class Repository {
  readonly folder = makeTestFolder();
  readonly served = join(this.folder, 'srv/project.git');
  readonly work = join(this.folder, 'work');
  daemon!: Daemon;

  git(...words: readonly string[]): Promise<string> {
    return outputOf(['git', ...words], { env, cwd: this.folder });
  }

  get url(): string {
    return `git://127.0.0.1:${this.daemon.port()}/project.git`;
  }

  async commit(message: string): Promise<string> {
    await this.git('-C', this.work, 'add', '--all');
    await this.git('-C', this.work, 'commit', '--quiet', '--message', message);
    return this.git('-C', this.work, 'rev-parse', 'HEAD');
  }
}

/** A repository with a commit, served. */
async function serveRepository(): Promise<Repository> {
  const repository = new Repository();
  await repository.git('init', '--quiet', '--initial-branch=main', repository.work);
  writeSampleFiles(repository.work);
  await repository.commit('first');
  await repository.git('clone', '--quiet', '--bare', repository.work, repository.served);
  const shipped = new Shipped();
  shipped.edit('config/git.yaml', '/srv/git', join(repository.folder, 'srv'));
  repository.daemon = await shipped.start('git.yaml');
  return repository;
}

describe('git', () => {
  testGit('clones what was committed, file by file', async () => {
    const repository = await serveRepository();
    const clone = join(repository.folder, 'clone');
    await repository.git('clone', '--quiet', repository.url, clone);
    expect(checksums(clone)).toEqual(checksums(repository.work));
    await repository.git('-C', clone, 'fsck', '--strict');
    expect(await repository.daemon.waitFor('reaped')).toMatchObject({ service: 'git', exit: 0 });
  });

  testGit('clones by the oldest version of its protocol', async () => {
    const repository = await serveRepository();
    await repository.git('-c', 'protocol.version=0', 'clone', '--quiet', repository.url, 'clone');
    expect(checksums(join(repository.folder, 'clone'))).toEqual(checksums(repository.work));
  });

  testGit('clones for many at once', async () => {
    const repository = await serveRepository();
    await inParallel(8, 8, async (index) => {
      await repository.git('clone', '--quiet', repository.url, `clone-${index}`);
      expect(checksums(join(repository.folder, `clone-${index}`))).toEqual(checksums(repository.work));
    });
    const reaped = await repository.daemon.waitForCount('reaped', 8);
    expect(reaped.map(({ exit }) => exit)).toEqual(Array.from({ length: 8 }, () => 0));
  });

  testGit('fetches what was committed after the clone', async () => {
    const repository = await serveRepository();
    await repository.git('clone', '--quiet', repository.url, 'clone');
    writeFileSync(join(repository.work, 'later'), 'later\n');
    const commit = await repository.commit('second');
    await repository.git('-C', repository.work, 'push', '--quiet', repository.served, 'main');
    await repository.git('-C', 'clone', 'fetch', '--quiet');
    expect(await repository.git('-C', 'clone', 'rev-parse', 'origin/main')).toBe(commit);
  });

  testGit('lists the branches with ls-remote', async () => {
    const repository = await serveRepository();
    const commit = (await repository.git('-C', repository.work, 'rev-parse', 'HEAD')).trim();
    expect(await repository.git('ls-remote', repository.url)).toBe(`${commit}\tHEAD\n${commit}\trefs/heads/main\n`);
  });

  testGit('cannot push', async () => {
    const repository = await serveRepository();
    const before = await repository.git('-C', repository.served, 'rev-parse', 'main');
    writeFileSync(join(repository.work, 'mine'), 'mine\n');
    await repository.commit('second');
    const push = await runProgram(['git', '-C', repository.work, 'push', repository.url, 'main'], { env });
    expect(push.status).toBe(128);
    expect(push.stderr).toMatch(/access denied|not enabled|hung up/);
    expect(await repository.git('-C', repository.served, 'rev-parse', 'main')).toBe(before);
  });

  testGit('tells the log why a client was denied a repository', async () => {
    const { url, daemon, folder } = await serveRepository();
    const missing = url.replace('project.git', 'missing.git');
    const { status, stderr } = await runProgram(['git', 'ls-remote', missing], { env });
    expect(status).toBe(128);
    expect(stderr).toContain('access denied');
    const { line } = await daemon.waitFor('said');
    expect(line).toContain(`'${join(folder, 'srv/missing.git')}' does not appear to be a git repository`);
  });

  testGit('is told of no repository outside the served folder', async () => {
    const { url } = await serveRepository();
    const outside = url.replace('project.git', '../work');
    const { status } = await runProgram(['git', 'ls-remote', outside], { env });
    expect(status).toBe(128);
  });
});
