/**
 * From a service's settings to the service: names become ids, words a program, paths absolute, durations milliseconds.
 * Called by `load` for each service; what is wrong is reported, and the rest looked at all the same.
 *
 * Of a disabled service only the text is checked: its program may not be installed, its user not created yet.
 */
import { resolve as resolvePath } from 'node:path';
import { parseDuration } from '../service/duration';
import { expandListen } from '../service/listen-text';
import type { Command, Identity, Service } from '../service/service';
import { firstWordPath, locateProgram, makeCommand, readWords } from './command';
import { type EffectiveService, describeService } from './effective';
import { makeEnvironment, searchPathOf } from './environment';
import type { Account } from './host';
import { type Person, resolvePerson } from './identity';
import type { Layers } from './layers';
import { type WrittenEntry, readListen, whyNotBindable } from './listen';
import type { Machine } from './machine';
import { type Problem, Problems } from './problems';
import { explainAbsent, explainClosed } from './program';
import type { ServiceSettings } from './schema';

export interface Resolved {
  readonly service: Service;
  readonly effective: EffectiveService;
  /** For the search for clashes. */
  readonly entries: readonly WrittenEntry[];
}

export function resolveService(settings: ServiceSettings, layers: Layers, machine: Machine): Resolved {
  const onMachine = settings.enabled ? layers : layers.reportingTo(new Problems());
  const entries = readListen(settings.listen, machine, layers);
  for (const { entry, path } of entries) {
    const problem = whyNotBindable(entry, machine);
    if (problem !== null) onMachine.report(path, problem);
  }
  const person = resolvePerson(settings, machine, onMachine);
  const identity = person === undefined ? null : person.identity;
  const service = {
    ...plainSettings(settings),
    name: layers.name,
    listen: entries.flatMap(({ entry }) => expandListen(entry, machine.host.hasIpv6)),
    command: resolveCommand(settings, person, machine, layers, onMachine),
    identity,
    directory: resolveDirectory(settings.directory, person, machine, onMachine),
    environment: makeEnvironment(settings, person?.account ?? NOBODY, machine.host),
  };
  return { service, effective: describeService(service, settings, entries), entries };
}

/** Whom a disabled service's environment names when its user does not exist. */
const NOBODY: Account = { name: 'nobody', uid: 65534, gid: 65534, home: '/', shell: '/bin/sh' };

type PlainKeys =
  'description' | 'enabled' | 'umask' | 'stderr' | 'maxConnections' | 'whenFull' | 'socket' | 'stopGraceMs';

function plainSettings(settings: ServiceSettings): Pick<Service, PlainKeys> {
  return {
    description: settings.description ?? null,
    enabled: settings.enabled,
    umask: Number.parseInt(settings.umask, 8),
    stderr: settings.stderr ?? 'null',
    maxConnections: settings.max_connections,
    whenFull: settings.when_full,
    socket: settings.socket,
    stopGraceMs: parseDuration(settings.stop_grace) ?? 0,
  };
}

/** What stands in for a command that is wrong: the configuration with it is never used. */
const NO_COMMAND: Command = { path: '/', argv: ['/'] };

function resolveCommand(
  settings: ServiceSettings,
  person: Person | undefined,
  machine: Machine,
  layers: Layers,
  onMachine: Layers,
): Command {
  const words = settings.exec === undefined ? undefined : readWords(settings.exec, layers);
  if (settings.exec === undefined || words?.[0] === undefined) return NO_COMMAND;
  const path = locate(words[0], settings, settings.exec, person?.identity ?? null, machine, onMachine);
  return makeCommand(path, words, settings.argv0);
}

function locate(
  word: string,
  settings: ServiceSettings,
  exec: NonNullable<ServiceSettings['exec']>,
  identity: Identity | null,
  machine: Machine,
  layers: Layers,
): string {
  const searchPath = searchPathOf(settings, machine.host);
  const located = locateProgram(word, { identity, searchPath }, machine, layers);
  if (typeof located === 'string') return located;
  layers.report(firstWordPath(exec), located);
  return word.includes('/') ? resolvePath(layers.folderOf(['exec']), word) : word;
}

function resolveDirectory(written: string, person: Person | undefined, machine: Machine, layers: Layers): string {
  const directory = resolvePath(layers.folderOf(['directory']), written);
  const problem = whyNotEnterable(directory, person?.identity ?? null, machine);
  if (problem !== null) layers.report(['directory'], problem);
  return directory;
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
