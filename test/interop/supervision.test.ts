/**
 * stdiod started by others: by supervisors, with little or nothing on its own standard descriptors, by an ordinary user, and
 * from a folder that nobody else may enter.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from '../system/client';
import { Daemon, startDaemon, type DaemonOptions } from '../system/daemon';
import { atEnd, endAll } from '../system/endings';
import { main } from '../system/fixtures';
import { asOther, isRoot, OTHER_ID, testAsOther } from '../system/machine';
import { childrenOf, listeners, openFds, stat, status } from '../system/proc';
import { until, untilTrue } from '../system/until';
import { outputOf, runProgram } from './client-program';
import { oneService } from './configure';
import { makeTestFolder } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const ECHO = oneService(['cat']);

/** A shell that closes some of its descriptors and becomes the rest. */
function closing(redirections: string): string[] {
  return ['sh', '-c', `exec "$0" "$@" ${redirections}`];
}

/** The program of a service has the connection and nothing else, whatever stdiod was given. */
async function expectToServe(daemon: Daemon): Promise<void> {
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
  const { pid } = await daemon.waitFor('accepted');
  const fds = openFds(pid);
  expect([...fds.keys()]).toEqual([0, 1, 2]);
  expect(new Set(fds.values()).size).toBe(1);
  expect(stat(pid).session).toBe(pid);
  client.end();
  expect(await daemon.waitFor('reaped', { pid })).toMatchObject({ exit: 0 });
}

async function expectToStop(daemon: Daemon): Promise<void> {
  const status = await daemon.stop();
  expect({ status, stderr: daemon.stderr }).toMatchObject({ status: 0 });
}

describe('stdiod serves and stops with 0', () => {
  const WRAPPERS: Readonly<Record<string, [needs: string[], words: string[]]>> = {
    'in a session of its own, with stdin at its end': [['setsid'], ['setsid']],
    'in a session of its own, with stdout closed': [['setsid'], [...closing('>&-'), 'setsid']],
    'with stdin and stdout closed': [[], closing('<&- >&-')],
    'under nohup': [['nohup'], ['nohup']],
    "under tini, a container's first process": [['tini'], ['tini', '-s', '--']],
  };

  for (const [how, [needs, wrapper]] of Object.entries(WRAPPERS)) {
    testNeeding(...needs)(how, async () => {
      const daemon = await startDaemon(ECHO, { wrapper });
      await expectToServe(daemon);
      await expectToStop(daemon);
    });
  }

  testNeeding('setsid')('without a standard error, and nobody is told', async () => {
    const folder = makeTestFolder();
    const file = join(folder, 'services.yaml');
    writeFileSync(file, ECHO);
    const daemon = new Daemon(folder, ['run', '-c', file], { wrapper: [...closing('<&- >&- 2>&-'), 'setsid'] });
    const port = await until('a listener', () => [...listeners(daemon.pid).keys()][0]);
    expect(await exchange(port, 'hello')).toBe('hello');
    await expectToStop(daemon);
    expect(daemon.stderr).toBe('');
  });
});

testNeeding('nohup')('the program of a service may die of HUP even where stdiod is under nohup', async () => {
  const daemon = await startDaemon(ECHO, { wrapper: ['nohup'] });
  const client = await connectTo(daemon.port());
  await client.ask('hello');
  const { pid } = await daemon.waitFor('accepted');
  expect(status(pid)['SigIgn']).toBe('0000000000000000');
  process.kill(pid, 'SIGHUP');
  expect(await daemon.waitFor('reaped', { pid })).toMatchObject({ signal: 'SIGHUP' });
  await daemon.reload(ECHO);
});

