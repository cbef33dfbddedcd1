// Compiles the addon, and the C programs in services/ and native/park/. Runs on `npm install`; silent unless something is missing or fails.
// What was compiled on another machine, for another libc or from other sources is not trusted, whatever its dates say.
// With --sanitize: the addon alone, with AddressSanitizer and UBSan, into build/Sanitized/, beside the ordinary build that
// must be there already: its headers are used, and its child.o, which is never instrumented (binding.gyp says why).
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CXX = process.env.CXX ?? 'c++';
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
/** Each with a Makefile. */
const cFolders = ['services', 'native/park'];
/** What was compiled, and where. */
const stampFile = join(root, 'build/built-from.json');

const needed = [
  { tools: [CXX, 'g++', 'clang++'], what: 'C++ compiler', packages: 'g++' },
  { tools: [process.env.CC ?? 'cc', 'gcc', 'clang'], what: 'C compiler', packages: 'gcc' },
  { tools: ['make'], what: 'make', packages: 'make' },
  { tools: ['python3'], what: 'python3 (node-gyp runs on it)', packages: 'python3' },
];

stopIfSomethingIsMissing();
if (process.argv.includes('--sanitize')) await buildSanitized();
else buildOrdinary();

function stopIfSomethingIsMissing() {
  const missing = needed.filter(({ tools }) => !tools.some(isPresent));
  if (missing.length === 0) return;
  const nothing = new Intl.ListFormat('en').format(missing.map(({ what }) => `no ${what}`));
  console.error(`stdiod cannot be built: this machine has ${nothing}.`);
  console.error(`On Debian or Ubuntu: apt-get install ${missing.map((entry) => entry.packages).join(' ')}`);
  process.exit(1);
}

function isPresent(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function buildOrdinary() {
  const here = machine();
  const sources = hashes();
  if (!mayBuildOn(here, sources)) startAnew(here);
  const gyp = ['--loglevel=error', ...nodeDirectory()];
  run('node-gyp', ['configure', ...gyp]);
  run('node-gyp', ['build', `--jobs=${Math.min(availableParallelism(), 8)}`, ...gyp]);
  for (const folder of cFolders) run('make', ['--silent', '-C', folder]);
  stamp({ machine: here, sources });
}

/** make goes by dates: right only on the machine that it ran on before, and for sources that are newer when they differ. */
function mayBuildOn(here, sources) {
  if (!existsSync(stampFile)) return false;
  const last = JSON.parse(readFileSync(stampFile, 'utf8'));
  if (JSON.stringify(last.machine) !== JSON.stringify(here)) return false;
  const built = statSync(stampFile).mtimeMs;
  const changed = Object.keys(last.sources).filter((path) => sources[path] !== last.sources[path]);
  return changed.every((path) => path in sources && statSync(join(root, path)).mtimeMs > built);
}

function startAnew(here) {
  rmSync(join(root, 'build'), { recursive: true, force: true });
  for (const folder of cFolders) run('make', ['--silent', '-C', folder, 'clean']);
  stamp({ machine: here, sources: {} });
}

function stamp(content) {
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, JSON.stringify(content, null, 1));
}

/** All that a binary depends on beside its sources. */
function machine() {
  process.report.excludeNetwork = true;
  const { header } = process.report.getReport();
  const libc = header.glibcVersionRuntime ? `glibc ${header.glibcVersionRuntime}` : 'musl';
  const compilers = [CXX, process.env.CC ?? 'cc'].map(
    (name) => spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout,
  );
  const flags = ['CFLAGS', 'CXXFLAGS', 'CPPFLAGS', 'LDFLAGS'].map((name) => process.env[name] ?? '');
  const headers = JSON.parse(readFileSync(join(addonApi(), 'package.json'), 'utf8')).version;
  return {
    root,
    node: process.execPath,
    version: process.version,
    arch: process.arch,
    libc,
    compilers,
    flags,
    headers,
  };
}

function hashes() {
  const names = ['native', ...cFolders].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(folder, name)),
  );
  const sources = ['binding.gyp', ...names.filter((name) => /\.(cc|c|h|S)$|Makefile$/.test(name))];
  const hash = (name) =>
    createHash('sha256')
      .update(readFileSync(join(root, name)))
      .digest('hex');
  return Object.fromEntries(sources.map((name) => [name, hash(name)]));
}

/** Node's own headers, where the installation has them: then nothing is downloaded. */
function nodeDirectory() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

/** What a command says is of interest when it fails, or to who asked for it (`npm install --verbose`). */
function run(command, args) {
  const isVerbose = ['verbose', 'silly'].includes(process.env.npm_config_loglevel);
  const output = isVerbose ? 'inherit' : 'pipe';
  const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', output, output], maxBuffer: Infinity };
  const { status, error, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) console.error(`${stdout ?? ''}${stderr ?? ''}`);
  stopIfFailed(command, status, error);
}

function stopIfFailed(command, status, error) {
  if (status === 0) return;
  if (error) console.error(`${command}: ${error.message}`);
  if (error?.code === 'ENOENT') console.error(`npm has node-gyp: run this by "npm run install" in ${root}`);
  console.error(`stdiod cannot be built: ${command} failed, see above.`);
  process.exit(1);
}

async function buildSanitized() {
  const child = join(root, 'build/Release/obj.target/child/native/child.o');
  if (!existsSync(child)) stopIfFailed(`--sanitize needs the ordinary build first (npm run build): ${child} is`, 1);
  mkdirSync(join(root, 'build/Sanitized'), { recursive: true });
  const sources = readdirSync(join(root, 'native')).filter((name) => name.endsWith('.cc') && name !== 'child.cc');
  const objects = await Promise.all(sources.map(compileSanitized));
  run(CXX, ['-shared', ...SANITIZERS, ...objects, child, '-o', 'build/Sanitized/stdiod.node']);
}

async function compileSanitized(source) {
  const object = join('build/Sanitized', `${basename(source, '.cc')}.o`);
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  const options = ['-std=c++17', '-fPIC', '-O1', '-g', '-fno-omit-frame-pointer', ...warnings, ...SANITIZERS];
  const defines = ['NODE_GYP_MODULE_NAME=stdiod', 'NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'];
  const args = [
    ...options,
    ...defines.map((name) => `-D${name}`),
    ...includeDirectories().map((path) => `-isystem${path}`),
  ];
  const compiler = spawn(CXX, [...args, '-c', join('native', source), '-o', object], { cwd: root, stdio: 'inherit' });
  const status = await new Promise((resolve) => compiler.on('close', resolve));
  stopIfFailed(`${CXX} ${source}`, status);
  return object;
}

/** node-addon-api's, and those of the Node that the ordinary build was configured for. */
function includeDirectories() {
  const gypi = readFileSync(join(root, 'build/config.gypi'), 'utf8');
  const node = /"nodedir": "([^"]*)"/.exec(gypi)?.[1] ?? '';
  return [addonApi(), join(node, 'include/node')];
}

function addonApi() {
  return dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'));
}
