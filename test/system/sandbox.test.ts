/**
 * What a program is kept away from: it tries, from within, and the same works without the key.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { CALL_GROUPS, type CallGroup } from '../../src/service/system-calls';
import { connectTo, exchange, LOCALHOST, type Client } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { Denial } from './denial';
import { atEnd, endAll } from './endings';
import { fixture, makeFolder } from './fixtures';
import { asOther, hasLandlock, testAsOther, testAsRoot, testLandlock } from './machine';
import { childrenOf, openFds } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

/** A service of this name that does what its client says. */
function tries(name: string, keys: string): string {
  return `  ${name}: {listen: "127.0.0.1:0", exec: ${fixture('tries.py')}, ${keys}}\n`;
}

/** @param user of the one that is kept away from nothing */
async function startTwo(
  keys: string,
  options: DaemonOptions = {},
  user = 'umask: "022"',
): Promise<{ inside: Client; outside: Client }> {
  const daemon = await startDaemon(`services:\n${tries('in', keys)}${tries('out', user)}`, options);
  const [inside, outside] = [await connectTo(daemon.port('in')), await connectTo(daemon.port('out'))];
  for (const client of [inside, outside]) expect(await client.ask('peer()')).toBe(`"${client.address}"`);
  return { inside, outside };
}

async function startServer(): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  atEnd(() => {
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, LOCALHOST, resolve));
  return (server.address() as AddressInfo).port;
}

/** What the daemon keeps, `net:[4026532177]`. */
function namespaces(daemon: Daemon, kind: string): string[] {
  return [...openFds(daemon.pid).values()].filter((target) => target.startsWith(`${kind}:[`));
}

async function ownNamespace(daemon: Daemon, kind: string): Promise<string> {
  const client = await connectTo(daemon.port());
  return JSON.parse(await client.ask(`os.readlink("/proc/self/ns/${kind}")`)) as string;
}

/** Of its only child. */
function networkOfChild(daemon: Daemon): string {
  return readlinkSync(`/proc/${childrenOf(daemon.pid)[0] ?? 0}/ns/net`);
}

describe.each(WAYS)('private_network: %s', (_, options) => {
  testAsRoot('reaches its client and nobody else (needs root)', async () => {
    const port = await startServer();
    const { inside, outside } = await startTwo('private_network: true', options);
    expect(await inside.ask(`connect(${port})`)).toBe('"ECONNREFUSED"');
    expect(await outside.ask(`connect(${port})`)).toBe('true');
    expect(await inside.ask('[name for _, name in socket.if_nameindex()]')).toBe('["lo"]');
  });
});

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('private_ipc: finds no shared memory of others (needs root)', async () => {
    const { inside, outside } = await startTwo('private_ipc: true', options);
    const key = 0x5d00_0000 + (process.pid & 0xffff);
    expect(await outside.ask(`libc.shmget(${key}, 4096, 0o1600) >= 0`)).toBe('true');
    expect(await outside.ask(`libc.shmget(${key}, 0, 0) >= 0`)).toBe('true');
    expect(await inside.ask(`libc.shmget(${key}, 0, 0) >= 0`)).toBe('false');
    expect(await outside.ask(`libc.shmctl(libc.shmget(${key}, 0, 0), 0, None)`)).toBe('0');
  });

  testAsRoot('private_hostname: changes its own name and nobody else’s (needs root)', async () => {
    const keys = 'user: root, private_hostname: true';
    const { inside, outside } = await startTwo(keys, options);
    expect(await inside.ask('socket.gethostname()')).toBe(`"${hostname()}"`);
    expect(await inside.ask('[socket.sethostname("elsewhere"), socket.gethostname()]')).toBe('[null, "elsewhere"]');
    expect(await outside.ask('socket.gethostname()')).toBe(`"${hostname()}"`);
  });
});