describe('supervise', () => {
  const testSupervise = testNeeding('supervise', 'svc');

  interface Supervised {
    /** Its process is the supervisor, its events are those of stdiod. */
    readonly daemon: Daemon;
    readonly svc: (option: string) => Promise<string>;
  }

  async function supervise(): Promise<Supervised> {
    const folder = makeTestFolder();
    const file = join(folder, 'services.yaml');
    writeFileSync(file, ECHO);
    const run = ['exec', process.execPath, main, 'run', '-c', file].map((word) => `'${word}'`).join(' ');
    writeFileSync(join(folder, 'run'), `#!/bin/sh\n${run}\n`, { mode: 0o755 });
    const svc = (option: string): Promise<string> => outputOf(['svc', option, folder]);
    // What the harness would run is in the file `run`, where the supervisor finds it; its words are left aside.
    const daemon = new Daemon(folder, [], { wrapper: ['sh', '-c', 'exec supervise "$0"', folder] });
    atEnd(() => endSupervised(daemon, svc));
    await daemon.untilReady();
    return { daemon, svc };
  }

  async function endSupervised(daemon: Daemon, svc: Supervised['svc']): Promise<void> {
    if (daemon.isEnded) return;
    await svc('-dx');
    await daemon.ended();
  }

  testSupervise('stops stdiod by svc -d without cutting off a client', async () => {
    const { daemon, svc } = await supervise();
    const client = await connectTo(daemon.port());
    await client.ask('before');
    await svc('-d');
    await daemon.waitFor('stopping', { children: 1 });
    expect(await client.ask('after')).toBe('after');
    client.end();
    expect(await client.rest()).toBe('');
    await untilTrue('stdiod has ended', () => childrenOf(daemon.pid).length === 0);
  });

  testSupervise('reloads stdiod by svc -h', async () => {
    const { daemon, svc } = await supervise();
    await svc('-h');
    expect(await daemon.waitFor('reloaded')).toMatchObject({ kept: 1 });
  });

  testSupervise('starts stdiod anew when it was killed', async () => {
    const { daemon } = await supervise();
    const [first = 0] = childrenOf(daemon.pid);
    process.kill(first, 'SIGKILL');
    await daemon.waitForCount('listening', 2);
    expect(await exchange(daemon.port('it', 1), 'hello')).toBe('hello');
  });
});

describe('a folder that only its owner may enter', () => {
  /** A configuration with its program beside it. */
  function makeClosedFolder(yaml: string, owner: number | undefined): { folder: string; words: string[] } {
    const folder = makeTestFolder();
    const file = join(folder, 'services.yaml');
    writeFileSync(file, yaml);
    copyFileSync('/bin/cat', join(folder, 'own-cat'));
    if (owner !== undefined) execFileSync('chown', ['-R', `${owner}:${owner}`, folder]);
    chmodSync(folder, 0o700);
    return { folder, words: ['run', '-c', file] };
  }

  async function start(folder: string, words: readonly string[], options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(folder, words, options);
    await daemon.untilReady();
    return daemon;
  }

  testAsOther('serves an ordinary user the programs in it', async () => {
    const { folder, words } = makeClosedFolder(oneService(['./own-cat']), isRoot ? OTHER_ID : undefined);
    const daemon = await start(folder, words, { wrapper: asOther, cwd: '/' });
    const pid = Number(status(daemon.pid)['Uid']?.split('\t')[0]);
    expect(pid).toBe(isRoot ? OTHER_ID : process.getuid?.());
    await expectToServe(daemon);
    await expectToStop(daemon);
  });

  testNeeding('root')('holds a configuration of root, whose services run elsewhere as nobody', async () => {
    const { folder, words } = makeClosedFolder(oneService(['id', '-un']), undefined);
    const daemon = await start(folder, words, {});
    expect(await exchange(daemon.port(), '')).toBe('nobody\n');
  });

  testNeeding('root')('does not serve nobody the programs in it, and the remedy is told', async () => {
    const { folder, words } = makeClosedFolder(oneService(['./own-cat']), undefined);
    const ended = await runProgram([process.execPath, main, ...words]);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain(`user nobody cannot reach ${join(folder, 'own-cat')}`);
    expect(ended.stderr).toContain(`"remedy":"chmod o+x ${folder}`);
  });
});

testNeeding('root', 'su')('su starts stdiod for an account, and its services are that account', async () => {
  const shell = ['su', '-s', '/bin/sh', '-c', 'exec "$0" "$@"', '--', 'nobody'];
  const daemon = await startDaemon(oneService(['id', '-un']), { wrapper: shell });
  expect(await exchange(daemon.port(), '')).toBe('nobody\n');
  // A signal to su would be answered by a kill two seconds later.
  for (const pid of childrenOf(daemon.pid)) process.kill(pid, 'SIGTERM');
  expect(await daemon.ended()).toBe(0);
});
