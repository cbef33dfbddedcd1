/**
 * What a configuration file may say: every key, its type, its default and its meaning, once.
 * The types, the checks (`check`), the JSON Schema (`json-schema`) and the table in the docs (`reference`) all come from here.
 *
 * Nothing is transformed: what is parsed is what was written, with defaults filled in. Text with a grammar of its own
 * (addresses, commands, accounts) is understood by the stage that can also ask the machine about it.
 */
import { z } from 'zod';
import { DURATION_PATTERN, LONGEST_DURATION_MS, parseDuration } from '../../service/duration';
import { SIZE_PATTERN, parseSize } from '../../service/size';

/** The kernel has no more process ids (PID_MAX_LIMIT). */
const MOST_PROCESSES = 4_194_304;

/** listen(2) takes an int. */
const LARGEST_INT = 2_147_483_647;

/** One word of argv or of the environment (MAX_ARG_STRLEN, execve(2)), its ending NUL included. */
const LONGEST_WORD_BYTES = 131_072;

/** A program's arguments and environment have 2 MiB together under the usual stack limit. */
const MOST_WORDS = 65_536;

/** Buffers of sockets; the kernel caps them at net.core.rmem_max and wmem_max, and counts in an int. */
const LARGEST_BUFFER = 1024 ** 3;

/** MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT. */
const LONGEST_PROBE_SECONDS = 32_767;
const MOST_PROBES = 127;

/** Ranges of ports are one entry. */
const MOST_ENTRIES = 4096;

const text = z
  .string()
  .refine((value) => !value.includes('\0'), { error: 'a NUL character cannot be passed to a program' })
  .refine((value) => !/\p{Cs}/u.test(value), { error: 'half of a surrogate pair cannot be written as UTF-8' })
  .refine((value) => Buffer.byteLength(value) < LONGEST_WORD_BYTES, {
    error: `longer than the ${LONGEST_WORD_BYTES - 1} bytes that the kernel passes to a program`,
  });

const nonEmpty = text.refine((value) => value !== '', { error: 'must not be empty' });

const portError = (issue: { input?: unknown }): string | undefined =>
  typeof issue.input === 'number' ? `port must be 0-65535, got ${issue.input}` : undefined;

const port = z.int({ error: portError }).min(0, { error: portError }).max(65535, { error: portError });

const address = z.union([port, z.string()]);

const account = z.union([nonEmpty, z.int().min(0).max(0xfffffffe)]);

export const SERVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const variableName = z.string().regex(VARIABLE_NAME, {
  error: 'not a name for a variable: letters, digits and "_", and no digit first',
});

const duration = z
  .string()
  .regex(DURATION_PATTERN, { error: 'not a duration' })
  .refine((value) => (parseDuration(value) ?? 0) <= LONGEST_DURATION_MS, {
    error: 'longer than the longest duration, 24d',
  });

/** The kernel counts these in seconds. */
const wholeSeconds = duration
  .refine((value) => (parseDuration(value) ?? 1000) % 1000 === 0, { error: 'not a whole number of seconds' })
  .refine((value) => (parseDuration(value) ?? 1000) >= 1000, { error: 'shorter than 1s' })
  .refine((value) => (parseDuration(value) ?? 0) <= LONGEST_PROBE_SECONDS * 1000, {
    error: `longer than ${LONGEST_PROBE_SECONDS}s`,
  });

const someTime = duration.refine((value) => parseDuration(value) !== 0, { error: 'shorter than 1ms' });

const size = z.union([
  z.int().min(1).max(LARGEST_BUFFER),
  z
    .string()
    .regex(SIZE_PATTERN, { error: 'not a size' })
    .refine((value) => (parseSize(value) ?? 1) >= 1, { error: 'not a size: at least 1' })
    .refine((value) => (parseSize(value) ?? 0) <= LARGEST_BUFFER, { error: 'larger than the largest size, 1G' }),
]);

const mode = z.string().regex(/^0?[0-7]{1,3}$/, { error: 'not a mode of octal digits' });

const keepalive = z.strictObject({
  idle: wholeSeconds.optional().describe('Silence before the first probe (TCP_KEEPIDLE).'),
  interval: wholeSeconds.optional().describe('Time between probes (TCP_KEEPINTVL).'),
  count: z.int().min(1).max(MOST_PROBES).optional().describe('Unanswered probes that end it (TCP_KEEPCNT).'),
});

const socket = z.strictObject({
  backlog: z
    .int()
    .min(1)
    .max(LARGEST_INT)
    .default(4096)
    .describe('Clients that the kernel may hold in its queue; it caps this at net.core.somaxconn.'),
  nodelay: z.boolean().default(false).describe('TCP: send small writes at once (TCP_NODELAY).'),
  keepalive: z
    .union([z.boolean(), keepalive])
    .default(false)
    .describe('TCP: probe idle clients, so that a vanished one ends (SO_KEEPALIVE). A map says how.'),
  user_timeout: someTime
    .optional()
    .describe('TCP: how long sent data may stay unacknowledged before the connection ends (TCP_USER_TIMEOUT).'),
  defer_accept: wholeSeconds
    .optional()
    .describe('TCP: start the program when the client has sent something, or after this time (TCP_DEFER_ACCEPT).'),
  fastopen: z
    .int()
    .min(1)
    .max(LARGEST_INT)
    .optional()
    .describe('TCP: take data with the first packet; how many such clients may wait (TCP_FASTOPEN).'),
  device: z
    .string()
    .regex(/^[^/\s\0:]{1,15}$/, { error: 'not a name for a network interface' })
    .optional()
    .describe('TCP and UDP: only clients that come by this network interface (SO_BINDTODEVICE).'),
  freebind: z.boolean().default(false).describe('TCP and UDP: bind an address that is not there yet (IP_FREEBIND).'),
  transparent: z
    .boolean()
    .default(false)
    .describe('TCP and UDP: take what the firewall diverts, for addresses of others (IP_TRANSPARENT).'),
  reuse_port: z
    .boolean()
    .default(false)
    .describe('TCP and UDP: share the port with other processes that ask for it too (SO_REUSEPORT).'),
  mark: z.int().min(0).max(0xffffffff).optional().describe('TCP and UDP: mark of packets for the firewall (SO_MARK).'),
  tos: z.int().min(0).max(255).optional().describe('TCP and UDP: type of service of packets (IP_TOS, IPV6_TCLASS).'),
  v6only: z
    .boolean()
    .default(true)
    .describe('`false`: a `tcp6` or `udp6` address takes IPv4 clients as well, as `::ffff:…` (IPV6_V6ONLY).'),
  receive_buffer: size.optional().describe('Size of the receive buffer (SO_RCVBUF).'),
  send_buffer: size.optional().describe('Size of the send buffer (SO_SNDBUF).'),
  mode: mode.optional().describe('Unix sockets with a path: permissions; a quoted octal mode.'),
  owner: account.optional().describe('Unix sockets with a path: the owner, a name or an id.'),
  group: account.optional().describe('Unix sockets with a path: the group, a name or an id.'),
});

