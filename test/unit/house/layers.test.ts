/**
 * The house: who may import whom, read from the imports themselves. Layers are imported downwards only, and siblings do not
 * know each other: `server` introduces them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const ROOT = join(__dirname, '../../../..');
const SOURCES = filesIn('src');

/** For each place, the places that it may import. A place may always import from itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  main: ['cli'],
  cli: ['server', 'machine', 'config', 'listener', 'admission', 'child', 'log', 'admin', 'service', 'native'],
  server: ['machine', 'config', 'listener', 'admission', 'child', 'log', 'admin', 'service', 'native'],
  machine: ['config', 'service', 'native'],
  config: ['service'],
  listener: ['service', 'native'],
  admission: ['service'],
  child: ['service', 'native'],
  log: ['service', 'native'],
  admin: ['service', 'native'],
  service: [],
  native: [],
};

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return entries.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
}

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Everything that the file names after `from`, or hands to `import()` or `require()`. */
function specifiersIn(file: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)['"]([^'"]+)['"]/g;
  return [...textOf(file).matchAll(pattern)].map(([, specifier]) => specifier ?? '');
}

function importsIn(file: string): Import[] {
  const local = specifiersIn(file).filter((specifier) => specifier.startsWith('.'));
  return local.map((specifier) => ({
    file,
    from: placeOf(file),
    to: placeOf(relative(ROOT, join(ROOT, dirname(file), specifier))),
  }));
}

/** `src/cli/usage.ts` is in `cli`, `src/main.ts` in `main`; what is not in src has its whole path. */
function placeOf(path: string): string {
  const [top, place = ''] = path.split('/');
  return top === 'src' ? place.replace(/\.ts$/, '') : path;
}

const imports = SOURCES.flatMap(importsIn);

test('every file of src has a place in the table', () => {
  expect(SOURCES.filter((file) => MAY_IMPORT[placeOf(file)] === undefined)).toEqual([]);
});

test('imports go downwards, and siblings do not import each other', () => {
  const wrong = imports.filter(({ from, to }) => from !== to && !(MAY_IMPORT[from] ?? []).includes(to));
  expect(wrong.map(({ file, to }) => `${file} imports ${to}`)).toEqual([]);
});

/** node:net also knows how an address is written, which is no traffic. */
const ADDRESS_SYNTAX = ['SocketAddress', 'isIPv4', 'isIPv6'];

function usesTraffic(file: string): boolean {
  const [, names = ''] = /^import \{([^}]*)\} from 'node:net'/m.exec(textOf(file)) ?? [];
  const imported = names.split(',').map((name) => name.trim().split(' as ')[0] ?? '');
  return imported.some((name) => name !== '' && !ADDRESS_SYNTAX.includes(name));
}

test('the domain and the configuration touch neither the network nor processes', () => {
  const isForbidden = (name: string): boolean => /^node:(dgram|http|child_process|worker_threads|cluster)/.test(name);
  const pure = SOURCES.filter((file) => /^src\/(service|admission|config)\//.test(file));
  expect(pure.filter((file) => usesTraffic(file) || specifiersIn(file).some(isForbidden))).toEqual([]);
});

test('one file loads the addon', () => {
  expect(SOURCES.filter((file) => /\brequire\(|\.node['"`]|dlopen/.test(textOf(file)))).toEqual([
    'src/native/addon.ts',
  ]);
});

test('the daemon starts no process but through the addon', () => {
  expect(SOURCES.filter((file) => specifiersIn(file).includes('node:child_process'))).toEqual([]);
});

test('the programs in services/ stand on their own', () => {
  const outside = filesIn('services').filter((file) => specifiersIn(file).some((name) => name.startsWith('..')));
  expect(outside).toEqual([]);
});