/** By group: the number of one of its calls, on x86-64 and on arm64, and arguments with which it does no harm and fails by another error. */
const CALLS: Readonly<Record<CallGroup, readonly [x64: number, arm64: number, words: string]>> = {
  clock: [159, 171, 'None'],
  code: [10, 226, 'None, 0, 7'],
  debug: [101, 117, '0x4206, 0, 0, 0'],
  identity: [116, 159, '-1, None'],
  io_uring: [425, 425, '0, None'],
  kernel: [246, 104, '-1, -1, None, -1'],
  keys: [250, 219, '999'],
  mounts: [166, 39, 'None, 0'],
  namespaces: [308, 268, '-1, 0'],
  obsolete: [216, 234, '1, 1, 1, 1, 1'],
  personality: [135, 92, '0x40000'],
  priorities: [144, 119, '0, -1, None'],
  set_id_files: [91, 52, '-1, 0o4755'],
  sockets: [41, 198, '-1, 0, 0'],
  system: [171, 162, 'None, -1'],
};

function ask(client: Client, group: CallGroup): Promise<string> {
  const [x64, arm64, words] = CALLS[group];
  return client.ask(`call(${process.arch === 'x64' ? x64 : arm64}, ${words})`);
}

describe.each(WAYS)('system_calls: %s', (_, options) => {
  testAsRoot('cannot make those of the groups that it is denied (needs root)', async () => {
    const { inside, outside } = await startTwo('user: root, system_calls: {deny: all}', options, 'user: root');
    for (const group of CALL_GROUPS) expect([group, await ask(inside, group)]).toEqual([group, '"EPERM"']);
    for (const group of CALL_GROUPS) expect([group, await ask(outside, group)]).not.toEqual([group, '"EPERM"']);
  });
});

test('a program makes the calls that it is not denied, threads and processes of its own as well', async () => {
  const { inside } = await startTwo('system_calls: {deny: [namespaces, debug]}');
  for (const group of ['namespaces', 'debug'] as const) expect(await ask(inside, group)).toBe('"EPERM"');
  for (const group of ['clock', 'keys'] as const) expect(await ask(inside, group)).not.toBe('"EPERM"');
  expect(await inside.ask('__import__("subprocess").run(["true"]).returncode')).toBe('0');
  const thread = '[[each.start(), each.join(), each.is_alive()] for each in [__import__("threading").Thread()]]';
  expect(await inside.ask(thread)).toBe('[[null, null, false]]');
});

/** It has two more ways to number its system calls. */
const testOnX64 = process.arch === 'x64' ? test : test.skip;

testOnX64('the numbers of other architectures are no way around it (x86-64)', async () => {
  const keys = 'system_calls: {deny: [clock]}';
  const daemon = await startDaemon(`services:
${tries('x32', keys)}  i386: {listen: "127.0.0.1:0", exec: ${fixture('calls-foreign.c')}, ${keys}}
`);
  const client = await connectTo(daemon.port('x32'));
  expect(await client.ask('call(0x40000000 + 39)')).toBe('"EPERM"');
  expect(await exchange(daemon.port('i386'), '')).toBe('');
  expect(await daemon.waitFor('reaped', { service: 'i386' })).toMatchObject({ signal: 'SIGSYS' });
});

testAsRoot('a program that takes the listening socket itself has it in a network of its own (needs root)', async () => {
  const keys = `listen: "127.0.0.1:0", wait: true, private_network: true`;
  const daemon = await startDaemon(`services: {it: {${keys}, exec: ${fixture('accepts.py')}}}\n`);
  expect(await (await connectTo(daemon.port())).ask('hello')).toMatch(/ hello$/);
  expect(networkOfChild(daemon)).toBe(namespaces(daemon, 'net')[0]);
});

