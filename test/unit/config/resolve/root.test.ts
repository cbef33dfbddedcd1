/**
 * `chroot`: what is looked for is looked for inside.
 */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry, Machine } from '../../../../src/config/machine/machine';
import { readEntry } from '../../../../src/machine/files';
import { commandOf, load, problemsOf, processOf, service, withKeys } from '../loading';
import { asAlice } from '../pretend-machine';

let jail: string;

beforeEach(() => {
  jail = mkdtempSync(join(tmpdir(), 'jail-'));
  chmodSync(jail, 0o755);
  for (const folder of ['usr/bin', 'srv', 'closed']) mkdirSync(join(jail, folder), { recursive: true });
  chmodSync(join(jail, 'closed'), 0o700);
  symlinkSync('/usr/bin', join(jail, 'bin'));
  put('usr/bin/only-here', '#!/bin/interpreter\n');
  put('usr/bin/interpreter', '\u007fELF');
});

afterEach(() => {
  rmSync(jail, { recursive: true });
});

function put(name: string, text: string, mode = 0o755): void {
  writeFileSync(join(jail, name), text);
  chmodSync(join(jail, name), mode);
}

/** A header of 64 bits, with a loader in the second of its two segments. */
function elfWith(loader: string): Buffer {
  const made = Buffer.alloc(256);
  made.write('\u007fELF\u0002\u0001', 'latin1');
  made.writeUInt16LE(process.arch === 'arm64' ? 183 : 62, 18);
  made.writeBigUInt64LE(64n, 32);
  made.writeUInt16LE(56, 54);
  made.writeUInt16LE(2, 56);
  made.writeUInt32LE(3, 120);
  made.writeBigUInt64LE(200n, 128);
  made.writeBigUInt64LE(BigInt(loader.length + 1), 152);
  made.write(loader, 200);
  return made;
}

function inJail(keys: string): string {
  return withKeys(`chroot: ${jail}\n${keys}`);
}

test('a program, its interpreter and links lead where they lead inside', () => {
  const found = service(inJail('exec: only-here\nenv: {PATH: /bin}'));
  expect(commandOf(found)).toEqual({ path: '/bin/only-here', argv: ['only-here'] });
  expect(processOf(found)).toMatchObject({ root: jail, directory: '/' });
  expect(processOf(service(inJail('exec: /bin/only-here\ndirectory: /srv')))).toMatchObject({ directory: '/srv' });
});

test('a link that climbs out of the folder leads to its top', () => {
  symlinkSync('../../../../../usr/bin/only-here', join(jail, 'srv/up'));
  expect(commandOf(service(inJail('exec: /srv/up'))).path).toBe('/srv/up');
});

test('what is only outside is told with the folder that it is not in', () => {
  expect(problemsOf(inJail('exec: /bin/sh'))).toEqual([
    expect.stringContaining(`inside ${jail}: /bin/sh does not exist`),
  ]);
  expect(problemsOf(inJail('exec: /bin/only-here\ndirectory: /etc'))).toEqual([
    expect.stringContaining(`inside ${jail}: /etc does not exist`),
  ]);
  put('usr/bin/only-here', '#!/usr/bin/perl\n');
  expect(problemsOf(inJail('exec: /bin/only-here'))).toEqual([
    expect.stringContaining('the interpreter of /bin/only-here: /usr/bin/perl does not exist'),
  ]);
});

test('a folder that is not there, or none, is told', () => {
  expect(problemsOf(withKeys('chroot: /nowhere\nexec: /bin/x'))).toEqual([
    expect.stringContaining('/nowhere does not exist'),
  ]);
  put('file', '');
  expect(problemsOf(withKeys(`chroot: ${jail}/file\nexec: /bin/x`)).join()).toContain('is not a folder');
});

test('a path that begins nowhere is an error of the text', () => {
  const [problem = ''] = problemsOf(inJail('exec: ./only-here'));
  expect(problem).toMatch(/with "chroot" \(.*\) a path begins with "\/"/);
  expect(problemsOf(inJail('exec: /bin/only-here\ndirectory: srv')).join()).toContain('a path begins with "/"');
});

test('who is not root cannot give it', () => {
  expect(problemsOf(inJail('exec: /bin/only-here'), asAlice)).toEqual([
    expect.stringContaining('stdiod lacks CAP_SYS_CHROOT, which this takes'),
  ]);
});

test('links that go round lead nowhere', () => {
  symlinkSync('/srv/round', join(jail, 'srv/round'));
  expect(problemsOf(inJail('exec: /srv/round')).join()).toContain('ELOOP');
});

test('a command that runs before it is one inside as well', () => {
  const { run } = service(inJail('exec: /bin/only-here\nbefore: [only-here]\nenv: {PATH: /bin}'));
  expect(run).toMatchObject({ before: { commands: [{ path: '/bin/only-here' }] } });
  expect(problemsOf(inJail('exec: /bin/only-here\nbefore: [/bin/sh]'))).toEqual([
    expect.stringContaining(`inside ${jail}: /bin/sh does not exist`),
  ]);
});

