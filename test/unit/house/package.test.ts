/**
 * What `npm pack` puts into the package: what runs, what is compiled at installation, the manual; nothing that was compiled for
 * the packer's machine.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { packageRoot } from '../../../src/native/load-addon';

const ELF = Buffer.from('\x7fELF', 'latin1');
const root = packageRoot();
const packed = packedFiles();

function packedFiles(): readonly string[] {
  const words = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const { stdout } = spawnSync('npm', words, { cwd: root, encoding: 'utf8' });
  const [content] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>);
  return content?.files.map(({ path }) => path) ?? [];
}

function filesIn(folder: string, ending: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  const paths = names.filter((name) => name.endsWith(ending)).map((name) => join(folder, name));
  return paths.filter((path) => statSync(join(root, path)).isFile());
}

function headOf(path: string): Buffer {
  return readFileSync(join(root, path)).subarray(0, ELF.length);
}

test('the C programs are here, so that they could be packed by mistake', () => {
  expect(headOf('dist/services/redirect')).toEqual(ELF);
});

test('has nothing that was compiled for one machine', () => {
  expect(packed.filter((path) => headOf(path).equals(ELF))).toEqual([]);
  expect(packed.filter((path) => path.startsWith('build/') || /\.(node|o|a)$/.test(path))).toEqual([]);
});

test('has no source maps, whose sources are not in it', () => {
  expect(packed.filter((path) => path.endsWith('.map'))).toEqual([]);
});

test('has the compiled form of each source, and of nothing else', () => {
  const sources = [...filesIn('src', '.ts'), ...filesIn('services', '.ts')];
  const compiled = sources.map((path) => join('dist', path.replace(/\.ts$/, '.js')));
  expect(packed.filter((path) => path.startsWith('dist/')).sort()).toEqual(compiled.sort());
});

test('has all that an installation compiles', () => {
  const needed = [...filesIn('native', ''), ...filesIn('services', '.c'), ...filesIn('services', '.h')];
  const build = ['binding.gyp', 'services/Makefile', 'scripts/build-native.mjs'];
  expect(packed).toEqual(expect.arrayContaining([...needed, ...build]));
});

test('has what the links of its pages lead to', () => {
  const pages = packed.filter((path) => path.endsWith('.md'));
  const dead = pages.flatMap((page) => linksOf(page).filter((target) => !isPacked(target)));
  expect(pages).toContain('README.md');
  expect(dead).toEqual([]);
});

function linksOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  const targets = [...text.matchAll(/\]\(([^)#\s]+)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !target.includes(':')).map((target) => normalize(join(dirname(page), target)));
}

function isPacked(target: string): boolean {
  const folder = target.endsWith('/') ? target : `${target}/`;
  return existsSync(join(root, target)) && packed.some((path) => path === target || path.startsWith(folder));
}
