/**
 * Whether a file can be run by an identity, and if not, why and what to do: execve(2) asked in advance.
 */
import { isAbsolute } from 'node:path';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import { explainAbsent, explainClosed } from './access';
import { isOfFormat } from './binary-formats';
import { foreignProcessor } from './elf';
import type { Machine } from './machine';
import { type Runner, remedyElsewhere } from './search-path';
import { whyNotForRoot } from './trusted';

/** An interpreter may itself be a script; the kernel follows four (BINPRM recursion). */
const MOST_INTERPRETERS = 4;

/** null: it can be run. */
export function whyNotRunnable(path: string, runner: Runner, machine: Machine, depth = 0): Problem | null {
  const forRoot = runner.identity?.uid === 0 ? whyNotForRoot(path, machine) : null;
  return whyNotReachable(path, runner, machine) ?? forRoot ?? whyNotStartable(path, runner, machine, depth);
}

function whyNotReachable(path: string, { identity }: Runner, machine: Machine): Problem | null {
  const facts = machine.file(path);
  if (facts === 'EACCES') return explainClosed(path, identity, machine, facts);
  if (typeof facts === 'string') return explainAbsent(path, facts);
  if (facts.kind === 'folder') return { message: `${path} is a folder`, remedy: 'name the program in it' };
  if (facts.kind === 'other') return { message: `${path} is not a regular file`, remedy: 'name a program' };
  const error = machine.whyNotExecutable(path, identity);
  if (error === null) return null;
  if ((facts.mode & 0o111) === 0) return notExecutable(path);
  return explainClosed(path, identity, machine, error);
}

function notExecutable(path: string): Problem {
  return { message: `${path} is not executable`, remedy: `chmod +x ${shellQuoted(path)}` };
}

/** A file that stdiod itself may not read is left to the kernel. */
function whyNotStartable(path: string, runner: Runner, machine: Machine, depth: number): Problem | null {
  const head = machine.head(path);
  if (head === undefined) return null;
  if (head.toString('latin1', 0, 2) === '#!') return whyNotScript(path, head, runner, machine, depth);
  const isElf = head.toString('latin1', 0, 4) === '\u007fELF';
  const processor = isElf ? foreignProcessor(head, machine.architecture) : null;
  if (isElf && processor === null) return null;
  if (machine.binaryFormats().some((format) => isOfFormat(path, head, format))) return null;
  if (processor !== null) return foreign(path, processor, machine);
  const message =
    head.length === 0 ? `${path} is empty` : `${path} is neither an ELF program nor a script with a "#!" line`;
  return { message, remedy: 'if it is a script, let its first line name its interpreter: #!/bin/sh' };
}

function foreign(path: string, processor: string, { architecture }: Machine): Problem {
  const message = `${path} was made for another processor: ${processor}, and this is ${architecture}`;
  return { message, remedy: 'install the one that was made for this machine' };
}

function whyNotScript(path: string, head: Buffer, runner: Runner, machine: Machine, depth: number): Problem | null {
  const [line = ''] = head.toString('utf8', 2).split('\n');
  if (line.endsWith('\r')) {
    const remedy = `sed -i 's/\\r$//' ${shellQuoted(path)}`;
    return {
      message: `${path} has Windows line ends (CRLF): the kernel looks for an interpreter "${line.trim()}\\r"`,
      remedy,
    };
  }
  const [interpreter = '', ...rest] = line.trim().split(/[ \t]+/);
  if (interpreter === '')
    return { message: `${path} has an empty "#!" line`, remedy: 'name its interpreter: #!/bin/sh' };
  if (!isAbsolute(interpreter)) return relativeInterpreter(path, interpreter);
  if (depth >= MOST_INTERPRETERS) return { message: `${path} has too long a chain of interpreters`, remedy: null };
  const problem =
    whyNotRunnable(interpreter, runner, machine, depth + 1) ?? whyNotFoundByEnv(interpreter, rest, runner, machine);
  return problem && { message: `the interpreter of ${path}: ${problem.message}`, remedy: problem.remedy };
}

function relativeInterpreter(path: string, interpreter: string): Problem {
  const message = `the interpreter of ${path} is not an absolute path: "${interpreter}"`;
  return { message, remedy: `write #!/usr/bin/env ${interpreter}` };
}

/** `#!/usr/bin/env python3`: env exists everywhere, python3 may not. Its options are its own affair. */
function whyNotFoundByEnv(
  interpreter: string,
  words: readonly string[],
  runner: Runner,
  machine: Machine,
): Problem | null {
  const [name = '', ...others] = words;
  if (!interpreter.endsWith('/env') || others.length > 0 || !/^[\w.+][\w.+-]*$/.test(name)) return null;
  const folders = runner.searchPath.split(':').filter(isAbsolute);
  const found = folders.some((folder) => machine.whyNotExecutable(`${folder}/${name}`, runner.identity) === null);
  if (found) return null;
  return {
    message: `env does not find "${name}" in ${runner.searchPath}`,
    remedy: remedyElsewhere(name, runner, machine) ?? `install ${name}, or set PATH in "env"`,
  };
}
