/**
 * Runs a function in a Node process of its own. The addon takes SIGCHLD for itself and its children die where they like,
 * which a Jest worker would not survive. The function travels as text, so it may use its parameters and globals, nothing else.
 * The folder for its files is made and removed here: the process may die of a signal, or may not remove what is root's.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Kit } from './kit';

export const PROJECT = join(__dirname, '../../..');
const LONGEST_MS = 120_000;

type Body<Result, Argument> = (kit: Kit, argument: Argument) => Result | Promise<Result>;

/**
 * @param wrapper words to put before Node's own: a program that prepares the process (`unshare --pid`)
 * @returns what the function returned, by way of JSON
 */
export function inFreshProcess<Result>(body: Body<Result, undefined>): Promise<Result>;
export function inFreshProcess<Result, Argument>(
  body: Body<Result, Argument>,
  argument: Argument,
  wrapper?: readonly string[],
): Promise<Result>;
export async function inFreshProcess<Result, Argument>(
  body: Body<Result, Argument>,
  argument?: Argument,
  wrapper: readonly string[] = [],
): Promise<Result> {
  const call = `(${body.toString()})(kit, ${argument === undefined ? 'undefined' : JSON.stringify(argument)})`;
  const script = `
    const { kit } = require(${JSON.stringify(join(__dirname, 'kit'))});
    Promise.resolve(${call}).then((result) => {
      require('node:fs').writeSync(1, JSON.stringify({ result }));
      process.exit(0);
    });`;
  const output = await outputOf([...wrapper, process.execPath, '--expose-gc', '-e', script]);
  return (JSON.parse(output) as { result: Result }).result;
}

async function outputOf(words: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'stdiod-test-'));
  chmodSync(folder, 0o755);
  try {
    const node = spawn(words[0] ?? '', words.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...sanitizerEnvironment(), TMPDIR: folder },
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    const [output, errors] = await Promise.all([text(node.stdout), text(node.stderr), once(node, 'close')]);
    if (node.exitCode !== 0) throw new Error(`ended with ${node.exitCode ?? node.signalCode ?? ''}\n${errors}`);
    return output;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The sanitizer's library must be the first in the process; Node itself leaks at exit, so leaks are not looked for. */
function sanitizerEnvironment(): NodeJS.ProcessEnv {
  if (process.env['STDIOD_SANITIZED'] !== '1') return {};
  const library = execFileSync(process.env['CXX'] ?? 'c++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  return {
    STDIOD_ADDON: join(PROJECT, 'build/Sanitized/stdiod.node'),
    LD_PRELOAD: library.trim(),
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}
