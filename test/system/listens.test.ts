/**
 * scripts/listens.sh, the health check of the image: whether a stdiod can be reached.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startDaemon, type Daemon } from './daemon';
import { endAll } from './endings';
import { makeFolder, project } from './fixtures';

afterEach(endAll);

function listens(pid: number): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(join(project, 'scripts/listens.sh'), [String(pid)], {
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

function serve(listen: string): Promise<Daemon> {
  return startDaemon(`services: {it: {listen: ${JSON.stringify(listen)}, exec: cat}}\n`);
}

test.each(['127.0.0.1:0', '127.0.0.1:0/udp', 'unix:FOLDER/socket', 'unix-dgram:FOLDER/socket'])(
  'a stdiod that serves %s can be reached, and does not notice the question',
  async (listen) => {
    const daemon = await serve(listen.replace('FOLDER', makeFolder()));
    const before = daemon.events.length;
    expect(listens(daemon.pid)).toEqual({ status: 0, said: '' });
    await daemon.stop();
    expect(daemon.events.slice(before).map(({ event }) => event)).toEqual(['stopping', 'stopped']);
  },
);

test('a process that has no such socket cannot be reached, whoever else listens', async () => {
  const daemon = await serve('127.0.0.1:0');
  const idle = spawnSync('sh', ['-c', `${join(project, 'scripts/listens.sh')} $$`], { encoding: 'utf8' });
  expect(idle).toMatchObject({ status: 1, stdout: '', stderr: '' });
  expect(listens(daemon.pid).status).toBe(0);
});

test('a process that is gone cannot be reached', async () => {
  const daemon = await serve('127.0.0.1:0');
  const { pid } = daemon;
  await daemon.stop();
  expect(listens(pid)).toEqual({ status: 1, said: `there is no process ${pid}\n` });
});
