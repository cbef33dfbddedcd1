// Compiles the TypeScript. npm runs it as `prepare`: in a clone, and before packing; who installs the package has it compiled.
// Where the development packages are left out (`npm ci --omit=dev`, NODE_ENV=production), it compiles what stdiod runs on and no
// tests, with the very compiler of the lock file: fetched for the moment into build/compiler/, and gone when it has done its work.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const fetched = join(root, 'build/compiler');
const COMPILER = 'node_modules/typescript';
const TYPES = 'node_modules/@types/node';

if (!existsSync(join(root, 'src'))) process.exit(0); // in the unpacked package, which has it compiled
if (existsSync(join(root, COMPILER)) && existsSync(join(root, TYPES))) compile(root);
else compileWithFetched();
removeOrphans();

function compile(folder) {
  const tsc = join(folder, COMPILER, 'bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) fail('the compiler reports what stands above');
}

function compileWithFetched() {
  process.on('exit', () => rmSync(fetched, { recursive: true, force: true }));
  mkdirSync(fetched, { recursive: true });
  write('package-lock.json', lockOfCompiler());
  write('package.json', { private: true, dependencies: dependencies() });
  write('tsconfig.json', configuration());
  if (npm('ci').status !== 0)
    fail('the TypeScript compiler is not installed and could not be fetched', 'npm ci --include=dev');
  compile(fetched);
}

/** The compiler, the types of Node and what these need, as the lock file of this project has them, checksums included. */
function lockOfCompiler() {
  const { lockfileVersion, packages } = readJson('package-lock.json');
  const wanted = new Set([COMPILER, TYPES]);
  for (const path of wanted) {
    for (const name of Object.keys(packages[path].dependencies ?? {})) wanted.add(`node_modules/${name}`);
  }
  const entries = [...wanted].map((path) => [path, { ...packages[path], dev: false }]);
  return { lockfileVersion, packages: { '': { dependencies: dependencies() }, ...Object.fromEntries(entries) } };
}

function dependencies() {
  const { devDependencies } = readJson('package.json');
  return Object.fromEntries(['typescript', '@types/node'].map((name) => [name, devDependencies[name]]));
}

function configuration() {
  const compilerOptions = {
    rootDir: root,
    outDir: join(root, 'dist'),
    types: ['node'],
    sourceMap: false,
    typeRoots: ['node_modules/@types'],
  };
  return {
    extends: join(root, 'tsconfig.json'),
    compilerOptions,
    include: [join(root, 'src'), join(root, 'services')],
  };
}

/** The npm that runs us, less what it was told for the outer run. */
function npm(command) {
  const outer = process.env.npm_execpath ?? '';
  const [program, ...words] = basename(outer) === 'npm-cli.js' ? [process.execPath, outer] : ['npm'];
  const plain = [
    '--global=false',
    '--dry-run=false',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const options = { cwd: fetched, stdio: ['ignore', 'ignore', 'inherit'] };
  return spawnSync(program, [...words, command, ...plain], options);
}

/** What is left of sources that were removed or renamed must not run as a test, nor be packed. */
function removeOrphans() {
  for (const folder of ['src', 'services', 'test', 'bench']) {
    for (const name of namesIn(join(root, 'dist', folder))) {
      const source = join(root, folder, name.replace(/\.js(\.map)?$/, '.ts'));
      if (/\.js(\.map)?$/.test(name) && !existsSync(source)) rmSync(join(root, 'dist', folder, name));
    }
  }
}

function namesIn(folder) {
  return existsSync(folder) ? readdirSync(folder, { recursive: true }) : [];
}

function readJson(name) {
  return JSON.parse(readFileSync(join(root, name), 'utf8'));
}

function write(name, content) {
  writeFileSync(join(fetched, name), JSON.stringify(content));
}

function fail(what, remedy) {
  console.error(`stdiod cannot be compiled: ${what}.`);
  if (remedy !== undefined) console.error(`remedy: ${remedy}`);
  process.exit(1);
}
