/**
 * Where programs are looked for, and what to do about one that is not there but in the PATH of whoever loads the file: version
 * managers and virtual environments live in the PATH of a shell.
 */
import { isAbsolute, join } from 'node:path';
import type { Identity } from '../../service/service';
import { explainClosed } from './access';
import type { Machine } from './machine';

/** Who is to run a program, and with which PATH: there an `env` in its first line looks. */
export interface Runner {
  readonly identity: Identity | null;
  readonly searchPath: string;
  /** Whether the service's `env` has a PATH. */
  readonly isPathSet: boolean;
}

/** undefined: it is not there either. */
export function remedyElsewhere(name: string, runner: Runner, machine: Machine): string | undefined {
  const folders = (machine.environment['PATH'] ?? '').split(':').filter(isAbsolute);
  const path = folders.map((folder) => join(folder, name)).find((each) => isFile(each, machine));
  if (path === undefined) return undefined;
  const error = machine.whyNotExecutable(path, runner.identity);
  if (error !== null)
    return `install it for everybody: ${explainClosed(path, runner.identity, machine, error).message}`;
  const way = runner.isPathSet ? 'add its folder to PATH in "env"' : 'add "pass_env: [PATH]"';
  return `stdiod's own PATH has ${path}: write that, or ${way}`;
}

function isFile(path: string, machine: Machine): boolean {
  const facts = machine.file(path);
  return typeof facts !== 'string' && facts.kind === 'file';
}
