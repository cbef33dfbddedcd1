// scripts/start.mjs, which is `npm start`, with a stand-in for stdiod: it tells how it was called and waits for a signal.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { project } from './harness';

const asRoot = process.getuid?.() === 0 ? it : it.skip;
const standIn = `
  process.on('SIGTERM', () => process.exit(7));
  process.on('SIGINT', () => process.exit(8));
  process.on('SIGHUP', () => console.log('reload'));
  console.log(JSON.stringify({ args: process.argv.slice(2), path: process.env.PATH }));
  setInterval(() => undefined, 1000);
`;

interface Call {
  args: string[];
  path: string;
}

let clone: string;

beforeEach(() => {
  clone = mkdtempSync('/tmp/start-test-');
  chmodSync(clone, 0o755);
  for (const folder of ['scripts', 'config', 'services', 'dist/src', 'dist/services', 'build/Release']) {
    mkdirSync(join(clone, folder), { recursive: true });
  }
  copyFileSync(join(project, 'scripts/start.mjs'), join(clone, 'scripts/start.mjs'));
  writeFileSync(join(clone, 'dist/src/main.js'), standIn);
  for (const file of [
    'config/services.yaml',
    'services/echo.sh',
    'dist/services/line-length',
    'build/Release/stdiod.node',
  ]) {
    writeFileSync(join(clone, file), '', { mode: 0o755 });
  }
});

afterEach(() => {
  rmSync(clone, { recursive: true });
});

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [join(clone, 'scripts/start.mjs'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

const linesOf = (child: ChildProcess): NodeJS.EventEmitter =>
  createInterface({ input: child.stdout as NodeJS.ReadableStream });

async function nextLine(lines: NodeJS.EventEmitter): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}

async function endOf(child: ChildProcess): Promise<unknown> {
  const [status] = (await once(child, 'exit')) as unknown[];
  return status;
}

it('serves config/services.yaml, hands its arguments on, and puts its own node first in PATH', async () => {
  const child = start('--json');
  const call = JSON.parse(await nextLine(linesOf(child))) as Call;
  expect(call.args).toEqual(['run', '-c', join(clone, 'config/services.yaml'), '--json']);
  expect(call.path.split(':')[0]).toBe(dirname(process.execPath));
  child.kill();
  await endOf(child);
});

it.each([
  ['SIGTERM', 7],
  ['SIGINT', 8],
] as const)('hands %s on and ends with the same exit status as stdiod', async (signal, status) => {
  const child = start();
  await nextLine(linesOf(child));
  child.kill(signal);
  expect(await endOf(child)).toBe(status);
});

it('hands SIGHUP on and keeps running', async () => {
  const child = start();
  const lines = linesOf(child);
  await nextLine(lines);
  child.kill('SIGHUP');
  expect(await nextLine(lines)).toBe('reload');
  child.kill();
  expect(await endOf(child)).toBe(7);
});

it.each(['dist/src/main.js', 'build/Release/stdiod.node', 'dist/services/line-length'])(
  'says what to do when %s is missing',
  async (file) => {
    rmSync(join(clone, file));
    const child = start();
    const [complaint, status] = await Promise.all([text(child.stderr as NodeJS.ReadableStream), endOf(child)]);
    expect({ complaint, status }).toEqual({
      complaint: 'stdiod is not built yet: run "npm install" first\n',
      status: 1,
    });
  },
);

describe('as root, where nobody may not enter', () => {
  asRoot.each([
    [
      'a private folder',
      (): void => {
        chmodSync(clone, 0o700);
      },
    ],
    [
      'a private file',
      (): void => {
        chmodSync(join(clone, 'services/echo.sh'), 0o700);
      },
    ],
  ])('serves a copy of %s, says so, and removes it at the end', async (_what, hide) => {
    hide();
    const child = start();
    const notice = text(child.stderr as NodeJS.ReadableStream);
    const call = JSON.parse(await nextLine(linesOf(child))) as Call;
    const copy = dirname(dirname(call.args[2] ?? ''));
    expect(copy).toMatch(/^\/tmp\/stdiod-/);
    for (const path of ['', 'config/services.yaml', 'services/echo.sh', 'dist/services/line-length', 'bin/node']) {
      expect(statSync(join(copy, path)).mode & 0o777).toBe(0o755);
    }
    expect(call.path.split(':')[0]).toBe(join(copy, 'bin'));
    child.kill();
    expect(await endOf(child)).toBe(7);
    expect(existsSync(copy)).toBe(false);
    expect(await notice).toBe(
      `stdiod: the user nobody cannot read ${clone}, so the services run from a copy of it, ${copy}\n`,
    );
  });
});
