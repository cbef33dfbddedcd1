// Compiles the addon and the C programs in services/. Runs on `npm install`; says plainly what is missing.
// With --sanitize: the addon alone, with AddressSanitizer and UBSan, into build/Sanitized/, beside the ordinary build that
// must be there already: its headers are used, and its child.o, which is never instrumented (binding.gyp says why).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CXX = process.env.CXX ?? 'c++';
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];

const needed = [
  { tools: [CXX, 'g++', 'clang++'], what: 'a C++ compiler', packages: 'g++' },
  { tools: [process.env.CC ?? 'cc', 'gcc', 'clang'], what: 'a C compiler', packages: 'gcc' },
  { tools: ['make'], what: 'make', packages: 'make' },
  { tools: ['python3'], what: 'python3 (node-gyp runs on it)', packages: 'python3' },
];

stopIfSomethingIsMissing();
if (process.argv.includes('--sanitize')) await buildSanitized();
else buildOrdinary();

function stopIfSomethingIsMissing() {
  const missing = needed.filter(({ tools }) => !tools.some(isPresent));
  if (missing.length === 0) return;
  console.error(`stdiod cannot be built: this machine has no ${missing.map(({ what }) => what).join(' and no ')}.`);
  console.error(`On Debian or Ubuntu: apt-get install ${missing.map((entry) => entry.packages).join(' ')}`);
  process.exit(1);
}

function isPresent(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function buildOrdinary() {
  const gyp = ['--loglevel=error', ...nodeDirectory()];
  run('node-gyp', ['configure', ...gyp]);
  run('node-gyp', ['build', ...gyp]);
  if (existsSync(join(root, 'services/Makefile'))) run('make', ['--silent', '-C', 'services']);
}

/** Node's own headers, where the installation has them: then nothing is downloaded. */
function nodeDirectory() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  stopIfFailed(command, status, error);
}

function stopIfFailed(command, status, error) {
  if (error) console.error(`${command}: ${error.message}`);
  if (status === 0) return;
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
  const api = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'));
  const gypi = readFileSync(join(root, 'build/config.gypi'), 'utf8');
  const node = /"nodedir": "([^"]*)"/.exec(gypi)?.[1] ?? '';
  return [api, join(node, 'include/node')];
}
