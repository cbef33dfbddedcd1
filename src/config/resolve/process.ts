/**
 * From a service's settings to the process that each connection (or, with `wait`, the socket) is given: who it runs as, where,
 * with what environment, and which command.
 */
import { resolve as resolvePath } from 'node:path';
import type { ListenAddress } from '../../service/address';
import { FACT_NAMES } from '../../service/fact-names';
import type { Command, Exec, Identity, Process } from '../../service/service';
import { DEFAULT_STOP_SIGNAL, parseStopSignal, type StopSignal } from '../../service/stop-signal';
import { escapeTemplate, hasPlaceholders, unescapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent, explainClosed } from '../machine/access';
import { whyNotAppendable } from '../machine/appendable';
import { inside, saidInside } from '../machine/inside';
import type { Account, Machine } from '../machine/machine';
import type { Runner } from '../machine/search-path';
import type { Problem } from '../report/problems';
import { resolveBefore } from './before';
import { builtinCommand } from './builtin';
import { resolveCgroup } from './cgroup';
import { resolveLabels } from './labels';
import { locateProgram, makeCommand, readWords } from './command';
import type { Shape } from './conflicts';
import { resolveCredentials } from './secrets';
import { makeEnvironment, searchPathOf } from './environment';
import { reportLostFiles } from './lost-files';
import { reportOutOfReach, whyHidden } from './out-of-reach';
import { resolvePerson } from './identity';
import { redirectCommand } from './redirect';
import { resolveResources } from './resources';
import { resolveRights } from './rights';
import { reportUntrustedInside, resolveRoot } from './root-folder';
import { resolveSandbox } from './sandbox';
import { reportTooLong } from './start-size';
import { type Refuse, checkTemplate, refusePeer } from './templates';
import { resolveWarm } from './warm';

export function resolveExec(
  written: ServiceSettings,
  shape: Shape,
  listen: readonly ListenAddress[],
  machine: Machine,
  layers: Layers,
): Exec {
  const refuse = refusePeer(shape, layers);
  const settings = { ...written, env: soundVariables(written.env, refuse, layers) };
  const person = resolvePerson(settings, machine, layers);
  const identity = person?.identity ?? null;
  const sandbox = resolveSandbox(settings, shape, machine, layers);
  const rights = resolveRights(settings, identity, sandbox, machine, layers);
  const { root, layers: within } = resolveRoot(settings, shape, { identity, rights, sandbox }, machine, layers);
  const directory = resolveDirectory(settings.directory, { identity, root, sandbox }, refuse, machine, within);
  const process = {
    identity,
    root,
    directory,
    umask: umaskOf(settings),
    resources: resolveResources(settings, machine, layers),
    cgroup: resolveCgroup(settings, shape, machine, layers),
    rights,
    sandbox,
    credentials: resolveCredentials(settings, shape, { identity, sandbox }, machine, layers),
    labels: resolveLabels(settings, machine, layers),
    environment: makeEnvironment(settings, person?.account ?? NOBODY, machine),
    // Its words are for the operator: to its client every byte is the target's.
    stderr: shape.run === 'redirect' ? 'report' : resolveStderr(settings, shape, { identity, root }, machine, within),
    stopSignal: shape.run === 'exec' ? resolveStopSignal(settings) : DEFAULT_STOP_SIGNAL,
  } as const;
  const runner = runnerOf(settings, identity, machine);
  const command = resolveCommand(settings, shape, { runner, root, directory }, machine, within);
  const before = resolveBefore(settings, { process, runner }, machine, within);
  const warm = resolveWarm(settings, shape, { command, process, runner, listen }, machine, layers);
  const exec = { kind: 'exec', command, process, before, warm } as const;
  reportOutOfReach(exec, layers);
  reportUntrustedInside(exec, machine, within);
  if (written.exec !== undefined) reportTooLong(exec, written.exec, machine.startBytes, layers);
  return exec;
}

/** What a strict program may write anywhere is for its user alone. */
function umaskOf({ umask, sandbox }: ServiceSettings): number {
  return Number.parseInt(umask ?? (sandbox === 'strict' ? '0077' : '0022'), 8);
}

/** A socket that listens is nowhere to write to. */
function resolveStderr(
  { stderr }: ServiceSettings,
  { isWaiting }: Shape,
  { identity, root }: Where,
  machine: Machine,
  layers: Layers,
): Process['stderr'] {
  if (stderr === undefined) return isWaiting ? 'log' : 'socket';
  if (stderr === null || stderr === 'null') return 'null';
  if (stderr === 'socket' || stderr === 'log') return stderr;
  const file = resolvePath(layers.folderOf(['stderr']), stderr);
  const problem = whyNotAppendable(file, identity, inside(root, machine));
  if (problem !== null) layers.onMachine.report(['stderr'], saidInside(root, problem));
  return { file };
}

