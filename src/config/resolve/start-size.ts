/**
 * Whether the words and the environment of a command fit through execve(2): what does not costs every client an E2BIG. That
 * a single one of them is too long is found where it is read (templates.ts).
 */
import type { Exec } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { Path } from '../report/path';
import type { Exec as WrittenExec } from './command';

/** A pointer to each, and room for the facts of a connection. */
const POINTER_BYTES = 8;
const FACTS_BYTES = 4096;

type Sized = readonly [Path, number];

/** With the caret at the longest part. @param exec as it is written @param at and where */
export function reportTooLong(
  { command, process }: Pick<Exec, 'command' | 'process'>,
  exec: WrittenExec,
  most: number,
  layers: Layers,
  at: Path = ['exec'],
): void {
  const words = command.argv.map((text, index): Sized => [wordPath(exec, at, index), sizeOf(text)]);
  const variables = Object.entries(process.environment);
  const all = [...words, ...variables.map(([name, value]): Sized => [['env', name], sizeOf(`${name}=${value}`)])];
  const total = all.reduce((sum, [, size]) => sum + size + POINTER_BYTES, FACTS_BYTES);
  if (total <= most) return;
  const [longest] = all.reduce((one, other) => (other[1] > one[1] ? other : one));
  const message = `the command with its environment has ${total} bytes, and the kernel starts no program with more than ${most}`;
  layers.onMachine.report(longest, { message, remedy: 'put them into a file that the program reads' });
}

function wordPath(exec: WrittenExec, at: Path, index: number): Path {
  return typeof exec === 'string' ? at : [...at, index];
}

/** With the NUL at its end. */
function sizeOf(text: string): number {
  return Buffer.byteLength(text) + 1;
}
