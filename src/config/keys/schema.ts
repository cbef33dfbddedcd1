/**
 * What a configuration file may say: every key, its type, its default and its meaning, once.
 * The types, the checks (`check`), the JSON Schema (`json-schema`) and the table in the docs (`reference`) all come from here.
 *
 * Nothing is transformed: what is parsed is what was written, with defaults filled in. Text with a grammar of its own
 * (addresses, commands, accounts) is understood by the stage that can also ask the machine about it.
 */
import { z } from 'zod';
import { accessKeys, firstByteKeys, messageKeys, peerKeys, peerRateKeys, rateKeys, openKeys } from './admission-keys';
import { commandKeys, identityKeys, processKeys } from './process-keys';
import { remedies } from './remedies';
import { socketSchema } from './socket-keys';
import { warmSchema } from './warm-keys';
import { address, duration, nonEmpty, path, port, someTime, text } from './values';

/** The kernel has no more process ids (PID_MAX_LIMIT). */
const MOST_PROCESSES = 4_194_304;

/** A program's arguments and environment have 2 MiB together under the usual stack limit. */
const MOST_WORDS = 65_536;

/** Ranges of ports are one entry. */
const MOST_ENTRIES = 4096;

/** Of `include`. */
const MOST_PATTERNS = 100;

export const SERVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const BUILTINS = ['echo', 'discard', 'chargen', 'daytime', 'time', 'qotd', 'tcpmux'] as const;

/** What a service runs: exactly one of these. */
const runKeys = {
  exec: z
    .union([text, z.array(text).min(1).max(MOST_WORDS)])
    .register(remedies, {
      remedy: (value) => (isMap(value) ? 'write one line, "exec: PROGRAM ARGUMENT…", or a list of words' : null),
    })
    .optional()
    .describe(
      'The command: a string that is split into words with shell quoting but no shell, or a list of words. ' +
        'This, `builtin` or `redirect` is required.',
    ),
  builtin: z.enum(BUILTINS).optional().describe('In place of `exec`: one of the small services that come with stdiod.'),
  redirect: nonEmpty
    .optional()
    .describe('In place of `exec`: forward each connection to `HOST:PORT`, `[V6]:PORT`, `unix:PATH` or `unix:@NAME`.'),
};

/** Each is a process that a client waits for. */
const MOST_BEFORE = 16;

/** Said by each service for itself: `defaults` would leave out those silently that cannot have it. */
const beforeKeys = {
  before: z
    .array(z.union([text, z.array(text).min(1).max(MOST_WORDS)]))
    .min(1)
    .max(MOST_BEFORE)
    .register(remedies, {
      remedy: (value) => (typeof value === 'string' ? 'write a list of commands: ["PROGRAM ARGUMENT…"]' : null),
    })
    .optional()
    .describe(
      'Commands, each as in `exec`, that run one after the other before the program. ' +
        'Where one of them does not exit with 0, the client is refused.',
    ),
};

const builtinKeys = {
  amplify: z
    .boolean()
    .optional()
    .describe('A datagram `builtin` may answer with more bytes than it got. Without it: `false`.'),
  quotes: path.optional().describe('The file of `builtin: qotd`; quotes are divided by lines with a single `%`.'),
};

/** What runs where belongs to each service. */
const ownKeys = {
  listen: z
    .union([port, z.string(), z.array(address).min(1).max(MOST_ENTRIES)])
    .optional()
    .describe('Where clients connect: one address or a list of them. Required, unless the service has `tcpmux`.'),
  ...runKeys,
  ...beforeKeys,
  wait: z
    .boolean()
    .optional()
    .describe(
      'The program gets the listening socket itself, and stdiod waits until it exits. ' +
        'Without it: `true` for datagrams, else `false`.',
    ),
  tcpmux: z
    .union([z.boolean(), z.enum(['plus'])])
    .optional()
    .describe(
      'Offer the service by its name through `builtin: tcpmux`; `plus`: the reply `+` is sent for the program.',
    ),
  ...builtinKeys,
  ...commandKeys,
  warm: warmSchema,
  description: text
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, { error: 'must be one line without control characters' })
    .optional()
    .describe('One line for people.'),
};

/** They say something of each connection, which a child that accepts for itself does not show us. */
const countKeys = {
  max_connections: z.int().min(1).max(MOST_PROCESSES).default(1000).describe('Most children of this service at once.'),
  when_full: z
    .enum(['wait', 'refuse'])
    .default('wait')
    .describe('What happens to more clients: `wait` in the queue of the kernel, or `refuse` them.'),
};

/** How a connection ends that does not end by itself. */
const sessionKeys = {
  session_timeout: someTime
    .optional()
    .describe(
      'How long a session may last; then its child gets `stop_signal`, and SIGKILL after `stop_grace`. Without it: for ever.',
    ),
  idle_timeout: someTime
    .optional()
    .describe('TCP: the same for a session in which nothing was sent nor received for so long. Without it: for ever.'),
  on_disconnect: z
    .enum(['ignore', 'terminate'])
    .default('ignore')
    .describe(
      'TCP: what happens to a child whose client has left: it may go on (`ignore`), or is ended (`terminate`).',
    ),
  disconnect_delay: someTime
    .default('10s')
    .describe('How long after its client has left, with `on_disconnect: terminate`.'),
  leftover: z
    .enum(['keep', 'kill'])
    .optional()
    .describe(
      'Processes that outlive their program: told, and left alone (`keep`) or ended (`kill`). Without it: left alone; with `cgroup`: killed.',
    ),
};