function resolveStopSignal({ stop_signal }: ServiceSettings): StopSignal {
  return (stop_signal === undefined ? undefined : parseStopSignal(stop_signal)) ?? DEFAULT_STOP_SIGNAL;
}

/** Who looks for a path, and inside which folder. */
interface Where {
  readonly identity: Identity | null;
  readonly root: string | null;
}

/** Whom a disabled service's environment names when its user does not exist. */
const NOBODY: Account = { name: 'nobody', uid: 65534, gid: 65534, home: '/', shell: '/bin/sh' };

/** What stands in for a command that is wrong: the configuration with it is never used. */
const NO_COMMAND: Command = { path: '/', argv: ['/'] };

function soundVariables(env: ServiceSettings['env'], refuse: Refuse, layers: Layers): ServiceSettings['env'] {
  for (const name of Object.keys(env).filter((each) => FACT_NAMES.has(each))) {
    const message = `"${name}" is a fact of the connection, which stdiod tells`;
    layers.report(['env', name], { message, remedy: 'remove it, or choose another name' });
  }
  const entries = Object.entries(env).filter(([name, text]) => {
    return checkTemplate({ text, path: ['env', name] }, refuse, layers);
  });
  return Object.fromEntries(entries);
}

function runnerOf(settings: ServiceSettings, identity: Identity | null, machine: Machine): Runner {
  return { identity, searchPath: searchPathOf(settings, machine), isPathSet: settings.env['PATH'] !== undefined };
}

function resolveCommand(
  settings: ServiceSettings,
  shape: Shape,
  { runner, root, directory }: { readonly runner: Runner; readonly root: string | null; readonly directory: string },
  outside: Machine,
  layers: Layers,
): Command {
  const { identity } = runner;
  const machine = inside(root, outside);
  if (shape.run === 'builtin') return builtinCommand(settings, shape.isDatagram, runner, machine, layers);
  const { exec, redirect } = settings;
  if (shape.run === 'redirect') return redirectCommand(redirect ?? '', runner, machine, layers) ?? NO_COMMAND;
  const written = exec === undefined ? undefined : readWords(exec, refusePeer(shape, layers), layers);
  const [first, ...others] = written ?? [];
  if (written === undefined || first === undefined) return NO_COMMAND;
  const words = written.map(({ text }) => text);
  const word = unescapeTemplate(first.text);
  // Words of a command inside name no files of the folder that the configuration is in.
  if (root === null)
    reportLostFiles(others, { identity, directory }, settings.directory === undefined, machine, layers);
  const located = locateProgram(word, runner, machine, layers);
  if (typeof located === 'string') return makeCommand(located, words, settings.argv0);
  layers.onMachine.report(first.path, saidInside(root, located));
  const path = word.includes('/') ? resolvePath(layers.folderOf(['exec']), word) : word;
  return makeCommand(path, words, settings.argv0);
}

/** A template; one with placeholders is looked for when a connection comes. Without one: beside the file, if that may be. */
function resolveDirectory(
  written: string | undefined,
  { identity, root, sandbox }: Where & Pick<Process, 'sandbox'>,
  refuse: Refuse,
  machine: Machine,
  layers: Layers,
): string {
  if (written === undefined)
    return root === null ? escapeTemplate(ownFolder({ identity, sandbox }, machine, layers)) : '/';
  if (!checkTemplate({ text: written, path: ['directory'] }, refuse, layers)) return '/';
  const directory = resolvePath(escapeTemplate(layers.folderOf(['directory'])), written);
  if (hasPlaceholders(directory)) return directory;
  const problem = whyNotEnterable(unescapeTemplate(directory), identity, inside(root, machine));
  if (problem !== null) layers.onMachine.report(['directory'], saidInside(root, problem));
  return directory;
}

/** Of the file that names the service. */
function ownFolder(
  { identity, sandbox }: Pick<Process, 'identity' | 'sandbox'>,
  machine: Machine,
  layers: Layers,
): string {
  const folder = resolvePath(layers.folderOf([]));
  const isOpen = machine.whyNotExecutable(folder, identity) === null && whyHidden(folder, sandbox) === null;
  return isOpen ? folder : '/';
}

function whyNotEnterable(directory: string, identity: Identity | null, machine: Machine): Problem | null {
  const facts = machine.file(directory);
  if (typeof facts === 'string' && facts !== 'EACCES') return explainAbsent(directory, facts);
  if (typeof facts !== 'string' && facts.kind !== 'folder') {
    return { message: `${directory} is not a folder`, remedy: 'name a folder' };
  }
  const error = machine.whyNotExecutable(directory, identity);
  return error === null ? null : explainClosed(directory, identity, machine, error);
}
