/**
 * What the program finds when it starts: /proc and small programs tell.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange, type Client } from './client';
import { startDaemon, startWords, type Daemon, type DaemonOptions } from './daemon';
import { dumpProgram, parseDump } from './dump';
import { endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { asOther, testAsOther, testAsRoot } from './machine';
import { fdFlags, limits, link, openFds, stat, status, strings } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

interface Session {
  readonly daemon: Daemon;
  readonly client: Client;
  /** Of the program, after exec. */
  readonly pid: number;
}

/** A service that echoes, with more keys, and one client of it. */
async function startSession(keys = '', options: DaemonOptions = {}): Promise<Session> {
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: cat, ${keys}}}\n`, options);
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
  const { pid } = await daemon.waitFor('accepted', { peer: client.address });
  return { daemon, client, pid };
}

async function answerOf(exec: readonly string[], keys = '', options: DaemonOptions = {}): Promise<string> {
  const yaml = `services: {it: {listen: "127.0.0.1:0", exec: ${JSON.stringify(exec)}, ${keys}}}\n`;
  const daemon = await startDaemon(yaml, options);
  return exchange(daemon.port(), '');
}

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
  ['a child of a daemon that was started deaf', { wrapper: ['python3', fixture('starts-deaf.py')] }],
];

/** As /proc/PID/status writes an empty set of signals or capabilities. */
const NONE = '0000000000000000';
const O_NONBLOCK = 0o4000;

describe.each(WAYS)('%s', (_, options) => {
  test('has exactly the descriptors 0, 1 and 2, all three the connection, in blocking mode', async () => {
    const { descriptors } = parseDump(await answerOf([dumpProgram()], '', options));
    expect(descriptors).toMatchObject([0, 1, 2].map((fd) => ({ fd, kind: 'socket', blocking: true })));
    expect(new Set(descriptors.map(({ target }) => target)).size).toBe(1);
  });

  test('has every signal at its default and none blocked', async () => {
    const { pid } = await startSession('', options);
    const { SigBlk, SigIgn, SigCgt } = status(pid);
    expect({ SigBlk, SigIgn, SigCgt }).toEqual({ SigBlk: NONE, SigIgn: NONE, SigCgt: NONE });
  });

  test('leads a session and a process group of its own, without a terminal', async () => {
    const { pid, daemon } = await startSession('', options);
    expect(stat(pid)).toMatchObject({ parent: daemon.pid, group: pid, session: pid, terminal: 0 });
  });

  test('has the soft limit of 1024 open files, the hard limit of the daemon, and its other limits', async () => {
    const { pid, daemon } = await startSession('', options);
    const [ours, childs] = [limits(daemon.pid), limits(pid)];
    const [, hard = ''] = (ours.get('Max open files') ?? '').split(' ');
    expect(childs.get('Max open files')).toBe(`${Math.min(1024, Number(hard))} ${hard} files`);
    for (const limit of [ours, childs]) limit.delete('Max open files');
    expect(childs).toEqual(ours);
  });

  test('has no way to the rights of the daemon', async () => {
    const { pid } = await startSession('', options);
    const { CapPrm, CapEff, CapAmb } = status(pid);
    expect({ CapPrm, CapEff, CapAmb }).toEqual({ CapPrm: NONE, CapEff: NONE, CapAmb: NONE });
  });
});

test('a child that stays is ended for want of memory before the daemon is', async () => {
  const { daemon, pid } = await startSession();
  const score = (of: number): number => Number(readFileSync(`/proc/${of}/oom_score_adj`, 'latin1'));
  const own = score(daemon.pid);
  await untilTrue('it has a higher score', () => score(pid) === Math.min(1000, own + 300));
  expect(score(daemon.pid)).toBe(own);
});

test('a child has as many open files as a daemon with fewer than 1024 may have', async () => {
  const { pid } = await startSession('', { wrapper: ['prlimit', '--nofile=256:256'] });
  expect(limits(pid).get('Max open files')).toBe('256 256 files');
});

describe('the descriptors', () => {
  test('lead to one socket, which the daemon does not hold', async () => {
    const { pid, daemon } = await startSession();
    const [socket] = openFds(pid).values();
    expect([...openFds(pid)]).toEqual([0, 1, 2].map((fd) => [fd, socket]));
    await untilTrue('the daemon has let go', () => ![...openFds(daemon.pid).values()].includes(socket ?? ''));
    expect(fdFlags(pid, 0) & O_NONBLOCK).toBe(0);
  });

  test.each(['"null"', 'null', '~'])('have /dev/null for stderr with `stderr: %s`', async (value) => {
    const { pid } = await startSession(`stderr: ${value}`);
    const fds = openFds(pid);
    expect([...fds.keys()]).toEqual([0, 1, 2]);
    expect(fds.get(2)).toBe('/dev/null');
    expect(fds.get(1)).toMatch(/^socket:/);
  });

  test('carry what the program writes to stderr to the client', async () => {
    expect(await answerOf(['sh', '-c', 'echo out; echo err >&2'])).toBe('out\nerr\n');
    expect(await answerOf(['sh', '-c', 'echo out; echo err >&2'], 'stderr: "null"')).toBe('out\n');
  });
});

describe('the surroundings', () => {
  test('are the folder of the configuration and the umask 0022', async () => {
    const { pid, daemon } = await startSession();
    expect(link(pid, 'cwd')).toBe(daemon.folder);
    expect(status(pid)['Umask']).toBe('0022');
  });

  test('are the folder and the umask that are configured', async () => {
    const folder = makeFolder();
    mkdirSync(join(folder, 'in here'));
    const { pid } = await startSession(`directory: "${folder}/in here", umask: "0077"`);
    expect(link(pid, 'cwd')).toBe(`${folder}/in here`);
    expect(status(pid)['Umask']).toBe('0077');
  });

  test('have a path in `directory` that is relative to the file', async () => {
    const daemon = await startDaemon('services: {pwd: {listen: "127.0.0.1:0", exec: pwd, directory: .}}\n', {
      cwd: '/',
    });
    expect(await exchange(daemon.port(), '')).toBe(`${daemon.folder}\n`);
  });
});

describe('the environment', () => {
  const variablesOf = (text: string): Record<string, string> =>
    Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
    );

  test('is clean: the basics, the user and the facts of the connection, each once', async () => {
    const { daemon, client, pid } = await startSession('', { env: { STRAY: '1', LD_LIBRARY_PATH: '/nowhere' } });
    const { connection } = await daemon.waitFor('accepted');
    const environment = strings(pid, 'environ');
    const { HOME, SHELL, USER, ...rest } = variablesOf(environment.join('\n'));
    expect(HOME).toMatch(/^\//);
    expect(SHELL ?? '/bin/sh').toMatch(/^\/(?!.*(nologin|false)$)/);
    const port = String(client.socket.localPort);
    expect(rest).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      LOGNAME: USER,
      PROTO: 'TCP',
      TCPREMOTEIP: '127.0.0.1',
      TCPREMOTEPORT: port,
      TCPLOCALIP: '127.0.0.1',
      TCPLOCALPORT: String(daemon.port()),
      REMOTE_ADDR: '127.0.0.1',
      REMOTE_PORT: port,
      REMOTE_HOST: '127.0.0.1',
      STDIOD_SERVICE: 'it',
      STDIOD_CONNECTION: connection,
    });
    expect(environment).toHaveLength(SHELL === undefined ? 15 : 16);
  });

  testAsRoot('tells of nobody when root serves without `user` (needs root)', async () => {
    expect(variablesOf(await answerOf(['env']))).toMatchObject({ USER: 'nobody', LOGNAME: 'nobody' });
  });

  test('has what `env` sets and what `pass_env` lets through', async () => {
    const keys = 'env: {A: "x y", EMPTY: "", LANG: C}, pass_env: [PASSED, MISSING]';
    const variables = variablesOf(await answerOf(['env'], keys, { env: { PASSED: 'through', STRAY: '1' } }));
    expect(variables).toMatchObject({ A: 'x y', EMPTY: '', LANG: 'C', PASSED: 'through' });
    expect(Object.keys(variables).filter((name) => name !== 'SHELL')).toHaveLength(18);
  });

  test('has facts of the connection that no variable of stdiod can forge', async () => {
    const env = { TCPREMOTEIP: '10.0.0.1', PROTO: 'UDP' };
    const { pid } = await startSession('pass_env: [TCPREMOTEIP, PROTO]', { env });
    const found = strings(pid, 'environ').filter((variable) => /^(TCPREMOTEIP|PROTO)=/.test(variable));
    expect(found.sort()).toEqual(['PROTO=TCP', 'TCPREMOTEIP=127.0.0.1']);
  });
});

describe('the words', () => {
  test('arrive as they are, with spaces, empty ones and none of a shell', async () => {
    const words = ['-c', 'cat', 'a  b', '', '$HOME', '*', 'ü', '"'];
    const yaml = `services: {it: {listen: "127.0.0.1:0", exec: ${JSON.stringify(['sh', ...words])}}}\n`;
    const daemon = await startDaemon(yaml);
    const client = await connectTo(daemon.port());
    await client.ask('hello');
    const { pid } = await daemon.waitFor('accepted');
    expect(strings(pid, 'cmdline').slice(1)).toEqual(words);
  });

  test('begin with the word that the command begins with', async () => {
    const { pid } = await startSession();
    expect(strings(pid, 'cmdline')).toEqual(['cat']);
  });

  test.each(['-cat', '/not/there/cat', 'a name'])('begin with `argv0: %s`', async (argv0) => {
    const { pid } = await startSession(`argv0: "${argv0}"`);
    expect(strings(pid, 'cmdline')).toEqual([argv0]);
    expect(link(pid, 'exe')).not.toContain(argv0);
  });
});

describe('the identity', () => {
  const identityOf = (pid: number): string[] => {
    const { Uid = '', Gid = '', Groups = '' } = status(pid);
    return [Uid, Gid, Groups.trim()].map((text) => text.replaceAll('\t', ' '));
  };

  testAsRoot('is nobody, with the groups of nobody, when root serves without `user` (needs root)', async () => {
    const { pid } = await startSession();
    const [uid, gid, groups] = (['-u', '-g', '-G'] as const).map((flag) =>
      execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }).trim(),
    );
    expect(identityOf(pid)).toEqual([`${uid} ${uid} ${uid} ${uid}`, `${gid} ${gid} ${gid} ${gid}`, groups]);
  });

  testAsRoot('is the user, the group and the groups that are configured (needs root)', async () => {
    const { pid } = await startSession('user: 54321, group: 54322, groups: [54323, 54324]');
    expect(identityOf(pid)).toEqual(['54321 54321 54321 54321', '54322 54322 54322 54322', '54323 54324']);
  });

  testAsRoot('has no other group when only `group` is configured (needs root)', async () => {
    const { pid } = await startSession('user: 54321, group: 54322');
    expect(identityOf(pid)[2]).toBe('');
  });

  testAsRoot('is root only when the file says so (needs root)', async () => {
    const { pid } = await startSession('user: root');
    expect(identityOf(pid).slice(0, 2)).toEqual(['0 0 0 0', '0 0 0 0']);
  });

  testAsOther("is the daemon's own when it is not root", async () => {
    const { pid, daemon } = await startSession('', { wrapper: asOther });
    expect(identityOf(pid)).toEqual(identityOf(daemon.pid));
  });

  testAsRoot('keeps no right that the daemon was given to bind low ports (needs root)', async () => {
    const rights = ['--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service'];
    const daemon = await startWords(['try', '127.0.0.1:0', '--', 'cat'], { wrapper: [...asOther, ...rights] });
    const client = await connectTo(daemon.port());
    await client.ask('hello');
    const { pid } = await daemon.waitFor('accepted');
    expect(status(daemon.pid)['CapEff']).not.toBe(NONE);
    const { CapPrm, CapEff, CapAmb } = status(pid);
    expect([CapPrm, CapEff, CapAmb]).toEqual([NONE, NONE, NONE]);
  });
});
