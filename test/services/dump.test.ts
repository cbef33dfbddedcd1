// dump: what a process finds, told by itself. What it finds as a service is for test/system/dump.test.ts.

import { spawnSync } from 'node:child_process';
import { compiled, loopbacks, runOnPipes, serve, talk } from './harness';

const [program = ''] = compiled('dump');

interface Dump {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly umask: string;
  readonly signals: Readonly<Record<string, readonly string[]>>;
  readonly descriptors: readonly Readonly<Record<string, string | number | boolean | null>>[];
  readonly root: string | null;
}

interface Limit {
  readonly soft: number | string;
  readonly hard: number | string;
}

/** In a shell that runs `"$@"`. */
function dumpIn(script: string, words: readonly string[] = []): Dump {
  const { stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', program, ...words], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Dump;
}

test('tells its words and its environment as they are, in their order, what is no UTF-8 included', () => {
  const { argv, environment } = dumpIn(`exec env -i "B=1" "A=x y" "$@" "$(printf 'a\\377')"`, ['', '"\\', 'ü\n\u007f']);
  expect(argv.slice(1)).toEqual(['', '"\\', 'ü\n\u007f', 'a\udcff']);
  expect(environment).toEqual(['B=1', 'A=x y']);
});

test('tells the umask and the signals that were ignored, and changes neither', () => {
  const { umask, signals } = dumpIn(`umask 0167; trap '' HUP PIPE; "$@" >/dev/null; exec "$@"`);
  expect(umask).toBe('0167');
  expect(signals).toEqual({ blocked: [], pending: [], ignored: ['SIGHUP', 'SIGPIPE'], caught: [] });
});

test('tells each descriptor, what it leads to and how', () => {
  // Above 9 there may be some of whoever runs this.
  const descriptors = dumpIn('exec "$@" </dev/null 3>>/dev/zero 9<.').descriptors.filter(({ fd }) => Number(fd) < 10);
  expect(descriptors).toMatchObject([
    { fd: 0, kind: 'null', target: '/dev/null', access: 'read', append: false },
    { fd: 1 },
    { fd: 2 },
    { fd: 3, kind: 'device', target: '/dev/zero', access: 'write', append: true },
    { fd: 9, kind: 'folder', target: process.cwd() },
  ]);
});

test('tells what the kernel tells of it elsewhere', () => {
  const { stdout } = spawnSync('sh', ['-c', '"$1"; grep -v "^Max realtime timeout" /proc/self/limits', 'sh', program]);
  const [json = '', table = ''] = stdout.toString().split(/^(?=Limit)/m);
  const { rlimits } = JSON.parse(json) as { rlimits: Record<string, Limit> };
  const row = (name: string): string =>
    new RegExp(`^${name} +(\\S+) +(\\S+)`, 'm').exec(table)?.slice(1).join(' ') ?? '';
  const told = (limit: Limit | undefined): string => `${limit?.soft ?? ''} ${limit?.hard ?? ''}`;
  expect(row('Max open files')).toBe(told(rlimits['open_files']));
  expect(row('Max stack size')).toBe(told(rlimits['stack']));
  expect(row('Max pending signals')).toBe(told(rlimits['pending_signals']));
});

describe.each(loopbacks)('over $family', ({ address, family, test }) => {
  test('tells who is at the ends of a connection', async () => {
    const host = await serve([program], address);
    const { descriptors } = JSON.parse((await talk(host.port, '', address)).toString()) as Dump;
    const local = address.includes(':') ? `[${address}]:${host.port}` : `${address}:${host.port}`;
    expect(descriptors[0]).toMatchObject({ kind: 'socket', family: family.toLowerCase(), type: 'stream', local });
    await host.stop();
  });
});

test('answers on pipes, and says nothing else', async () => {
  const { stdout, stderr, status } = await runOnPipes([program, 'word'], '');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect((JSON.parse(stdout) as Dump).argv).toEqual([program, 'word']);
});

test('fails where nobody can be told', () => {
  expect(spawnSync('sh', ['-c', 'exec "$1" >&-', 'sh', program]).status).toBe(1);
});
