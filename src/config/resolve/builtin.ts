/**
 * From `builtin` and its keys to the command of our own that serves it (services/builtin.c). Called by `process`.
 * tcpmux is none of them: the server itself reads the name and starts the service that it names.
 */
import { resolve } from 'node:path';
import type { Command, Service } from '../../service/service';
import { escapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent, explainClosed, firstClosedFolder } from '../machine/access';
import type { Machine } from '../machine/machine';
import type { Runner } from '../machine/program';
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
    ...(quotes === undefined ? [] : ['--file', escapeTemplate(quotes)]),
  ];
  return { path, argv: ['builtin', ...flags, settings.builtin ?? ''] };
}

/** A service, and whether it is a built-in that answers datagrams. */
interface Told {
  readonly service: Service;
  readonly isDatagramBuiltin: boolean;
}

/**
 * A datagram may carry a forged sender: two services that answer each other would never stop. So each built-in that answers
 * datagrams is told all UDP ports of the configuration, and answers none of them.
 */
export function tellOwnPorts(all: readonly Told[]): readonly Service[] {
  const ports = formatPorts(ownPorts(all.map(({ service }) => service)));
  return all.map(({ service, isDatagramBuiltin }) => {
    if (!isDatagramBuiltin || ports === '' || service.handler.kind !== 'exec') return service;
    const { path, argv } = service.handler.command;
    const [name = '', ...rest] = argv;
    return { ...service, handler: { kind: 'exec', command: { path, argv: [name, '--ports', ports, ...rest] } } };
  });
}

/** Those that are known before the sockets are bound, sorted. */
function ownPorts(services: readonly Service[]): number[] {
  const enabled = services.filter((service) => service.enabled);
  const sockets = enabled.flatMap(({ listen }) => listen.flatMap((address) => address.sockets));
  const ports = sockets.flatMap((socket) => ('address' in socket && socket.type === 'datagram' ? [socket.port] : []));
  return [...new Set(ports)].filter((port) => port !== 0).sort((a, b) => a - b);
}

/** `7,19,10000-10099`. */
function formatPorts(sorted: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const port of sorted) {
    const current = ranges.at(-1);
    if (current?.last === port - 1) current.last = port;
    else ranges.push({ first: port, last: port });
  }
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(',');
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
