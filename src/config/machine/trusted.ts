/**
 * Whether the configuration is the operator's alone: who may write it decides what runs, and where stdiod is root, as whom.
 */
import { dirname } from 'node:path';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import type { Machine } from './machine';

const [OTHERS_WRITE, STICKY] = [0o002, 0o1000];

/** null: not everybody may change it, or stdiod can do no more than they. */
export function whyNotTrusted(file: string, machine: Machine): Problem | null {
  if (machine.uid !== 0) return null;
  const path = machine.realPath(file);
  const folder = dirname(path);
  if (mayAnybody(path, OTHERS_WRITE, machine)) {
    const message = 'everybody may write the file, and what it says runs as root or as whom it likes';
    return { message, remedy: `chmod o-w ${shellQuoted(path)}` };
  }
  if (!mayAnybody(folder, OTHERS_WRITE, machine) || mayAnybody(folder, STICKY, machine)) return null;
  const message = `everybody may put another file in its place: ${folder} is writable for all`;
  return { message, remedy: `chmod o-w ${shellQuoted(folder)}` };
}

function mayAnybody(path: string, bit: number, machine: Machine): boolean {
  const facts = machine.file(path);
  return typeof facts !== 'string' && (facts.mode & bit) !== 0;
}
