/**
 * A program in a root folder of its own: what it finds there, and that nobody else is moved.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, copyFileSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type DaemonOptions } from './daemon';
import { dumpProgram, parseDump, type Dump } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { findProgram, testAsRoot } from './machine';
import { link, status } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

/** A folder with `/bin/dump`, `/bin/cat` and the libraries that they want. */
function makeJail(): string {
  const jail = makeFolder();
  const [dump, cat] = [dumpProgram(), findProgram('cat')];
  for (const folder of ['bin', 'srv']) mkdirSync(join(jail, folder));
  copyFileSync(dump, join(jail, 'bin/dump'));
  copyFileSync(cat, join(jail, 'bin/cat'));
  const libraries = execFileSync('ldd', [dump, cat], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  for (const [, path = ''] of libraries) {
    mkdirSync(dirname(join(jail, path)), { recursive: true });
    copyFileSync(path, join(jail, path));
  }
  return jail;
}

async function dumpOf(keys: string, options: DaemonOptions = {}): Promise<Dump> {
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", ${keys}}}\n`, options);
  return parseDump(await exchange(daemon.port(), ''));
}

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('starts at the top of its folder, as its user, with nothing but its connection (needs root)', async () => {
    const jail = makeJail();
    const dump = await dumpOf(`chroot: ${jail}, exec: dump`, options);
    // There is no /proc inside to tell more.
    expect(dump).toMatchObject({ directory: '/', exe: null, argv: ['dump'], no_new_privileges: true });
    expect(dump['uid']).toEqual([65534, 65534, 65534, 65534]);
    expect(dump['capabilities']).toMatchObject({ effective: [], permitted: [], ambient: [] });
    expect(dump.descriptors).toMatchObject([0, 1, 2].map((fd) => ({ fd, kind: 'socket' })));
    expect(dump.descriptors).toHaveLength(3);
  });

  testAsRoot('finds its program through links, and its folder, inside (needs root)', async () => {
    const jail = makeJail();
    symlinkSync('/bin/dump', join(jail, 'srv/linked'));
    const dump = await dumpOf(`chroot: ${jail}, exec: /srv/linked, directory: /srv`, options);
    expect(dump).toMatchObject({ directory: '/srv', argv: ['/srv/linked'] });
  });
});

testAsRoot('the daemon and its other children stay where they are (needs root)', async () => {
  const jail = makeJail();
  const daemon = await startDaemon(`services:
  in: {listen: "127.0.0.1:0", chroot: ${jail}, exec: cat}
  out: {listen: "127.0.0.1:0", exec: cat}
`);
  const roots: string[] = [];
  for (const service of ['in', 'out', 'in']) {
    const client = await connectTo(daemon.port(service));
    expect(await client.ask('hello')).toBe('hello');
    const { pid } = await daemon.waitFor('accepted', { peer: client.address });
    expect(status(pid)['Uid']).toBe('65534\t65534\t65534\t65534');
    roots.push(link(pid, 'root'));
  }
  expect(roots).toEqual([jail, '/', jail]);
  expect(link(daemon.pid, 'root')).toBe('/');
});

testAsRoot('a program with wait is in it as well (needs root)', async () => {
  const dump = await dumpOf(`chroot: ${makeJail()}, exec: dump, wait: true`);
  expect(dump).toMatchObject({ directory: '/', exe: null });
});

testAsRoot('a folder that has gone costs its client, and is told with the step (needs root)', async () => {
  const jail = makeJail();
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", chroot: ${jail}, exec: dump}}\n`);
  rmSync(jail, { recursive: true });
  expect(await exchange(daemon.port(), '')).toBe('');
  await untilTrue('it is told', () => daemon.all('dropped', { step: 'chroot', error: 'ENOENT' }).length === 1);
});

testAsRoot(
  'what is missing inside makes the service unavailable, with the folder in the reason (needs root)',
  async () => {
    const jail = makeJail();
    const daemon = await startDaemon(`services:
  other: {listen: "127.0.0.1:0", exec: cat}
  it: {listen: "127.0.0.1:0", chroot: ${jail}, exec: sh}
`);
    const { reason } = await daemon.waitFor('unavailable');
    expect(reason).toContain(`inside ${jail}: there is no program "sh"`);
  },
);

testAsRoot(
  'a program that may gain rights is not served where its user may replace its loader, until they may not (needs root)',
  async () => {
    const jail = makeJail();
    const libraries = execFileSync('ldd', [findProgram('cat')], { encoding: 'utf8' });
    const [, loader = ''] = /^\s*(\/\S+) \(0x/m.exec(libraries) ?? [];
    const folder = dirname(join(jail, loader));
    chownSync(folder, 65534, 65534);
    const daemon = await startDaemon(`services:
  other: {listen: "127.0.0.1:0", exec: cat}
  it: {listen: "127.0.0.1:0", chroot: ${jail}, exec: cat, no_new_privileges: false}
`);
    const { reason } = await daemon.waitFor('unavailable', { service: 'it' });
    expect(reason).toContain(`user 65534 may write ${folder}`);
    chownSync(folder, 0, 0);
    daemon.signal('SIGHUP');
    await daemon.waitFor('reloaded');
    expect(await exchange(daemon.port('it'), 'x')).toBe('x');
  },
);