testAsRoot('all children of a service have one network, and no descriptor of it (needs root)', async () => {
  const daemon = await startDaemon(`services:\n${tries('it', 'private_network: true')}`);
  const [one, other] = [await ownNamespace(daemon, 'net'), await ownNamespace(daemon, 'net')];
  expect(namespaces(daemon, 'net')).toEqual([one]);
  expect(other).toBe(one);
  const client = await connectTo(daemon.port());
  const fds = `sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in range(9) if os.path.exists(f"/proc/self/fd/{n}"))`;
  expect(await client.ask(fds)).toBe('["socket", "socket", "socket"]');
});

testAsRoot('a network outlives a reload that leaves it as it is, and no other one (needs root)', async () => {
  const daemon = await startDaemon(`services:\n${tries('it', 'private_network: true')}`);
  const before = namespaces(daemon, 'net');
  const reload = async (keys: string): Promise<void> => {
    const from = daemon.events.length;
    writeFileSync(join(daemon.folder, 'services.yaml'), `services:\n${tries('it', keys)}`);
    daemon.signal('SIGHUP');
    await daemon.waitFor('reloaded', ({ changed }) => changed.includes('it'), from);
  };
  await reload('private_network: true, umask: "077"');
  expect(namespaces(daemon, 'net')).toEqual(before);
  expect(await ownNamespace(daemon, 'net')).toBe(before[0]);
  await reload('private_network: false');
  await untilTrue('the network is gone', () => namespaces(daemon, 'net').length === 0);
});

/** A folder in which everybody may do everything, with a file. */
function openFolder(): { folder: string; file: string } {
  const folder = makeFolder();
  const file = join(folder, 'file');
  writeFileSync(file, 'content');
  for (const path of [folder, file]) chmodSync(path, 0o777);
  return { folder, file };
}

/** What a program of the system needs to run at all, as far as this machine has it. */
const SYSTEM = ['/usr', '/bin', '/lib', '/lib64', '/etc', '/proc', '/opt'].filter((path) => existsSync(path));

describe.each(WAYS)('read_only and read_write: %s', (_, options) => {
  testLandlock('reads everything, and writes where it may (needs Landlock)', async () => {
    const [closed, open] = [openFolder(), openFolder()];
    const { inside, outside } = await startTwo(`read_write: [${open.folder}]`, options);
    const write = (path: string): string => `open("${path}", "w").write("new")`;
    expect(await inside.ask(`open("${closed.file}").read()`)).toBe('"content"');
    for (const attempt of [
      write(closed.file),
      write(`${closed.folder}/other`),
      `os.truncate("${closed.file}", 0)`,
      `os.unlink("${closed.file}")`,
      `os.mkdir("${closed.folder}/below")`,
      `os.open("${closed.file}", os.O_RDONLY | os.O_TRUNC)`,
    ])
      expect([attempt, await inside.ask(attempt)]).toEqual([attempt, '"EACCES"']);
    expect(readFileSync(closed.file, 'utf8')).toBe('content');
    expect(await inside.ask(write(open.file))).toBe('3');
    expect(await inside.ask(write(`${open.folder}/other`))).toBe('3');
    expect(await inside.ask(write('/dev/null'))).toBe('3');
    expect(await outside.ask(write(closed.file))).toBe('3');
  });

  testLandlock('reads nothing that it is not given (needs Landlock)', async () => {
    const { folder, file } = openFolder();
    const given = [...SYSTEM, dirname(fixture('tries.py'))].join(', ');
    const { inside, outside } = await startTwo(`read_only: [${given}]`, options);
    expect(await inside.ask(`open("${file}").read()`)).toBe('"EACCES"');
    expect(await inside.ask(`os.listdir("${folder}")`)).toBe('"EACCES"');
    expect(await outside.ask(`open("${file}").read()`)).toBe('"content"');
  });
});

testLandlock('a program whose interpreter may not be read is not started (needs Landlock)', async () => {
  const daemon = await startDaemon(`services:\n${tries('it', `read_only: [${dirname(fixture('tries.py'))}]`)}`);
  expect(await exchange(daemon.port(), '1\n')).toBe('');
  expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'execve', error: 'EACCES' });
});

