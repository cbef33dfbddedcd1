/**
 * Which words of a command name a file beside the configuration that the program will not find, because it starts in another
 * folder: `python3 app.py` with a `directory` elsewhere.
 */
import { resolve } from 'node:path';
import type { Identity } from '../../service/service';
import { hasPlaceholders, unescapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { Machine } from '../machine/machine';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import type { WrittenText } from './templates';

/** Who the program is when it starts, and where. */
export interface Start {
  readonly identity: Identity | null;
  /** A template. */
  readonly directory: string;
}

/** @param isByDefault the service does not say its directory */
export function reportLostFiles(
  words: readonly WrittenText[],
  start: Start,
  isByDefault: boolean,
  machine: Machine,
  layers: Layers,
  at: Path = ['exec'],
): void {
  if (hasPlaceholders(start.directory)) return;
  const folder = resolve(layers.folderOf(at));
  const directory = unescapeTemplate(start.directory);
  if (folder === directory) return;
  for (const { text, path, indexOf } of words) {
    const name = fileNameIn(text);
    if (name === undefined || !isThere(resolve(folder, name), machine)) continue;
    if (isThere(resolve(directory, name), machine)) continue;
    const problem = isByDefault ? isClosed(name, folder, start) : isElsewhere(name, folder, directory);
    layers.onMachine.report(path, problem, indexOf?.(0));
  }
}

/** Only what looks like one: the word of a subcommand may be the name of some file as well. */
function fileNameIn(word: string): string | undefined {
  if (hasPlaceholders(word)) return undefined;
  const name = unescapeTemplate(word).replace(/^--?[\w-]+=/, '');
  return /^[^/-].*[./]|^\.\.?\//.test(name) ? name : undefined;
}

function isThere(path: string, machine: Machine): boolean {
  return typeof machine.file(path) !== 'string';
}

function isElsewhere(name: string, folder: string, directory: string): Problem {
  const message = `"${name}" is in ${folder}, and the program starts in ${directory}`;
  return { message, remedy: `write ${resolve(folder, name)}, or remove "directory"` };
}

function isClosed(name: string, folder: string, { identity }: Start): Problem {
  const who = identity === null ? 'stdiod' : `user ${identity.user}`;
  const message = `"${name}" is in ${folder}, which ${who} may not enter: the program starts in /`;
  return { message, remedy: `move it to a folder that ${who} may enter (in /srv or /opt), or choose another "user"` };
}
