import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findIncluded } from '../../../../src/config/text/include';
import { loadConfiguration } from '../../../../src/config/load';
import type { Service } from '../../../../src/service/service';
import { pretendMachine } from '../pretend-machine';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stdiod-include-'));
  chmodSync(folder, 0o755);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Files by name, the first of them the main one. */
function loadFiles(files: Readonly<Record<string, string>>): ReturnType<typeof loadConfiguration> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, name), text);
  }
  return loadConfiguration(join(folder, Object.keys(files)[0] ?? ''), pretendMachine());
}

function servicesOf(files: Readonly<Record<string, string>>): readonly Service[] {
  const result = loadFiles(files);
  if (!result.ok) throw new Error(result.diagnostics.map(({ message }) => message).join('\n'));
  return result.configuration.services;
}

function problemsOfFiles(files: Readonly<Record<string, string>>): string[] {
  const result = loadFiles(files);
  if (result.ok) return [];
  return result.diagnostics.map(({ file, line, column, path, message }) => {
    return `${file.replace(`${folder}/`, '')}:${line}:${column} ${path} ${message.replaceAll(`${folder}/`, '')}`;
  });
}

const one = (name: string, port: number): string => `services: {${name}: {listen: ${port}, exec: cat}}\n`;

describe('include', () => {
  test('reads the files of a pattern in order of their names, after the main file', () => {
    const files = {
      'main.yaml': `include: conf.d/*.yaml\n${one('m', 1)}`,
      'conf.d/b.yaml': one('b', 2),
      'conf.d/a.yaml': one('a', 3),
    };
    expect(servicesOf({ ...files, 'conf.d/c.txt': '][', 'conf.d/.d.yaml': '][' }).map(({ name }) => name)).toEqual([
      'm',
      'a',
      'b',
    ]);
  });

  test('takes a list, and a file that two patterns name once', () => {
    const files = {
      'main.yaml': 'include: [a.yaml, "./?.yaml", "[ab].yaml"]\n',
      'a.yaml': one('a', 3),
      'b.yaml': one('b', 4),
    };
    expect(servicesOf(files).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('does not include the main file in itself', () => {
    expect(servicesOf({ 'main.yaml': `include: "*.yaml"\n${one('m', 1)}`, 'a.yaml': one('a', 2) })).toHaveLength(2);
  });

  test('lays an included file’s defaults over the main file’s, for its own services alone', () => {
    const main = `include: a.yaml\ndefaults: {max_connections: 5, env: {A: "1", B: "1"}}\n${one('m', 1)}`;
    const [m, a] = servicesOf({ 'main.yaml': main, 'a.yaml': `defaults: {env: {B: "2"}}\n${one('a', 2)}` });
    expect(m).toMatchObject({ maxConnections: 5, run: { process: { environment: { A: '1', B: '1' } } } });
    expect(a).toMatchObject({ maxConnections: 5, run: { process: { environment: { A: '1', B: '2' } } } });
  });

  test('starts relative paths from the file that names them', () => {
    const [a] = servicesOf({
      'main.yaml': 'include: conf.d/a.yaml\ndefaults: {directory: data}\n',
      'data/x': '',
      'conf.d/a.yaml': one('a', 2),
    });
    expect(a).toMatchObject({ run: { process: { directory: join(folder, 'data') } } });
  });

  test('a pattern may match nothing, a plain name may not', () => {
    expect(servicesOf({ 'main.yaml': 'include: conf.d/*.yaml\nservices: {}\n' })).toEqual([]);
    expect(problemsOfFiles({ 'main.yaml': 'include: a.yaml\n' })).toEqual([
      'main.yaml:1:10 include a.yaml cannot be found',
    ]);
  });

  test.each(['loop', '*'])(
    'a folder that cannot be looked into is a problem, and not an empty one: %s/*.yaml',
    (name) => {
      symlinkSync('loop', join(folder, 'loop'));
      expect(problemsOfFiles({ 'main.yaml': `include: "${name}/*.yaml"\nservices: {}\n` })).toEqual([
        'main.yaml:1:10 include loop cannot be read: ELOOP',
      ]);
    },
  );

  test('reports a folder and "**" with the pattern to write', () => {
    expect(problemsOfFiles({ 'main.yaml': 'include: [conf.d, "**/*.yaml"]\n', 'conf.d/x': '' })).toEqual([
      'main.yaml:1:11 include[0] conf.d is a folder',
      'main.yaml:1:19 include[1] "**" is not supported',
    ]);
  });

  test('shows both files of a clash and of a name', () => {
    const files = {
      'main.yaml': `include: a.yaml\n${one('m', 1)}`,
      'a.yaml': `services:\n  m: {listen: 1, exec: cat}\n`,
    };
    expect(problemsOfFiles(files)).toEqual([
      'a.yaml:2:3 services there already is a service "m" (main.yaml:2:12)',
      'a.yaml:2:15 services.m.listen 0.0.0.0:1 is already taken by services.m.listen (main.yaml:2:24)',
    ]);
  });

  test('sorts problems by file, and one bad file hides no other', () => {
    const files = {
      'main.yaml': 'include: ["b.yaml", "*.yaml"]\nservices: {m: {}}\n',
      'a.yaml': 'services: [',
      'b.yaml': 'x: 1\n',
    };
    const places = problemsOfFiles(files).map((line) => line.replace(/ .*/, ''));
    expect(places).toEqual(['main.yaml:2:12', 'main.yaml:2:12', 'b.yaml:1:1', 'a.yaml:1:12']);
  });

  test('keeps what belongs to the whole server in the main file', () => {
    const files = {
      'main.yaml': 'include: a.yaml\n',
      'a.yaml': `log: {}\nlimits: {}\ninclude: b.yaml\n${one('a', 1)}`,
    };
    expect(problemsOfFiles(files)).toEqual([
      'a.yaml:1:1  unknown key "log"',
      'a.yaml:2:1  unknown key "limits"',
      'a.yaml:3:1  unknown key "include"',
    ]);
  });

  test('matches within one folder level, and quickly whatever the pattern', () => {
    mkdirSync(join(folder, 'a.b'));
    writeFileSync(join(folder, 'a.b', `${'a'.repeat(100)}.yaml`), '');
    const found = (pattern: string): number => (findIncluded(pattern, join(folder, 'main.yaml')) as string[]).length;
    expect(['a.b/*', 'a?b/*', '*/*.yaml', '*/a*', 'a[.]b/*', 'a[!x]b/*'].map(found)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(['axb/*', '*.yaml', '*/*x', 'a[x]b/*', 'a[!.]b/*', '[b-a]/*', 'a.b/(*'].map(found)).toEqual([
      0, 0, 0, 0, 0, 0, 0,
    ]);
    expect(found(`a.b/${'*a'.repeat(20)}x`)).toBe(0);
  });
});