testAsOther('a daemon that is not root keeps programs from files and system calls as well', async () => {
  const { file } = openFolder();
  const keys = `system_calls: {deny: all}${hasLandlock ? ', read_only: [/]' : ''}`;
  const { inside, outside } = await startTwo(keys, { wrapper: asOther });
  expect(await ask(inside, 'namespaces')).toBe('"EPERM"');
  if (hasLandlock) expect(await inside.ask(`open("${file}", "w").close()`)).toBe('"EACCES"');
  expect(await outside.ask(`open("${file}", "w").close()`)).toBe('null');
});

testAsRoot('a child that has everything at once has its connection and no other descriptor (needs root)', async () => {
  const files = hasLandlock ? ', read_only: [/]' : '';
  const keys = `directory: /, private_network: true, private_tmp: true${files}, system_calls: {deny: all}`;
  const daemon = await startDaemon(
    `services: {it: {listen: "127.0.0.1:0", ${keys}, exec: [sh, -c, 'for fd in /proc/$$/fd/*; do readlink $fd; done; read line']}}\n`,
  );
  const client = await connectTo(daemon.port());
  const links = [await client.line(), await client.line(), await client.line()];
  expect(new Set(links.map((link) => link.replace(/:.*/, '')))).toEqual(new Set(['socket']));
  client.send('end\n');
  expect(await client.rest()).toBe('');
  await daemon.waitFor('reaped', { exit: 0 });
  await untilTrue('no copy is left', () =>
    [...openFds(daemon.pid)].every(([fd, to]) => fd > 1023 || !to.includes('landlock')),
  );
});

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('hidden: finds an empty place, and as root too (needs root)', async () => {
    const [one, other] = [openFolder(), openFolder()];
    const look = [`os.listdir("${one.folder}")`, `open("${other.file}").read()`] as const;
    const hidden = `hidden: [${one.folder}, ${other.file}]`;
    const asNobody = await startTwo(hidden, options);
    for (const each of look) expect(await asNobody.inside.ask(each)).toBe('"EACCES"');
    expect(await asNobody.outside.ask(`[${look.join()}]`)).toBe('[["file"], "content"]');
    const asRoot = await startTwo(`user: root, ${hidden}`, options);
    expect(await asRoot.inside.ask(`[${look.join()}]`)).toBe('[[], ""]');
    expect(await asRoot.inside.ask(`open("${other.file}", "w").close()`)).toBe('"EROFS"');
    expect(readFileSync(other.file, 'utf8')).toBe('content');
  });

  testAsRoot('private_tmp: shares its temporary files with its like, and with nobody else (needs root)', async () => {
    const name = `stdiod-test-${process.pid}`;
    const script = 'if [ -e /var/tmp/$1 ]; then echo known; else echo fresh | tee /tmp/$1; fi';
    const files = hasLandlock ? 'read_only: [/]' : 'umask: "022"';
    const daemon = await startDaemon(
      `services: {it: {listen: "127.0.0.1:0", directory: /, private_tmp: true, ${files}, exec: [sh, -c, '${script}', sh, ${name}]}}\n`,
      options,
    );
    expect(await exchange(daemon.port(), '')).toBe('fresh\n');
    expect(await exchange(daemon.port(), '')).toBe('known\n');
    expect(existsSync(join('/tmp', name))).toBe(false);
  });
});

