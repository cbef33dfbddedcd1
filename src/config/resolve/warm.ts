/**
 * From `warm` to what is started ahead of clients. What a program would have to know of its connection by then excludes it.
 */
import { isAbsolute, resolve } from 'node:path';
import type { ListenAddress, SocketAddress } from '../../service/address';
import { parseDuration } from '../../service/duration';
import type { Command, Process, Warm } from '../../service/service';
import { hasPlaceholders, unescapeTemplate } from '../../service/template';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import type { Runner } from '../machine/search-path';
import type { Shape } from './conflicts';
import { locateOwn } from './own-program';

/** What it is started as. */
interface Start {
  readonly command: Command;
  readonly process: Process;
  readonly runner: Runner;
  readonly listen: readonly ListenAddress[];
}

const DEFAULT_SIZE = { pool: 4, template: 1 } as const;
/** Tracing is how a program is stopped at its first use of the connection. */
const TRACING = 'debug';
const REMEDY = 'remove "warm"';

/** null: none is, or what stands in its way is reported. */
export function resolveWarm(
  { warm, leftover }: ServiceSettings,
  shape: Shape,
  start: Start,
  machine: Machine,
  layers: Layers,
): Warm | null {
  if (warm === undefined || shape.run !== 'exec' || shape.isWaiting) return null;
  const wish = typeof warm === 'string' ? { ...DEFAULTS, mode: warm } : warm;
  const { mode } = wish;
  if (mode === 'none') return null;
  reportObstacles(start, layers);
  if (mode === 'template' && leftover !== undefined) reportLeftover(layers);
  return {
    mode,
    size: wish.size ?? DEFAULT_SIZE[mode],
    maxAgeMs: parseDuration(wish.max_age) ?? 0,
    maxUses: mode === 'pool' ? Number.MAX_SAFE_INTEGER : wish.max_uses,
    startMs: parseDuration(wish.start_timeout) ?? 0,
    mayAskAddress: wish.early.includes('getsockname'),
    family: familyOf(start.listen),
    park: locateOwn('park', 'warm', start.runner, machine, layers),
    files: filesOf(start, machine),
  };
}

/** Of the word alone; as the schema has them. */
const DEFAULTS: Omit<Exclude<NonNullable<ServiceSettings['warm']>, string>, 'mode'> = {
  max_age: '1h',
  max_uses: 100_000,
  start_timeout: '10s',
  early: [],
};

function reportObstacles({ command, process, listen }: Start, layers: Layers): void {
  const report = (because: string, remedy: string): void => {
    layers.report(['warm'], { message: `a program cannot be started ahead of its client: ${because}`, remedy });
  };
  const varying = findVarying(command, process);
  if (varying !== undefined)
    report(`"${varying}" has placeholders, which the client fills in`, `remove them, or ${REMEDY}`);
  if (typeof process.stderr === 'object')
    report('"stderr" is a file, which each child opens for itself', `set "stderr: log", or ${REMEDY}`);
  if (process.cgroup !== null)
    report('each connection of "cgroup" has a group of its own, which it must be born in', REMEDY);
  if (process.root !== null) report('in "chroot" it could not be reached by what starts it', REMEDY);
  if (process.labels.apparmor !== null || process.labels.selinux !== null)
    report('its security profile would begin with what starts it', REMEDY);
  if (process.sandbox.deniedCalls.includes(TRACING))
    report('the sandbox lets nobody trace it', `allow it: "system_calls: {allow: [${TRACING}]}", or ${REMEDY}`);
  if (listen.some(({ sockets }) => !sockets.every(isKnown)))
    report('its clients must come over TCP or a Unix stream', `give it such an address, or ${REMEDY}`);
}

/** They are found by the name of their session in their environment, and all sessions of a template have one. */
function reportLeftover(layers: Layers): void {
  const message = '"leftover" has no meaning with a template: what outlives one session cannot be told from the others';
  layers.report(['warm'], { message, remedy: 'set "pool", or remove "leftover"' });
}

function findVarying({ argv }: Command, { directory, environment }: Process): string | undefined {
  if (argv.some(hasPlaceholders)) return 'exec';
  if (hasPlaceholders(directory)) return 'directory';
  return Object.values(environment).some(hasPlaceholders) ? 'env' : undefined;
}

function isKnown({ family, type }: SocketAddress): boolean {
  return type === 'stream' && (family === 'ipv4' || family === 'ipv6' || family === 'unix');
}

/** Where a service has several, the first: whatever asks for more than the kind of socket is a use of it. */
function familyOf(listen: readonly ListenAddress[]): Warm['family'] {
  const family = listen[0]?.sockets[0]?.family;
  if (family === 'ipv6') return 'inet6';
  return family === 'unix' ? 'unix' : 'inet';
}

/** The program, and those of its words that name files. */
function filesOf({ command, process }: Start, machine: Machine): string[] {
  const [, ...words] = command.argv;
  if (hasPlaceholders(process.directory)) return [command.path];
  const directory = unescapeTemplate(process.directory);
  const named = words
    .filter((word) => !hasPlaceholders(word))
    .map(unescapeTemplate)
    .filter((word) => isAbsolute(word) || /^[^-].*[./]|^\.\.?\//.test(word))
    .map((word) => resolve(directory, word));
  return [command.path, ...named.filter((path) => isFile(path, machine))];
}

function isFile(path: string, machine: Machine): boolean {
  const facts = machine.file(path);
  return typeof facts !== 'string' && facts.kind === 'file';
}
