// scripts/build-native.mjs, which compiles at `npm install`, with stand-ins for node-gyp, make and the compilers.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { project } from './harness';

const TOOLS = ['node-gyp', 'make', 'c++', 'cc', 'python3'];
const BUILT = 'build/Release/built-before';

let clone: string;

beforeEach(() => {
  clone = mkdtempSync('/tmp/build-test-');
  put('scripts/build-native.mjs', '');
  copyFileSync(join(project, 'scripts/build-native.mjs'), join(clone, 'scripts/build-native.mjs'));
  put('node_modules/node-addon-api/package.json', '{"version":"1.0.0"}');
  for (const name of ['binding.gyp', 'native/one.cc', 'services/Makefile', 'services/two.c', 'native/park/Makefile'])
    put(name, 'as it was');
  for (const name of TOOLS) tool(name, 'echo "a lot of noise"');
});

afterEach(() => {
  rmSync(clone, { recursive: true });
});

function put(name: string, content: string): void {
  mkdirSync(dirname(join(clone, name)), { recursive: true });
  writeFileSync(join(clone, name), content, { mode: 0o755 });
}

function tool(name: string, script: string): void {
  put(`bin/${name}`, `#!/bin/sh\n${script}\n`);
}

function build(env: Readonly<Record<string, string>> = {}): { status: number | null; said: string } {
  const options = { encoding: 'utf8', env: { PATH: join(clone, 'bin'), ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clone, 'scripts/build-native.mjs')], options);
  return { status, said: stdout + stderr };
}

function change(name: string, date: string): void {
  put(name, 'changed');
  utimesSync(join(clone, name), new Date(date), new Date(date));
}

/** Whether what the last build left is still there when the next one begins. */
function isBuiltUpon(env: Readonly<Record<string, string>> = {}): boolean {
  put(BUILT, '');
  expect(build(env)).toEqual({ status: 0, said: '' });
  return existsSync(join(clone, BUILT));
}

test('says nothing when all goes well', () => {
  expect(build()).toEqual({ status: 0, said: '' });
});

test('says what the compiler said when it fails', () => {
  tool('node-gyp', 'echo "native/one.cc:1: error"; exit 1');
  const { status, said } = build();
  expect(status).toBe(1);
  expect(said).toMatch(/^native\/one\.cc:1: error\n[^]*stdiod cannot be built: node-gyp failed, see above\.\n$/);
});

test('says everything that npm was asked to say', () => {
  expect(build({ npm_config_loglevel: 'verbose' }).said).toContain('a lot of noise');
});

test('names all that is missing, and the packages that have it', () => {
  for (const name of ['c++', 'cc', 'make']) rmSync(join(clone, 'bin', name));
  expect(build()).toEqual({
    status: 1,
    said:
      'stdiod cannot be built: this machine has no C++ compiler, no C compiler, and no make.\n' +
      'On Debian or Ubuntu: apt-get install g++ gcc make\n',
  });
});

test('tells how to run it when there is no node-gyp', () => {
  rmSync(join(clone, 'bin/node-gyp'));
  expect(build().said).toContain(`by "npm run install" in ${clone}`);
});

describe('what was compiled before', () => {
  test('is built upon on the same machine', () => {
    build();
    expect(isBuiltUpon()).toBe(true);
  });

  test('is not trusted when nobody knows where it was compiled', () => {
    expect(isBuiltUpon()).toBe(false);
  });

  test('is not trusted on another machine', () => {
    build();
    tool('c++', 'echo "another compiler"');
    expect(isBuiltUpon()).toBe(false);
  });

  test('is not trusted with other flags', () => {
    build();
    expect(isBuiltUpon({ CXXFLAGS: '-O0' })).toBe(false);
  });

  test.each(['binding.gyp', 'native/one.cc', 'services/two.c'])('is left to make when %s changed later', (name) => {
    build();
    change(name, '2100-01-01');
    expect(isBuiltUpon()).toBe(true);
  });

  test.each(['binding.gyp', 'native/one.cc', 'services/two.c'])(
    'is not trusted when %s changed and looks older',
    (name) => {
      build();
      change(name, '2001-01-01');
      expect(isBuiltUpon()).toBe(false);
    },
  );

  test('is not trusted when a source is gone', () => {
    build();
    rmSync(join(clone, 'native/one.cc'));
    expect(isBuiltUpon()).toBe(false);
  });

  test('is built upon after a build that failed', () => {
    tool('node-gyp', 'exit 1');
    build();
    tool('node-gyp', 'exit 0');
    expect(isBuiltUpon()).toBe(true);
  });
});

test('the C programs are removed together with the addon', () => {
  tool('make', 'case "$*" in *clean) : >"${0%/*}/../cleaned" ;; esac');
  build();
  expect(existsSync(join(clone, 'cleaned'))).toBe(true);
});
