/**
 * From `before` to the commands that decide whether a client is served.
 */
import { resolve } from 'node:path';
import { parseDuration } from '../../service/duration';
import type { Before, Command, Process } from '../../service/service';
import { escapeTemplate, type Placeholder, unescapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { inside, saidInside } from '../machine/inside';
import type { Machine } from '../machine/machine';
import type { Runner } from '../machine/search-path';
import type { Problem } from '../report/problems';
import type { Path } from '../report/path';
import { type Exec, locateProgram, makeCommand, readWords } from './command';
import { reportLostFiles } from './lost-files';
import { reportProgramOutOfReach } from './out-of-reach';
import { reportTooLong } from './start-size';

/** Whose process the commands are like. */
interface Model {
  readonly process: Process;
  readonly runner: Runner;
}

export function resolveBefore(
  settings: ServiceSettings,
  model: Model,
  machine: Machine,
  layers: Layers,
): Before | null {
  const { before, before_timeout: timeout, directory } = settings;
  if (before === undefined) return null;
  const commands = before.flatMap((exec, index) => {
    const isByDefault = directory === undefined;
    return resolveOne(exec, ['before', index], { ...model, isByDefault }, machine, layers) ?? [];
  });
  return { commands, timeoutMs: parseDuration(timeout) ?? 0 };
}

function resolveOne(
  exec: Exec,
  at: Path,
  { process, runner, isByDefault }: Model & { readonly isByDefault: boolean },
  outside: Machine,
  layers: Layers,
): Command | undefined {
  const [first, ...others] = readWords(exec, refuseConnection, layers, at) ?? [];
  if (first === undefined) return undefined;
  const machine = inside(process.root, outside);
  if (process.root === null) reportLostFiles(others, process, isByDefault, machine, layers, at);
  const word = unescapeTemplate(first.text);
  const located = locateProgram(word, runner, machine, layers, at);
  if (typeof located !== 'string') layers.onMachine.report(first.path, saidInside(process.root, located));
  // One that is not there stays in its place: without it whoever comes would be let in.
  const path = typeof located === 'string' ? located : resolve(layers.folderOf(at), word);
  // Its own name as well, so that what `print` shows is the same command.
  const command = makeCommand(path, [escapeTemplate(path), ...others.map(({ text }) => text)], undefined);
  reportProgramOutOfReach(path, process.sandbox, layers, at);
  reportTooLong({ command, process }, exec, machine.startBytes, layers, at);
  return command;
}

/** They run while the connection is not theirs. */
function refuseConnection(name: Placeholder): Problem | null {
  if (name !== 'fd') return null;
  const message = '%{fd} has no meaning here: the connection is for the program, and not for what runs before it';
  return { message, remedy: 'remove it; %{peer.address} and the environment tell who the client is' };
}
