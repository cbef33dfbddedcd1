// npm start: serves config/services.yaml until told to stop. Arguments are handed on: npm start -- --json
//
// As root there is a catch. stdiod then runs every service as the user nobody, who usually cannot enter root's home or any
// other private folder. If nobody cannot reach this one, the services run from a copy of it, for as long as stdiod runs.

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(project, 'dist/src/main.js');
const served = ['config', 'services', 'dist/services']; // all that the services need
const built = [main, join(project, 'build/Release/stdiod.node'), join(project, 'dist/services/line-length')];

if (!built.every((file) => fs.existsSync(file))) {
  console.error('stdiod is not built yet: run "npm install" first');
  process.exit(1);
}
if (process.getuid() !== 0 || nobodyCanServe()) {
  run(project, process.execPath);
} else {
  const copy = copyForNobody();
  process.on('exit', () => fs.rmSync(copy, { recursive: true, force: true }));
  run(copy, join(copy, 'bin/node'));
}

/** Runs stdiod on the services in `folder`, where `node` is found first in PATH, and ends as it ends. */
function run(folder, node) {
  const args = [main, 'run', '-c', join(folder, 'config/services.yaml'), ...process.argv.slice(2)];
  const env = { ...process.env, PATH: [dirname(node), process.env.PATH].filter(Boolean).join(delimiter) };
  const stdiod = spawn(process.execPath, args, { stdio: 'inherit', env });

  process.on('SIGTERM', () => stdiod.kill('SIGTERM'));
  process.on('SIGHUP', () => stdiod.kill('SIGHUP'));
  // A terminal sends Ctrl-C to stdiod as well as to us, and npm sends it to us once more. To stdiod a second one means
  // "stop at once", so on a terminal we keep it to ourselves.
  process.on('SIGINT', () => process.stdin.isTTY || stdiod.kill('SIGINT'));

  stdiod.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** Asks the kernel, as nobody: may we run this node, and read every file of the services? */
function nobodyCanServe() {
  const script = 'test -x "$1" && shift && for file; do test -r "$file" || exit 1; done';
  const files = served.flatMap((folder) => everythingIn(join(project, folder)));
  const { status } = spawnSync('/bin/sh', ['-c', script, 'sh', process.execPath, ...files], { cwd: '/', ...nobody() });
  return status === 0;
}

function nobody() {
  const ids = /^nobody:[^:]*:(\d+):(\d+):/m.exec(fs.readFileSync('/etc/passwd', 'utf8'));
  return { uid: Number(ids?.[1] ?? 65534), gid: Number(ids?.[2] ?? 65534) };
}

/** Copies the services, and the node that some of them run on, to where everyone may read and run them. */
function copyForNobody() {
  const copy = fs.mkdtempSync('/tmp/stdiod-'); // not in $TMPDIR, which may be private too
  for (const folder of served)
    fs.cpSync(join(project, folder), join(copy, folder), { recursive: true, dereference: true });
  fs.mkdirSync(join(copy, 'bin'));
  fs.copyFileSync(process.execPath, join(copy, 'bin/node'));
  for (const path of [copy, ...everythingIn(copy)]) fs.chmodSync(path, 0o755);
  console.error(`stdiod: the user nobody cannot read ${project}, so the services run from a copy of it, ${copy}`);
  return copy;
}

function everythingIn(folder) {
  return fs.readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}
