// Does what Dockerfile says, without Docker and without a registry: `node .ci/image.mjs`, as root. The base image is a Debian made by
// mmdebstrap with this machine's Node in it; each stage is an overlay upon that, RUN is chroot. Then it starts the image's command as
// PID 1, talks to a service, asks its health check, and stops it.
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createConnection } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const context = dirname(dirname(fileURLToPath(import.meta.url)));
const work = fs.mkdtempSync('/tmp/stdiod-image-');
const base = join(work, 'base');
const mounts = [];
const SERVICES = 'services: {hello: {listen: ["unix:/run/hello.sock", 7007], exec: echo hello from the image}}\n';

const reason = whyNotHere();
if (reason !== undefined) {
  console.log(`skipped: image: ${reason}`);
  process.exit(0);
}
try {
  makeBase();
  await tryImage(buildImage());
} finally {
  for (const path of mounts.reverse()) spawnSync('umount', ['-l', path]);
  fs.rmSync(work, { recursive: true, force: true });
}

function whyNotHere() {
  if (process.getuid() !== 0) return 'it needs root';
  if (spawnSync('mmdebstrap', ['--version']).error) return 'mmdebstrap is not installed';
  return spawnSync('unshare', ['-m', '-p', '-n', '-f', 'true']).status === 0 ? undefined : 'it needs namespaces';
}

/** What node:…-bookworm-slim has in it. */
function makeBase() {
  run('mmdebstrap', ['--quiet', '--mode=root', '--variant=minbase', '--include=libstdc++6', 'bookworm', base]);
  const usr = join(base, 'usr/local');
  const [prefix, npm] = [dirname(dirname(process.execPath)), npmFolder()];
  copy(process.execPath, join(usr, 'bin/node'));
  copy(npm, join(usr, 'lib/node_modules/npm'));
  copy(join(prefix, 'include/node'), join(usr, 'include/node'));
  fs.symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(usr, 'bin/npm'));
  for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs/ca-certificates.crt']) {
    if (fs.existsSync(file)) copy(file, join(base, file));
  }
}

function npmFolder() {
  const root = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }).stdout.trim();
  return join(root, 'npm');
}

/** @returns the last stage: its root, and what is to be run in it */
function buildImage() {
  const stages = new Map();
  let stage;
  for (const [name, words] of instructions()) {
    console.log(`--- ${name} ${words}`);
    if (name === 'FROM') stages.set(/ AS (\S+)/.exec(words)?.[1] ?? 'last', (stage = openStage(stages.size)));
    else perform(name, words, stage, stages);
  }
  return stage;
}

/** Comments left out, continued lines joined. */
function instructions() {
  const lines = fs
    .readFileSync(join(context, 'Dockerfile'), 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n');
  return lines.filter((line) => line !== '').map((line) => [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)]);
}

function openStage(number) {
  const [root, upper, scratch] = ['root', 'upper', 'work'].map((name) => join(work, `stage-${number}`, name));
  for (const folder of [root, upper, scratch]) fs.mkdirSync(folder, { recursive: true });
  mount(['-t', 'overlay', 'overlay', '-o', `lowerdir=${base},upperdir=${upper},workdir=${scratch}`, root]);
  mount(['--bind', '/dev', join(root, 'dev')]);
  return { root, upper, directory: '/' };
}

function perform(name, words, stage, stages) {
  if (name === 'WORKDIR') fs.mkdirSync(join(stage.root, (stage.directory = words)), { recursive: true });
  else if (name === 'RUN') runInside(stage, words);
  else if (name === 'COPY') copyInto(stage, words.split(' '), stages);
  else if (name === 'HEALTHCHECK') stage.health = JSON.parse(words.slice(words.indexOf('CMD ') + 4));
  else if (name === 'ENTRYPOINT') stage.entry = JSON.parse(words);
  else if (name === 'CMD') stage.words = JSON.parse(words);
  else throw new Error(`what does ${name} mean?`);
}

function runInside({ root, directory }, script) {
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  if (fs.existsSync(join(root, certificates))) env.npm_config_cafile = certificates;
  const inside = ['chroot', root, 'env', '-C', directory, 'sh', '-c', script];
  run('unshare', ['-m', '-p', '-f', `--mount-proc=${join(root, 'proc')}`, ...inside], env);
}

function copyInto(stage, words, stages) {
  const [option, ...rest] = words[0].startsWith('--from=') ? words : [undefined, ...words];
  const target = rest.pop();
  const from = option === undefined ? context : stages.get(option.slice('--from='.length)).root;
  if (option === undefined) rest.forEach(isInContext);
  const absolute = target.startsWith('/') ? target : join(stage.directory, target);
  for (const name of rest) {
    const into = target.endsWith('/') ? join(absolute, basename(name)) : absolute;
    copy(join(from, name), join(stage.root, into));
  }
}

/** .dockerignore leaves out all but what it names. */
function isInContext(name) {
  const lines = fs.readFileSync(join(context, '.dockerignore'), 'utf8').split('\n');
  if (!lines.includes('*') || !lines.includes(`!${name.split('/')[0]}`)) throw new Error(`.dockerignore hides ${name}`);
}

async function tryImage({ root, upper, entry, words, health }) {
  const compilers = [
    'usr/bin/cc',
    'usr/bin/c++',
    'usr/bin/make',
    'opt/stdiod/node_modules/typescript',
    'opt/stdiod/native',
  ];
  check('the image has no compiler and no source', !compilers.some((path) => fs.existsSync(join(root, path))));
  console.log(`the image adds ${run('du', ['-sm', upper]).split('\t')[0]} MB to its base`);
  fs.mkdirSync(join(root, 'etc/stdiod'));
  fs.writeFileSync(join(root, 'etc/stdiod/services.yaml'), SERVICES);

  const options = ['-m', '-p', '-n', '-f', '--kill-child', `--mount-proc=${join(root, 'proc')}`];
  const container = spawn('unshare', [...options, 'chroot', root, ...entry, ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise((resolve) => container.on('exit', resolve));
  const socket = join(root, 'run/hello.sock');
  check('it serves', await until(() => fs.existsSync(socket)));
  const pid = fs.readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim();
  const isHealthy = () => spawnSync('nsenter', ['-t', pid, '-m', '-p', '-n', '-r', '-w', ...health]).status === 0;
  check('a service answers', (await text(createConnection(socket))) === 'hello from the image\n');
  check('it is healthy', isHealthy());
  process.kill(Number(pid), 'SIGTERM');
  check('it stops when it is told to', (await ended) === 0);
}

function check(what, isTrue) {
  console.log(`${isTrue ? 'ok' : 'NOT OK'}: ${what}`);
  if (!isTrue) process.exitCode = 1;
}

async function until(isTrue) {
  for (let tries = 0; tries < 300 && !isTrue(); tries += 1) await sleep(100);
  return isTrue();
}

function mount(words) {
  run('mount', words);
  mounts.push(words.at(-1));
}

function copy(from, to) {
  fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

function run(command, words, env = process.env) {
  const { status, stdout, error } = spawnSync(command, words, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${words.join(' ')} failed: ${error?.message ?? stdout}`);
}
