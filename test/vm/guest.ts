/**
 * A machine of its own for what this one may not have: systemd as PID 1, its journal, cgroup v2 with controllers, vsock to itself. QEMU
 * runs it, without hardware help, which not every machine has. test/vm/make-image makes what it boots from; no run changes that.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Outcome } from './inside/promises';

const PROJECT = join(__dirname, '../../..');
const CACHE = join(PROJECT, '.cache/vm');
const QEMU = 'qemu-system-x86_64';
/** It takes three minutes on a machine that does little else; only one that hangs is ended. */
export const LONGEST_MS = 1_200_000;

/** What of this checkout the promises need; it is put into a disk as it is. */
const PAYLOAD = [
  'package.json',
  'docs/operations.md',
  'dist/src',
  'dist/services',
  'dist/test/vm',
  'dist/test/system',
  'build/Release/stdiod.node',
  'node_modules/yaml',
  'node_modules/zod',
];
const PAYLOAD_BYTES = 128 * 1024 ** 2;

/** Beside its image it takes the program that runs it. */
export const isThere = existsSync(join(CACHE, 'stamp')) && has(QEMU) && has('mke2fs');

export interface Run {
  /** By title. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** The end of what its console and QEMU said, for a promise of which it said nothing. */
  readonly lastWords: string;
}

/** Boots once and tries everything. */
export async function runGuest(): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'stdiod-guest-'));
  try {
    makePayload(folder);
    await boot(folder);
    return { outcomes: outcomesIn(textOf(join(folder, 'outcomes'))), lastWords: lastWordsIn(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makePayload(folder: string): void {
  const [root, disk] = [join(folder, 'root'), join(folder, 'payload')];
  for (const path of PAYLOAD) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    cpSync(join(PROJECT, path), join(root, path), { recursive: true });
  }
  writeFileSync(disk, '');
  const made = spawnSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', root, disk, String(PAYLOAD_BYTES / 1024)], ADMIN);
  if (made.status !== 0) throw new Error(`mke2fs: ${made.stderr}`);
}

/** Of an ordinary user the folders of administration are not in PATH. */
const ADMIN = {
  encoding: 'utf8',
  env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
} as const;

async function boot(folder: string): Promise<void> {
  const words = 'root=/dev/vda rw console=ttyS0 panic=-1 quiet systemd.show_status=no';
  const disk = (file: string, more: string): string => `file=${file},if=virtio,format=raw,${more}`;
  const options = [
    ['-accel', 'tcg', '-cpu', 'max', '-smp', '1', '-m', '1024'],
    ['-kernel', join(CACHE, 'kernel'), '-initrd', join(CACHE, 'initrd'), '-append', words],
    ['-drive', disk(join(CACHE, 'disk'), 'snapshot=on'), '-drive', disk(join(folder, 'payload'), 'readonly=on')],
    ['-serial', `file:${join(folder, 'console')}`, '-serial', `file:${join(folder, 'outcomes')}`],
    ['-device', 'virtio-rng-pci', '-nic', 'none', '-monitor', 'none', '-display', 'none', '-no-reboot'],
  ];
  const guest = spawn(QEMU, options.flat(), { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [guest.stdout, guest.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const timer = setTimeout(() => guest.kill('SIGKILL'), LONGEST_MS);
  await once(guest, 'close');
  clearTimeout(timer);
  writeFileSync(join(folder, 'qemu'), said);
}

/** A terminal ends its lines in two characters. */
function outcomesIn(text: string): ReadonlyMap<string, Outcome> {
  const lines = text.split(/\r?\n/).filter((line) => line.startsWith('{'));
  return new Map(lines.map((line) => JSON.parse(line) as Outcome).map((outcome) => [outcome.title, outcome]));
}

function lastWordsIn(folder: string): string {
  return ['qemu', 'console'].map((name) => `${name}: ${textOf(join(folder, name)).slice(-2000)}`).join('\n');
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function has(program: string): boolean {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
    .split(':')
    .some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