/** A node of the null device that anybody may open, where nobody looks for one. */
function strayDevice(): string {
  const path = join(makeFolder(), 'stray');
  execFileSync('mknod', ['-m', '666', path, 'c', '1', '3']);
  return path;
}

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('private_devices: opens those that lead nowhere, and no others (needs root)', async () => {
    const stray = strayDevice();
    const { inside, outside } = await startTwo('private_devices: true', options);
    for (const path of ['/dev/tty', '/dev/ptmx', stray]) {
      expect([path, await inside.ask(`os.open("${path}", os.O_RDWR)`)]).toEqual([path, '"EACCES"']);
    }
    expect(await outside.ask(`os.open("${stray}", os.O_RDWR) > 2`)).toBe('true');
    expect(await inside.ask('open("/dev/zero", "rb").read(2).hex()')).toBe('"0000"');
    expect(await inside.ask('open("/dev/null", "w").write("new")')).toBe('3');
  });

  testAsRoot('private_processes: sees those of its user, and nobody else’s (needs root)', async () => {
    const { inside, outside } = await startTwo('private_processes: true', options, 'user: root');
    const others = `[os.path.exists("/proc/1"), os.path.exists("/proc/${process.pid}")]`;
    expect(await outside.ask(others)).toBe('[true, true]');
    expect(await inside.ask(others)).toBe('[false, false]');
    expect(await inside.ask('os.readlink("/proc/self") == str(os.getpid())')).toBe('true');
    expect(await inside.ask('open("/proc/self/comm", "w")')).toBe('"EROFS"');
    expect(await outside.ask(others)).toBe('[true, true]');
  });
});

/** The files that it may read and write are Landlock's to keep. */
const testStrict = hasLandlock ? testAsRoot : test.skip;

testStrict(
  'strict: an ordinary program talks to its client, and reaches nothing else (needs root and Landlock)',
  async () => {
    const port = await startServer();
    const { folder } = openFolder();
    // Python itself, as a program in a folder of the test would not be seen: all of /tmp is its own.
    const script = readFileSync(fixture('tries.py'), 'utf8');
    const daemon = await startDaemon(
      `services: {it: {listen: "127.0.0.1:0", directory: /, sandbox: strict, exec: [python3, -c, ${JSON.stringify(script.replaceAll('%', '%%'))}]}}\n`,
    );
    const client = await connectTo(daemon.port());
    expect(await client.ask('peer()')).toBe(`"${client.address}"`);
    expect(await client.ask(`connect(${port})`)).toBe('"EPERM"');
    expect(await client.ask(`os.path.exists("${folder}")`)).toBe('false');
    expect(await client.ask('open("/tmp/mine", "w").write("new")')).toBe('3');
    expect(await client.ask('open("/var/lib/other", "w").write("new")')).toBe('"EACCES"');
    expect(await client.ask('os.listdir("/home")')).toBe('"EACCES"');
    expect(await client.ask('[l for l in open("/proc/self/status") if l[:6] == "CapBnd"]')).toMatch(/:\\t0{16}/);
    for (const group of CALL_GROUPS) expect([group, await ask(client, group)]).toEqual([group, '"EPERM"']);
  },
);

describe('where the kernel refuses', () => {
  const two = (): string => `services:\n${tries('in', 'private_network: true')}${tries('out', 'umask: "022"')}`;

  testAsRoot(
    'to make it, the service is unavailable until it does not, and others are served (needs root)',
    async () => {
      const denial = new Denial('unshare');
      denial.deny('ENOSPC');
      const daemon = await startDaemon(two(), { wrapper: denial.wrapper });
      const { reason } = await daemon.waitFor('unavailable', { service: 'in' });
      expect(reason).toBe('sandbox: unshare: ENOSPC no space left on device');
      expect(await (await connectTo(daemon.port('out'))).ask('1 + 1')).toBe('2');
      denial.allow();
      await daemon.waitFor('available', { service: 'in' });
      expect(namespaces(daemon, 'net')).toHaveLength(1);
    },
  );

  testAsRoot('to have it joined, no program is started (needs root)', async () => {
    const denial = new Denial('setns');
    const daemon = await startDaemon(two(), { wrapper: denial.wrapper });
    denial.deny('EPERM');
    expect(await exchange(daemon.port('in'), '1 + 1\n')).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ service: 'in', step: 'setns', error: 'EPERM' });
    expect(await (await connectTo(daemon.port('out'))).ask('1 + 1')).toBe('2');
  });
});
