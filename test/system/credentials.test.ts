/**
 * Secrets that only a service's children find.
 */
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { dumpProgram, parseDump, type Dump } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { asOther, testAsOther, testAsRoot } from './machine';
import { untilTrue } from './until';

afterEach(endAll);

const MOUNT = '/run/stdiod-credentials';
const SECRET = 'correct horse battery staple';
/** Who it is, what the folder is, what is in it, and whether it may change any of that. */
const SCRIPT = `import os, sys
def what(path):
    facts = os.stat(path)
    return "%o %d:%d" % (facts.st_mode & 0o7777, facts.st_uid, facts.st_gid)
def tries(act):
    try:
        act()
        return "done"
    except OSError as error:
        return os.strerror(error.errno)
folder = os.environ["CREDENTIALS_DIRECTORY"]
print(folder, what(folder), os.getuid())
for name in sorted(os.listdir(folder)):
    print(name, what(folder + "/" + name), open(folder + "/" + name).read())
print(tries(lambda: os.chmod(folder, 0o700)), tries(lambda: os.symlink("/etc/shadow", folder + "/more")))
`;

function makeSecret(text = SECRET): { folder: string; file: string; script: string } {
  const folder = makeFolder();
  const [file, script] = [join(folder, 'secret'), join(folder, 'look.py')];
  writeFileSync(file, text, { mode: 0o600 });
  writeFileSync(script, SCRIPT);
  chmodSync(folder, 0o755);
  return { folder, file, script };
}

function serve(keys: string, exec: string): string {
  return `services: {it: {listen: "127.0.0.1:0", directory: /, ${keys}, exec: ${exec}}}\n`;
}

async function reload(daemon: Daemon, yaml: string): Promise<void> {
  daemon.configure(yaml);
  daemon.signal('SIGHUP');
  await daemon.waitFor('reloaded');
}

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot(
    'finds its credentials, may read and not change them, and nobody else finds any (needs root)',
    async () => {
      const { file, script } = makeSecret();
      const daemon = await startDaemon(serve(`credentials: {token: ${file}}`, `python3 ${script}`), options);
      expect((await exchange(daemon.port(), '')).split('\n')).toEqual([
        `${MOUNT} 500 65534:65534 65534`,
        `token 400 65534:65534 ${SECRET}`,
        'Read-only file system Read-only file system',
        '',
      ]);
      expect(existsSync(MOUNT) ? readdirSync(MOUNT) : []).toEqual([]);
      expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(MOUNT);
    },
  );
});

testAsRoot('has all else as without them: one variable more, and a view of the files (needs root)', async () => {
  const { file } = makeSecret();
  const [bare, secret] = await Promise.all(
    ['umask: "022"', `credentials: {token: ${file}}`].map(async (keys) => {
      const daemon = await startDaemon(serve(keys, dumpProgram()));
      const dump = parseDump(await exchange(daemon.port(), ''));
      expect(JSON.stringify(daemon.events)).not.toContain(SECRET);
      return dump;
    }),
  );
  const names = (dump?: Dump): string[] => (dump?.environment ?? []).map((each) => each.replace(/=.*/s, ''));
  expect(secret?.environment).toContain(`CREDENTIALS_DIRECTORY=${MOUNT}`);
  expect(names(secret).filter((name) => !names(bare).includes(name))).toEqual(['CREDENTIALS_DIRECTORY']);
  expect(JSON.stringify(secret)).not.toContain(SECRET);
  expect(secret?.['uid']).toEqual(bare?.['uid']);
  expect(secret?.descriptors).toHaveLength(3);
});

testAsRoot('a reload takes what is in the files by then, for those who come (needs root)', async () => {
  const { file } = makeSecret('old');
  const yaml = serve(`credentials: {token: ${file}}`, `[sh, -c, 'read line; cat $CREDENTIALS_DIRECTORY/token']`);
  const daemon = await startDaemon(yaml);
  const early = await connectTo(daemon.port());
  await daemon.waitFor('accepted');
  writeFileSync(file, 'new');
  await reload(daemon, yaml);
  expect(daemon.all('reloaded')).toMatchObject([{ changed: ['it'] }]);
  expect(await exchange(daemon.port(), 'go\n')).toBe('new');
  early.send('go\n');
  expect(await early.rest()).toBe('old');
});