describe('a folder that others may write', () => {
  /** For the pretended machine: who may write is asked of the permission bits, and of one folder. */
  const writableFor = (path: string): Partial<Machine> => ({
    whyNotWritable: (each) => (each === realpathSync(path) ? null : 'EACCES'),
  });
  const SAFE = { whyNotWritable: () => 'EACCES' };

  test.each(['user: root', 'no_new_privileges: false'])('is no root folder with %s', (keys) => {
    chmodSync(jail, 0o777);
    expect(problemsOf(inJail(`exec: /bin/only-here\n${keys}`), SAFE)).toEqual([
      expect.stringMatching(/a program that is root or may gain rights, and everybody may write it \(chown root/),
    ]);
    chmodSync(jail, 0o755);
    expect(problemsOf(inJail(`exec: /bin/only-here\n${keys}`), SAFE)).toEqual([]);
  });

  test('nor is one below another that they may write', () => {
    chmodSync(join(jail, 'srv'), 0o777);
    mkdirSync(join(jail, 'srv/inner'));
    put('srv/inner/program', '\u007fELF');
    const keys = withKeys(`chroot: ${jail}/srv/inner\nexec: /program\nno_new_privileges: false`);
    expect(problemsOf(keys, SAFE).join()).toMatch(/everybody may put another in its place: .*\/srv \(/);
  });

  test('nor is one that its own user may write: a set-user-ID program would find their library', () => {
    const text = inJail('exec: /bin/only-here\nno_new_privileges: false');
    expect(problemsOf(text, writableFor(jail))).toEqual([expect.stringContaining('user 65534 may write it')]);
    expect(problemsOf(text, writableFor(join(jail, 'srv')))).toEqual([]);
  });

  test.each([
    ['the program itself', 'usr/bin/only-here'],
    ['its folder', 'usr/bin'],
    ['its interpreter', 'usr/bin/interpreter'],
    ['who loads that', 'opt/loader'],
    ['the folder of who loads that', 'opt'],
    ['a folder of libraries', 'usr/lib'],
    ['one behind a link', 'opt/libraries'],
    ['one of this processor', 'usr/lib/x86_64-linux-gnu'],
    ['the folder of the accounts', 'etc'],
    ['the libraries for everybody', 'etc/ld.so.preload'],
  ])('nor is one inside of which they may write %s', (_, name) => {
    for (const folder of ['opt/libraries', 'usr/lib/x86_64-linux-gnu', 'etc'])
      mkdirSync(join(jail, folder), { recursive: true });
    symlinkSync('/opt/libraries', join(jail, 'lib64'));
    put('usr/bin/only-here', '#! /bin/interpreter -x\n');
    writeFileSync(join(jail, 'usr/bin/interpreter'), elfWith('/opt/loader'));
    for (const file of ['opt/loader', 'etc/ld.so.preload']) put(file, '');
    for (const keys of ['user: root', 'no_new_privileges: false']) {
      const text = inJail(`exec: /bin/only-here\n${keys}`);
      expect(problemsOf(text, SAFE)).toEqual([]);
      chmodSync(join(jail, name), 0o777);
      expect(problemsOf(text, SAFE)).toContainEqual(
        expect.stringMatching(
          `inside ${jail} a program .* takes /.* on, and everybody may write ${jail}/${name} \\(chown root ${jail}/${name} `,
        ),
      );
      chmodSync(join(jail, name), 0o755);
    }
    const text = inJail('exec: /bin/only-here\nno_new_privileges: false');
    expect(problemsOf(text, writableFor(join(jail, name)))).toEqual([
      expect.stringContaining(`user 65534 may write ${jail}/${name}`),
    ]);
    expect(problemsOf(inJail('exec: /bin/only-here'), writableFor(join(jail, name)))).toEqual([]);
  });

  test('nor is one inside of which a folder is of their own: they may give themselves the permission', () => {
    mkdirSync(join(jail, 'lib'));
    const entry = (path: string): Entry | string => {
      const found = readEntry(path);
      if (typeof found === 'string') return found;
      return { ...found, uid: path === join(jail, 'lib') ? 65534 : 0 };
    };
    const text = inJail('exec: /bin/only-here\nno_new_privileges: false');
    expect(problemsOf(text, { ...SAFE, entry })).toEqual([expect.stringContaining(`user 65534 may write ${jail}/lib`)]);
    expect(problemsOf(text, { whyNotWritable: () => 'EROFS', entry })).toEqual([]);
  });

  test('is one for a program that never has more rights than its user', () => {
    chmodSync(jail, 0o777);
    expect(problemsOf(inJail('exec: /bin/only-here'), writableFor(jail))).toEqual([]);
  });
});

test.each([
  ['sandbox: strict', 'sandbox'],
  ['hidden: [/usr]', 'hidden'],
  ['read_only: [/]', 'read_only'],
  ['read_write: [/tmp]', 'read_write'],
  ['private_tmp: true', 'private_tmp'],
  ['private_devices: true', 'private_devices'],
  ['private_processes: true', 'private_processes'],
  ['credentials: {key: /etc/hostname}', 'credentials'],
])('what is said of files outside and another root folder exclude each other: %s', (keys, key) => {
  const problems = problemsOf(inJail(`exec: /bin/only-here\n${keys}`), { contents: () => Buffer.from('x') });
  expect(problems).toEqual([expect.stringMatching(`"${key}" and "chroot" \\(.*\\) exclude each other`)]);
});

test.each(['sandbox: basic', 'private_network: true', 'system_calls: {deny: [clock]}', 'private_ipc: true'])(
  'what is not about files goes with it: %s',
  (keys) => {
    expect(problemsOf(inJail(`exec: /bin/only-here\n${keys}`))).toEqual([]);
  },
);

test('programs of stdiod are outside: the key means nothing to them', () => {
  expect(problemsOf(inJail('builtin: echo')).join()).toContain('"chroot" has no meaning with "builtin"');
  const text = `defaults: {chroot: ${jail}}\nservices: {a: {listen: 7, builtin: echo}}\n`;
  expect(processOf(service(text)).root).toBeNull();
  expect(load(text).effective.services['a']).not.toHaveProperty('chroot');
});

test('what is printed says the same again', () => {
  expect(load(inJail('exec: /bin/only-here')).effective.services['a']).toMatchObject({
    chroot: jail,
    directory: '/',
    exec: ['/bin/only-here'],
  });
});
