/**
 * Who else may write the configuration.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration } from '../../../../src/config/load';
import type { Machine } from '../../../../src/config/machine/machine';
import { asAlice, pretendMachine } from '../pretend-machine';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stdiod-trusted-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'conf.d'), { mode: 0o755 });
  writeFileSync(join(folder, 'main.yaml'), 'include: conf.d/*.yaml\nservices: {a: {listen: 1, exec: cat}}\n');
  writeFileSync(join(folder, 'conf.d/b.yaml'), 'services: {b: {listen: 2, exec: cat}}\n');
  for (const name of ['main.yaml', 'conf.d/b.yaml']) chmodSync(join(folder, name), 0o644);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function problemsOf(file = 'main.yaml', changes: Partial<Machine> = {}): string[] {
  return problemsAt(join(folder, file), changes);
}

function problemsAt(path: string, changes: Partial<Machine> = {}): string[] {
  const own: Partial<Machine> = { mayBindPort: () => true, ...changes };
  const result = loadConfiguration(path, pretendMachine(own));
  if (result.ok) return [];
  return result.diagnostics.map(({ file, message, remedy }) => {
    return `${file}: ${message} (${remedy ?? ''})`.replaceAll(`${folder}/`, '').replaceAll(folder, '.');
  });
}

const WRITTEN = 'everybody may write the file, and what it says runs as root or as whom it likes';

test.each(['main.yaml', 'conf.d/b.yaml'])('as root, %s that everybody may write is refused', (name) => {
  chmodSync(join(folder, name), 0o666);
  expect(problemsOf()).toEqual([`${name}: ${WRITTEN} (chmod o-w ${name})`]);
});

test('as root, a folder is refused in which everybody may put another file in its place', () => {
  chmodSync(join(folder, 'conf.d'), 0o777);
  expect(problemsOf()).toEqual([
    'conf.d/b.yaml: everybody may put another file in its place: conf.d is writable for all (chmod o-w conf.d)',
  ]);
});

describe('every folder on the way is looked at, and every one on the way of a link', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'shut'), { mode: 0o755 });
    writeFileSync(join(folder, 'shut/it.yaml'), 'services: {a: {listen: 1, exec: cat}}\n', { mode: 0o644 });
    mkdirSync(join(folder, 'open/shut'), { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, 'open/shut/it.yaml'), 'services: {a: {listen: 1, exec: cat}}\n', { mode: 0o644 });
    chmodSync(join(folder, 'open'), 0o777);
  });

  const OPEN = 'everybody may put another file in its place: open is writable for all (chmod o-w open)';

  test.each([
    ['a folder further up', 'open/shut/it.yaml', () => undefined],
    ['a link in an open folder to a file that is safe', 'open/link.yaml', () => ['../shut/it.yaml', 'open/link.yaml']],
    ['a link to a file below an open folder', 'link.yaml', () => ['open/shut/it.yaml', 'link.yaml']],
    ['a link to a folder', 'way/it.yaml', () => ['open/shut', 'way']],
    ['a link to a link', 'one/it.yaml', () => ['open/two', 'one', '../shut', 'open/two']],
    ['steps back up', 'open/shut/../../shut/it.yaml', () => undefined],
  ])('%s', (_title, file, links) => {
    const [to, from, to2, from2] = links() ?? [];
    if (to !== undefined && from !== undefined) symlinkSync(to, join(folder, from));
    if (to2 !== undefined && from2 !== undefined) symlinkSync(to2, join(folder, from2));
    expect(problemsAt(`${folder}/${file}`)).toEqual([`${file}: ${OPEN}`]);
  });

  test('a circle of links is for the reader to tell', () => {
    symlinkSync('b', join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    expect(problemsOf('a')[0]).toContain('its symbolic links lead in a circle');
  });

  test('each folder is asked for once, however many files are in it', () => {
    chmodSync(join(folder, 'open'), 0o755);
    for (let index = 0; index < 20; index += 1) writeFileSync(join(folder, `conf.d/${index}.yaml`), 'services: {}\n');
    const asked: string[] = [];
    const { entry } = pretendMachine();
    const remember = (path: string): ReturnType<typeof entry> => {
      asked.push(path);
      return entry(path);
    };
    expect(problemsOf('main.yaml', { entry: remember })).toEqual([]);
    expect(asked.length).toBe(new Set(asked).size);
  });
});

describe('in a folder like /tmp', () => {
  function owned(name: string, uid: number): Partial<Machine> {
    const { entry } = pretendMachine();
    return {
      entry: (path) => {
        const facts = entry(path);
        return typeof facts !== 'string' && path === join(folder, name) ? { ...facts, uid } : facts;
      },
    };
  }

  beforeEach(() => {
    chmodSync(join(folder, 'conf.d'), 0o1777);
  });

  test('what belongs to somebody else may have been put there by everybody', () => {
    expect(problemsOf('main.yaml', owned('conf.d/b.yaml', 1000))).toEqual([
      "conf.d/b.yaml: everybody may have put it there: conf.d is writable for all, and conf.d/b.yaml is not root's" +
        " (move it to a folder that is root's, or chown -h root conf.d/b.yaml)",
    ]);
  });

  test('what belongs to root, or to the owner of the folder, is safe', () => {
    expect(problemsOf('main.yaml', owned('conf.d/b.yaml', 0))).toEqual([]);
  });
});

describe('what runs as root', () => {
  beforeEach(() => {
    for (const name of ['bin', 'bin/inner']) mkdirSync(join(folder, name), { mode: 0o755 });
    writeFileSync(join(folder, 'bin/inner/it'), '#!/bin/sh\n', { mode: 0o755 });
  });

  function lacksOf(user: string): string[] {
    writeFileSync(join(folder, 'main.yaml'), `services: {a: {listen: 1, exec: bin/inner/it, user: ${user}}}\n`);
    const { diagnostics } = loadConfiguration(join(folder, 'main.yaml'), pretendMachine());
    return diagnostics.map(({ message, remedy }) => `${message} (${remedy ?? ''})`.replaceAll(`${folder}/`, ''));
  }

  test('is a program that not everybody may write', () => {
    chmodSync(join(folder, 'bin/inner/it'), 0o777);
    expect(lacksOf('root')).toEqual([
      'bin/inner/it would run as root, and everybody may write it (chmod o-w bin/inner/it)',
    ]);
    expect(lacksOf('alice')).toEqual([]);
  });

  test('nor replace, by any folder on its way', () => {
    expect(lacksOf('root')).toEqual([]);
    chmodSync(join(folder, 'bin'), 0o777);
    expect(lacksOf('root')).toEqual([
      'bin/inner/it would run as root, and everybody may put another program in its place: bin is writable for all (chmod o-w bin)',
    ]);
    expect(lacksOf('alice')).toEqual([]);
  });

  test('and so is its interpreter', () => {
    writeFileSync(join(folder, 'bin/sh'), '\u007fELF', { mode: 0o755 });
    chmodSync(join(folder, 'bin/sh'), 0o757);
    writeFileSync(join(folder, 'bin/inner/it'), `#!${folder}/bin/sh\n`);
    expect(lacksOf('root').join()).toContain('bin/sh would run as root, and everybody may write it');
  });
});

test('one like /tmp, where only the owner may replace a file, is taken; so is a file of another owner or group', () => {
  chmodSync(folder, 0o1777);
  chmodSync(join(folder, 'main.yaml'), 0o664);
  expect(problemsOf()).toEqual([]);
});

test('a link is what it leads to', () => {
  mkdirSync(join(folder, 'open'), { mode: 0o755 });
  writeFileSync(join(folder, 'open/it.yaml'), 'services: {a: {listen: 1, exec: cat}}\n');
  chmodSync(join(folder, 'open/it.yaml'), 0o666);
  symlinkSync('open/it.yaml', join(folder, 'link.yaml'));
  expect(problemsOf('link.yaml')).toEqual([`link.yaml: ${WRITTEN} (chmod o-w open/it.yaml)`]);
});

test('an ordinary user’s stdiod can do no more than whoever writes it', () => {
  for (const name of ['main.yaml', 'conf.d/b.yaml']) chmodSync(join(folder, name), 0o666);
  expect(problemsOf('main.yaml', { ...asAlice, mayBindPort: () => true })).toEqual([]);
});

describe('fs.suid_dumpable', () => {
  const ONE = { suidDumpable: 1 };

  test('of 1 is refused by root: the user of a child could read and write stdiod’s memory before exec', () => {
    expect(problemsOf('main.yaml', ONE)).toEqual([
      'main.yaml: fs.suid_dumpable is 1: while a child changes its user, that user may read and write the memory of stdiod' +
        ' (sysctl fs.suid_dumpable=0)',
    ]);
  });

  test.each([0, 2])('of %d is taken', (suidDumpable) => {
    expect(problemsOf('main.yaml', { suidDumpable })).toEqual([]);
  });

  test('of 1 is nothing to a stdiod whose children stay its own user', () => {
    expect(problemsOf('main.yaml', { ...asAlice, mayBindPort: () => true, ...ONE })).toEqual([]);
  });
});