testAsRoot('a file that is not there makes its service unavailable until it is (needs root)', async () => {
  const { file } = makeSecret();
  rmSync(file);
  const daemon = await startDaemon(`services:
  it: {listen: "127.0.0.1:0", directory: /, credentials: {token: ${file}}, exec: [sh, -c, 'cat $CREDENTIALS_DIRECTORY/token']}
  other: {listen: "127.0.0.1:0", exec: cat}
`);
  expect(await daemon.waitFor('unavailable')).toMatchObject({ service: 'it' });
  expect(daemon.all('unavailable')[0]?.reason).toContain(`${file} does not exist`);
  expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  writeFileSync(file, SECRET, { mode: 0o600 });
  await daemon.waitFor('available');
  expect(await exchange(daemon.port('it'), '')).toBe(SECRET);
});

testAsRoot('a wait service and one with walls of its own find them too (needs root)', async () => {
  const { file } = makeSecret();
  const cat = `[sh, -c, 'cat $CREDENTIALS_DIRECTORY/token']`;
  const daemon = await startDaemon(`defaults: {directory: /, credentials: {token: ${file}}}
services:
  walls: {listen: "127.0.0.1:0", private_tmp: true, private_network: true, hidden: [/root], exec: ${cat}}
  echo: {listen: "127.0.0.1:0", builtin: echo}
  wait: {listen: "127.0.0.1:0", wait: true, exec: [python3, -c, 'import os, socket; socket.socket(fileno=0).accept()[0].send(open(os.environ["CREDENTIALS_DIRECTORY"] + "/token", "rb").read())']}
`);
  for (const service of ['walls', 'wait']) expect(await exchange(daemon.port(service), '')).toBe(SECRET);
  expect(await exchange(daemon.port('echo'), 'hello')).toBe('hello');
});

describe('without root', () => {
  const RUNTIME = '/dev/shm';
  const ours = (): string[] => readdirSync(RUNTIME).filter((name) => name.startsWith('stdiod-credentials.'));

  function makeOpen(): ReturnType<typeof makeSecret> {
    const made = makeSecret();
    chmodSync(made.file, 0o644);
    return made;
  }

  testAsOther('they are in a folder in memory that is closed to others, and gone with the daemon', async () => {
    const before = ours();
    const { file, script } = makeOpen();
    const options = { wrapper: asOther, env: { XDG_RUNTIME_DIR: '', RUNTIME_DIRECTORY: '' } };
    const daemon = await startDaemon(serve(`credentials: {token: ${file}}`, `python3 ${script}`), options);
    const [first = '', second = ''] = (await exchange(daemon.port(), '')).split('\n');
    const [folder = '', mode] = first.split(' ');
    expect([folder.startsWith(`${RUNTIME}/stdiod-credentials.`), mode]).toEqual([true, '500']);
    expect(second).toMatch(new RegExp(`^token 400 .* ${SECRET}$`));
    expect(ours().length).toBe(before.length + 1);
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
    expect(ours()).toEqual(before);
  });

  testAsOther('what a daemon left behind that was killed goes when the next one makes its own', async () => {
    const before = ours();
    const { file } = makeOpen();
    const yaml = serve(`credentials: {token: ${file}}`, 'cat');
    const options = { wrapper: asOther, env: { XDG_RUNTIME_DIR: '', RUNTIME_DIRECTORY: '' } };
    const killed = await startDaemon(yaml, options);
    const left = ours().filter((name) => !before.includes(name));
    expect(left).toHaveLength(1);
    killed.signal('SIGKILL');
    await killed.ended();
    expect(ours()).toEqual(expect.arrayContaining(left));
    const next = await startDaemon(yaml, options);
    await untilTrue('the old one is gone', () => !ours().some((name) => left.includes(name)));
    next.signal('SIGTERM');
    await next.ended();
    expect(ours()).toEqual(before);
  });
});
