/**
 * `stderr: ./file`: each child opens it for itself, as who it is.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange, inParallel } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { asOther, findProgram, isRoot, testAsRoot } from './machine';
import { fdFlags, openFds } from './proc';

afterEach(endAll);

const [O_APPEND, O_NONBLOCK] = [0o2000, 0o4000];
const NOBODY = isRoot ? Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' })) : -1;

/** A folder in which the service's user may make files. */
function ownFolder(): string {
  const folder = makeFolder();
  if (isRoot) chownSync(folder, NOBODY, -1);
  return folder;
}

function yamlWith(file: string, exec: readonly string[] = ['sh', '-c', 'echo out; echo err >&2']): string {
  return JSON.stringify({ services: { it: { listen: '127.0.0.1:0', exec, stderr: file, stop_grace: '100ms' } } });
}

async function serve(file: string, exec?: readonly string[], options: DaemonOptions = {}): Promise<Daemon> {
  return startDaemon(yamlWith(file, exec), options);
}

test('what children write there is appended, and a file that was renamed is followed by a new one', async () => {
  const file = join(ownFolder(), 'err.log');
  const daemon = await serve(file);
  await inParallel(2, 1, async () => {
    expect(await exchange(daemon.port(), '')).toBe('out\n');
  });
  await daemon.waitForCount('reaped', 2);
  expect(readFileSync(file, 'utf8')).toBe('err\nerr\n');
  renameSync(file, `${file}.1`);
  await exchange(daemon.port(), '');
  await daemon.waitForCount('reaped', 3);
  expect(readFileSync(file, 'utf8')).toBe('err\n');
  expect(statSync(file).mode & 0o7777).toBe(0o640);
  expect(daemon.all('said')).toEqual([]);
});

test('a child has it as descriptor 2 alone, appends, and waits as for any file', async () => {
  const file = join(ownFolder(), 'err.log');
  const daemon = await serve(file, ['cat']);
  const client = await connectTo(daemon.port());
  await client.ask('hello');
  const { pid } = await daemon.waitFor('accepted');
  const fds = openFds(pid);
  expect([...fds.keys()]).toEqual([0, 1, 2]);
  expect(fds.get(2)).toBe(file);
  expect(fdFlags(pid, 2) & (O_APPEND | O_NONBLOCK)).toBe(O_APPEND);
});

test('a program that has the socket itself has it too', async () => {
  const file = join(ownFolder(), 'err.log');
  const program = 'import socket, sys; socket.socket(fileno=0).accept()[0].close(); print("taken", file=sys.stderr)';
  const it = { listen: '127.0.0.1:0', wait: true, exec: [findProgram('python3'), '-c', program], stderr: file };
  const daemon = await startDaemon(JSON.stringify({ services: { it } }));
  await exchange(daemon.port(), '');
  await daemon.waitFor('reaped', { exit: 0 });
  expect(readFileSync(file, 'utf8')).toBe('taken\n');
});

test('a FIFO that nobody reads costs a client its connection, and nobody waits', async () => {
  const file = join(ownFolder(), 'fifo');
  execFileSync('mkfifo', ['-m', '666', file]);
  const daemon = await serve(file);
  expect(await exchange(daemon.port(), '')).toBe('');
  expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'stderr', error: 'ENXIO' });
});

test('a service whose file cannot be had is unavailable, and comes by itself when it can', async () => {
  const folder = join(ownFolder(), 'later');
  const daemon = await startDaemon(
    JSON.stringify({
      services: {
        ...(JSON.parse(yamlWith(join(folder, 'err.log'))) as { services: object }).services,
        other: { listen: '127.0.0.1:0', exec: 'cat' },
      },
    }),
  );
  const reason = `the folder ${folder} does not exist`;
  expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it', reason });
  mkdirSync(folder);
  if (isRoot) chownSync(folder, NOBODY, -1);
  await daemon.waitFor('available', { service: 'it' });
  expect(await exchange(daemon.port('it'), '')).toBe('out\n');
});

test('what goes wrong later is a connection lost at that step', async () => {
  const folder = join(ownFolder(), 'gone');
  mkdirSync(folder);
  if (isRoot) chownSync(folder, NOBODY, -1);
  const daemon = await serve(join(folder, 'err.log'));
  rmSync(folder, { recursive: true });
  expect(await exchange(daemon.port(), '')).toBe('');
  expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'stderr', error: 'ENOENT' });
});

testAsRoot(
  'root makes and writes nothing for a service: a file that is closed to its user stays as it is (needs root)',
  async () => {
    const folder = ownFolder();
    const target = join(makeFolder(), 'secret');
    writeFileSync(target, 'as it was\n', { mode: 0o644 });
    const file = join(folder, 'err.log');
    writeFileSync(file, '');
    chownSync(file, NOBODY, -1);
    const daemon = await serve(file);
    rmSync(file);
    execFileSync('ln', ['-s', target, file]);
    expect(await exchange(daemon.port(), '')).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'stderr', error: 'EACCES' });
    expect(readFileSync(target, 'utf8')).toBe('as it was\n');
  },
);

testAsRoot('a daemon that is not root makes it as itself (needs root)', async () => {
  const folder = makeFolder();
  chmodSync(folder, 0o777);
  const daemon = await serve(join(folder, 'err.log'), undefined, { wrapper: asOther });
  expect(await exchange(daemon.port(), '')).toBe('out\n');
  await daemon.waitFor('reaped');
  expect(readFileSync(join(folder, 'err.log'), 'utf8')).toBe('err\n');
});