const timeKeys = {
  before_timeout: someTime
    .default('5s')
    .describe('How long each command of `before` may take; then all its processes are ended, and the client refused.'),
};

/** What `defaults` may say as well. */
const sharedKeys = {
  enabled: z.boolean().default(true).describe('`false` turns the service off without removing it.'),
  ...identityKeys,
  ...processKeys,
  ...countKeys,
  ...peerKeys,
  ...rateKeys,
  ...peerRateKeys,
  ...accessKeys,
  ...openKeys,
  ...messageKeys,
  ...firstByteKeys,
  ...timeKeys,
  ...sessionKeys,
  accounts: z
    .enum(['basic', 'full'])
    .default('basic')
    .describe(
      'What `reaped` tells; `full`: also the bytes of a TCP connection, its round trip time and retransmits, and the memory of each child.',
    ),
  socket: socketSchema.prefault({}).describe('Options of the listening socket.'),
  stop_grace: duration
    .default('5s')
    .describe(
      'When a child has to go: the time from `stop_signal` to SIGKILL; at a stop as much before `stop_signal`.',
    ),
};

export const serviceSchema = z.strictObject({ ...ownKeys, ...sharedKeys });

/** Nothing is required of `defaults`. */
export const defaultsSchema = z.strictObject(sharedKeys).partial();

const limits = z.strictObject({
  max_connections: z
    .int()
    .min(1)
    .max(MOST_PROCESSES)
    .default(10_000)
    .describe('Most children of all services at once.'),
});

const log = z.strictObject({
  format: z
    .enum(['auto', 'text', 'json'])
    .default('auto')
    .describe('How events are written: `auto` is text on a terminal, else JSON lines.'),
});

export const configurationSchema = z.strictObject({
  services: z
    .record(z.string().regex(SERVICE_NAME), serviceSchema)
    .optional()
    .describe('The services by name. A name is letters, digits, `.`, `_` and `-`, the first a letter or digit.'),
  defaults: defaultsSchema.optional().describe('Keys that every service has unless it says otherwise.'),
  include: z
    .union([nonEmpty, z.array(nonEmpty).max(MOST_PATTERNS)])
    .default([])
    .describe('More files with `services` and `defaults`: one pattern or a list of them.'),
  limits: limits.prefault({}).describe('Limits of the whole server.'),
  log: log.prefault({}).describe('How events are written.'),
});

/** The top of a file, without what stands in its services and defaults: those are checked one by one. */
export const frameSchema = configurationSchema.extend({
  services: z.unknown().optional(),
  defaults: z.unknown().optional(),
});

/** Of an included file. */
export const includedFrameSchema = frameSchema.pick({ services: true, defaults: true });

/** A service as written, with every default filled in. What is wrong is left out. */
export type ServiceSettings = z.output<typeof serviceSchema>;
export type ProcessSettings = Pick<ServiceSettings, keyof typeof identityKeys | keyof typeof processKeys>;
export type SocketSettings = ServiceSettings['socket'];
export type BuiltinName = (typeof BUILTINS)[number];

/** The main file's own settings. */
export type FrameSettings = z.output<typeof frameSchema>;

export const SERVICE_KEYS: readonly string[] = keysOf(serviceSchema.shape);
export const DEFAULTS_KEYS: readonly string[] = keysOf(sharedKeys);
export const TOP_KEYS: readonly string[] = keysOf(configurationSchema.shape);
export const RUN_KEYS = keysOf(runKeys);
export const BUILTIN_KEYS = keysOf(builtinKeys);
export const IDENTITY_KEYS = keysOf(identityKeys);
export const SETUP_KEYS = keysOf(processKeys);
export const PROCESS_KEYS = [...IDENTITY_KEYS, ...SETUP_KEYS, ...keysOf(commandKeys)];
export const SESSION_KEYS = keysOf(sessionKeys);
export const BEFORE_KEYS = [...keysOf(beforeKeys), ...keysOf(timeKeys)];
export const ACCESS_KEYS = keysOf(accessKeys);
export const PEER_RATE_KEYS = keysOf(peerRateKeys);
export const PER_CONNECTION_KEYS = [
  ...BEFORE_KEYS,
  ...keysOf(countKeys),
  ...keysOf(peerKeys),
  ...keysOf(rateKeys),
  ...keysOf(openKeys),
  ...keysOf(messageKeys),
  ...keysOf(firstByteKeys),
  ...SESSION_KEYS,
];

/** For editors. Here `conflicts` sees to it, with better words. */
export const SERVICE_NEEDS = [{ oneOf: RUN_KEYS.map(needs) }, { anyOf: [needs('listen'), needs('tcpmux')] }];

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function needs(key: string): z.core.JSONSchema.ObjectSchema {
  return { type: 'object', properties: { [key]: {} }, required: [key] };
}

function keysOf<Group extends object>(group: Group): readonly (keyof Group & string)[] {
  return Object.keys(group) as (keyof Group & string)[];
}
