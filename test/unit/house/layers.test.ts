/**
 * The house: who may import whom, read from the imports themselves. Layers are imported downwards only, and siblings do not
 * know each other: `server` introduces them.
 */
import { filesIn, importsIn, specifiersIn, textOf } from './imports';

const SOURCES = filesIn('src');

/** For each place, the places that it may import. A place may always import from itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'server'],
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

/**
 * Of a place with folders, from the top down: for each folder, those below it that it may import. The files beside the folders
 * may import them all.
 */
const WITHIN: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  config: {
    between: ['resolve', 'machine', 'keys', 'yaml', 'report'],
    resolve: ['machine', 'keys', 'report'],
    machine: ['report'],
    keys: ['yaml', 'report'],
    yaml: ['report'],
    text: ['report'],
    report: [],
  },
  server: {
    lend: ['accept', 'hosted'],
    roster: ['accept', 'hosted'],
    handlers: ['hosted'],
    accept: ['hosted'],
    hosted: [],
  },
};

/** `src/cli/usage.ts` is in `cli`, `src/main.ts` in `main`; what is not in src has its whole path. */
function placeOf(path: string): string {
  const [top, place = ''] = path.split('/');
  return top === 'src' ? place.replace(/\.ts$/, '') : path;
}

/** `src/config/yaml/tree.ts` is in `yaml`; what has no folder within its place, or is in another place, in none. */
function folderOf(path: string, place: string): string | undefined {
  const [, inPlace, folder, ...rest] = path.split('/');
  return inPlace === place && rest.length > 0 ? folder : undefined;
}

const imports = SOURCES.flatMap(importsIn);

test('every file of src has a place in the table', () => {
  expect(SOURCES.filter((file) => MAY_IMPORT[placeOf(file)] === undefined)).toEqual([]);
});

test('imports go downwards, and siblings do not import each other', () => {
  const wrong = imports.filter(({ file, imported }) => {
    const [from, to] = [placeOf(file), placeOf(imported)];
    return from !== to && !(MAY_IMPORT[from] ?? []).includes(to);
  });
  expect(wrong).toEqual([]);
});

describe.each(Object.entries(WITHIN))('in src/%s', (place, mayImport) => {
  test('the table itself goes downwards', () => {
    const folders = Object.keys(mayImport);
    const upwards = folders.filter((folder, at) =>
      mayImport[folder]?.some((other) => !folders.includes(other, at + 1)),
    );
    expect(upwards).toEqual([]);
  });

  test('every folder has its line in the table, and every line its folder', () => {
    const folders = SOURCES.map((file) => folderOf(file, place)).filter((folder) => folder !== undefined);
    expect([...new Set(folders)].sort()).toEqual(Object.keys(mayImport).sort());
  });

  test('imports go downwards from folder to folder, and none comes back to the files beside them', () => {
    const wrong = imports.filter(({ file, imported }) => {
      const [from, to] = [folderOf(file, place), folderOf(imported, place)];
      if (from === undefined || from === to || placeOf(imported) !== place) return false;
      return to === undefined || !(mayImport[from] ?? []).includes(to);
    });
    expect(wrong).toEqual([]);
  });
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
    'src/native/load-addon.ts',
  ]);
});

test('the daemon starts no process but through the addon', () => {
  expect(SOURCES.filter((file) => specifiersIn(file).includes('node:child_process'))).toEqual([]);
});

test('the programs in services/ stand on their own', () => {
  const outside = filesIn('services').filter((file) => specifiersIn(file).some((name) => name.startsWith('..')));
  expect(outside).toEqual([]);
});