/** A service runs exactly one of these. */
export const RUN_KEYS = ['exec', 'builtin', 'redirect'] as const;

export const BUILTINS = ['echo', 'discard', 'chargen', 'daytime', 'time', 'qotd', 'tcpmux'] as const;

export const serviceSchema = z.strictObject({
  listen: z
    .union([port, z.string(), z.array(address).min(1).max(MOST_ENTRIES)])
    .optional()
    .describe('Where clients connect: one address or a list of them. Required, unless the service has `tcpmux`.'),
  exec: z
    .union([text, z.array(text).min(1).max(MOST_WORDS)])
    .optional()
    .describe(
      'The command: a string that is split into words with shell quoting but no shell, or a list of words. ' +
        'This, `builtin` or `redirect` is required.',
    ),
  builtin: z.enum(BUILTINS).optional().describe('In place of `exec`: one of the small services that come with stdiod.'),
  redirect: nonEmpty
    .optional()
    .describe('In place of `exec`: forward each connection to `HOST:PORT`, `[V6]:PORT` or `unix:PATH`.'),
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
  amplify: z
    .boolean()
    .optional()
    .describe('A datagram `builtin` may answer with more bytes than it got. Without it: `false`.'),
  quotes: nonEmpty.optional().describe('The file of `builtin: qotd`; quotes are divided by lines with a single `%`.'),
  argv0: nonEmpty.optional().describe("What the program sees as its own name. Without it: the command's first word."),
  enabled: z.boolean().default(true).describe('`false` turns the service off without removing it.'),
  description: text
    .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, { error: 'must be one line without control characters' })
    .optional()
    .describe('One line for people.'),
  user: account
    .optional()
    .describe(
      "Who the program runs as: a name or an id. Without it: `nobody` when stdiod runs as root, else stdiod's own user.",
    ),
  group: account.optional().describe("Its group: a name or an id. Without it: the user's own group."),
  groups: z
    .array(account)
    .max(65536)
    .optional()
    .describe('Its supplementary groups. Without it: those of the user, or none when `group` is given.'),
  directory: nonEmpty.default('/').describe('Its working directory.'),
  umask: mode
    .default('0022')
    .describe('Permissions that it does not give to the files it creates; a quoted octal mode.'),
  env: z.record(variableName, text).default({}).describe('Variables to set, over those that every service gets.'),
  pass_env: z.array(variableName).default([]).describe("Names of variables to pass on from stdiod's own environment."),
  stderr: z
    .union([z.enum(['socket', 'null']), z.null()])
    .default('socket')
    .describe('Where its standard error goes: `socket`, to the client; `null`, nowhere.'),
  max_connections: z.int().min(1).max(MOST_PROCESSES).default(1000).describe('Most children of this service at once.'),
  when_full: z
    .enum(['wait', 'refuse'])
    .default('wait')
    .describe('What happens to more clients: `wait` in the queue of the kernel, or `refuse` them.'),
  socket: socket.prefault({}).describe('Options of the listening socket.'),
  stop_grace: duration
    .default('5s')
    .describe('When a child has to go: the time before SIGTERM, and again from SIGTERM to SIGKILL.'),
});

/** For editors. Here `conflicts` sees to it, with better words. */
export const SERVICE_NEEDS = [{ oneOf: RUN_KEYS.map(needs) }, { anyOf: [needs('listen'), needs('tcpmux')] }];

function needs(key: string): z.core.JSONSchema.ObjectSchema {
  return { type: 'object', properties: { [key]: {} }, required: [key] };
}

/** Nothing is required of `defaults`, and what runs where belongs to each service. */
export const defaultsSchema = serviceSchema
  .omit({
    listen: true,
    exec: true,
    builtin: true,
    redirect: true,
    wait: true,
    tcpmux: true,
    amplify: true,
    quotes: true,
    argv0: true,
    description: true,
  })
  .partial();

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
    .union([nonEmpty, z.array(nonEmpty)])
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
export type SocketSettings = ServiceSettings['socket'];
export type BuiltinName = (typeof BUILTINS)[number];

/** The main file's own settings. */
export type FrameSettings = z.output<typeof frameSchema>;

export const SERVICE_KEYS: readonly string[] = Object.keys(serviceSchema.shape);
export const DEFAULTS_KEYS: readonly string[] = Object.keys(defaultsSchema.shape);
export const TOP_KEYS: readonly string[] = Object.keys(configurationSchema.shape);
