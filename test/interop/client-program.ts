/**
 * Runs a client that we did not write until it ends, and tells how. It sees nothing of the settings of whoever runs the
 * tests, and it is killed with its test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { atEnd } from '../system/endings';
import { untilTrue } from '../system/until';

export interface ProgramOptions {
  /** What it reads from stdin; without it stdin is at its end. */
  readonly input?: Buffer | string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  /** An exit status, or the name of a signal. */
  readonly status: number | string;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export async function runProgram(words: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const program = startProgram(words, options);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  program.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  program.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  program.stdin?.end(options.input ?? '');
  await once(program, 'close');
  const status = program.exitCode ?? program.signalCode ?? 'unknown';
  return { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/** The bytes that it writes; rejects when it fails. */
export async function bytesOf(words: readonly string[], options: ProgramOptions = {}): Promise<Buffer> {
  const { status, stdout, stderr } = await runProgram(words, options);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${status}\n${stdout.toString().slice(0, 4000)}${stderr}`);
  return stdout;
}

/** As `bytesOf`, as text. */
export async function outputOf(words: readonly string[], options: ProgramOptions = {}): Promise<string> {
  return (await bytesOf(words, options)).toString();
}

/** Datagrams have no end: the client says something, and is left alone until it has its first answer. */
export async function answerOf(words: readonly string[], input: string): Promise<string> {
  const program = startProgram(words);
  let answer = '';
  program.stdout?.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  program.stdin?.write(input);
  await untilTrue(`${words.join(' ')} is answered`, () => answer !== '');
  program.kill('SIGKILL');
  return answer;
}

/** With pipes; the caller reads them. */
export function startProgram(words: readonly string[], options: ProgramOptions = {}): ChildProcess {
  const [name = '', ...args] = words;
  const program = spawn(name, args, { cwd: options.cwd ?? '/', env: { ...plainEnvironment(), ...options.env } });
  // One that ends without having read its input is judged by its status.
  program.stdin.on('error', () => undefined);
  atEnd(() => {
    program.kill('SIGKILL');
  });
  return program;
}

function plainEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' };
}
