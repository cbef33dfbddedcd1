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
  const own: Partial<Machine> = { mayBindPort: () => true, ...changes };
  const result = loadConfiguration(join(folder, file), pretendMachine(own));
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
