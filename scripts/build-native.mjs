// Compiles the addon and the C programs in services/. Runs on `npm install`; says plainly what is missing.
// With --sanitize: the addon alone, with AddressSanitizer and UBSan, into build-sanitized/.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isSanitized = process.argv.includes('--sanitize');

const needed = [
  { tools: [process.env.CXX ?? 'c++', 'g++', 'clang++'], what: 'a C++ compiler', packages: 'g++' },
  { tools: [process.env.CC ?? 'cc', 'gcc', 'clang'], what: 'a C compiler', packages: 'gcc' },
  { tools: ['make'], what: 'make', packages: 'make' },
  { tools: ['python3'], what: 'python3 (node-gyp runs on it)', packages: 'python3' },
];

function isPresent(tool) {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function stopIfSomethingIsMissing() {
  const missing = needed.filter(({ tools }) => !tools.some(isPresent));
  if (missing.length === 0) return;
  console.error(`stdiod cannot be built: this machine has no ${missing.map(({ what }) => what).join(' and no ')}.`);
  console.error(`On Debian or Ubuntu: apt-get install ${missing.map((entry) => entry.packages).join(' ')}`);
  process.exit(1);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) {
    console.error(`stdiod cannot be built: ${command} failed, see above.`);
    process.exit(1);
  }
}

/** Node's own headers, where the installation has them: then nothing is downloaded. */
function nodeDirectory() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

stopIfSomethingIsMissing();
const gyp = ['--loglevel=error', ...nodeDirectory()];
const configure = isSanitized ? ['--', '-Dsanitize=true', '-Goutput_dir=../build-sanitized'] : [];
run('node-gyp', ['configure', ...gyp, ...configure]);
run('node-gyp', ['build', ...gyp]);
if (!isSanitized && existsSync(join(root, 'services/Makefile'))) run('make', ['--silent', '-C', 'services']);
