/**
 * Loads what was compiled from native/, or says why that cannot be and what to do. To serve, stdiod needs it (addon.ts); the verbs
 * that only read and print ask here first, and do without.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** What the operator is told: whoever compiled nothing, or elsewhere, reads no stack trace. */
export class AddonError extends Error {
  readonly remedy = buildRemedy();
}

/** @throws AddonError */
export function loadAddon(): unknown {
  const path = process.env['STDIOD_ADDON'] ?? join(packageRoot(), 'build/Release/stdiod.node');
  if (!existsSync(path)) throw new AddonError(`nothing was compiled when it was installed: there is no ${path}`);
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the only way to load an addon
    return require(path) as unknown;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_DLOPEN_FAILED') throw error;
    throw new AddonError(explainUnloadable(path, message));
  }
}

/** Where package.json stands: three folders above dist/src/native. */
export function packageRoot(): string {
  return join(__dirname, '../../..');
}

/** Both in a clone and in an installed package; npm runs a script that is named even where it was told to run none. */
function buildRemedy(): string {
  const command = `npm --prefix ${packageRoot()} run install`;
  return isWritable(packageRoot()) ? command : `as root or whoever installed it: ${command}`;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function explainUnloadable(path: string, reason: string): string {
  const built = processorOf(path);
  if (built !== process.arch) return `${path} was compiled for ${built}, and this Node.js is for ${process.arch}`;
  const [first = ''] = reason.split('\n');
  return `${path} was compiled for another system: ${first.replace(`${path}: `, '')}`;
}

/** By the names that Node has for them (elf(5), e_machine). */
const PROCESSORS: Readonly<Record<number, string>> = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64' };
const ELF = '\x7fELF';

function processorOf(path: string): string {
  const head = Buffer.alloc(20);
  const file = openSync(path, 'r');
  readSync(file, head);
  closeSync(file);
  const isElf = head.toString('latin1', 0, 4) === ELF;
  return isElf ? (PROCESSORS[head.readUInt16LE(18)] ?? 'another processor') : 'nothing that this machine knows';
}
