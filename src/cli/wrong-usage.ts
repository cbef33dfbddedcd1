/**
 * Wrong usage as it is told: to people on stderr; with --json to programs, where they look for problems of the verb.
 */
import { formatJson } from '../log/format';
import type { WrongUsage } from './arguments';
import { writeError, writeOutput } from './terminal';

/** What stands for a file in the diagnostics: there is none. */
export const COMMAND_LINE = '<the command line>';

/** @param words the command line without the program's own name */
export function tellWrongUsage({ message, remedy }: WrongUsage, words: readonly string[]): void {
  const [first = ''] = words;
  const end = words.indexOf('--');
  const isJson = (end < 0 ? words : words.slice(0, end)).includes('--json');
  const problem = { file: COMMAND_LINE, line: 0, column: 0, path: '', message, remedy };
  if (!isJson) writeError(`stdiod: ${message}\nremedy: ${remedy}\n`);
  else if (['check', 'print', 'explain', 'schema', 'version', 'help'].includes(first))
    writeOutput(`${JSON.stringify([problem], null, 2)}\n`);
  else writeError(formatJson({ event: 'problem', ...problem }, new Date()));
}
