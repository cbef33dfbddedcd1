/**
 * From `builtin` and its keys to the command of our own that serves it (services/builtin.c).
 * tcpmux is none of them: the server itself reads the name and starts the service that it names.
 */
import { resolve } from 'node:path';
import { parseRate } from '../../service/rate';
import type { Command } from '../../service/service';
import { escapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent, explainClosed, firstClosedFolder } from '../machine/access';
import type { Machine } from '../machine/machine';
import type { Runner } from '../machine/search-path';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import { locateOwn } from './own-program';

export function builtinCommand(
  settings: ServiceSettings,
  isDatagram: boolean,
  runner: Runner,
  machine: Machine,
  layers: Layers,
): Command {
  const path = locateOwn('builtin', 'builtin', runner, machine, layers);
  const quotes = settings.builtin === 'qotd' ? quotesFile(settings, runner, machine, layers) : undefined;
  const flags = [
    ...(isDatagram ? ['--datagram'] : []),
    ...(isDatagram && settings.amplify === true ? ['--amplify'] : []),
    ...(isDatagram ? rateFlags(settings.rate_per_peer) : []),
    ...(quotes === undefined ? [] : ['--file', escapeTemplate(quotes)]),
  ];
  return { path, argv: ['builtin', ...flags, settings.builtin ?? ''] };
}

function rateFlags(text: string | undefined): string[] {
  const rate = text === undefined ? undefined : parseRate(text);
  return rate === undefined ? [] : ['--rate', `${rate.count}/${rate.perMs / 1000}`];
}

function quotesFile(settings: ServiceSettings, runner: Runner, machine: Machine, layers: Layers): string | undefined {
  if (settings.quotes === undefined) return undefined;
  const path = resolve(layers.folderOf(['quotes']), settings.quotes);
  const problem = whyNotReadable(path, runner, machine);
  if (problem !== null) layers.onMachine.report(['quotes'], problem);
  return path;
}

function whyNotReadable(path: string, { identity }: Runner, machine: Machine): Problem | null {
  const facts = machine.file(path);
  if (facts === 'EACCES') return explainClosed(path, identity, machine, facts);
  if (typeof facts === 'string') return explainAbsent(path, facts);
  if (facts.kind !== 'file') return { message: `${path} is not a regular file`, remedy: 'name a file with quotes' };
  const error = machine.whyNotReadable(path, identity);
  if (error === null) return null;
  if (firstClosedFolder(path, identity, machine) !== undefined) return explainClosed(path, identity, machine, error);
  const who = identity === null ? 'stdiod' : `user ${identity.user}`;
  return { message: `${who} may not read ${path} (${error})`, remedy: `chmod o+r ${shellQuoted(path)}` };
}
