/**
 * The table of socket options: for each key of `socket` the sockets that have it, and for those that the kernel knows by a
 * name the name, how the value becomes the kernel's, and which value takes it back.
 *
 * By it the configuration refuses what no socket of a service can have, a listener leaves out what one of them cannot, and a
 * reload takes back what is no longer wanted. What may be written is in config/keys/socket-keys.ts, the kernel's numbers are in
 * native/options.cc: an option is named in these three and nowhere else.
 */
import type { SocketAddress } from './address';
import { isAbstractName } from './unix-text';

/** `connection`: whatever can listen for connections. Of a passed socket only its type is known. */
export type OptionScope = 'any' | 'connection' | 'internet' | 'tcp' | 'unix-path';

/** How a value of the file becomes the kernel's. A switch is set only where it differs from what a new socket has. */
export type OptionUnit = 'text' | 'number' | 'bytes' | 'seconds' | 'milliseconds' | 'switched-on' | 'switched-off';

interface KeyRow {
  readonly scope: OptionScope;
}

/** Of a key that native/options.cc sets. */
interface OptionRow extends KeyRow {
  readonly name: string;
  readonly unit: OptionUnit;
  /** Takes it back: the socket is as if it had never been set. null: the kernel has no such value. */
  readonly off: number | string | null;
  /** To set it takes CAP_NET_ADMIN or CAP_NET_RAW. */
  readonly isPrivileged?: boolean;
}

/** In the order in which they are set. `keepalive.idle` is a key in the map that `keepalive` may be. */
export const SOCKET_KEYS = {
  backlog: { scope: 'connection' },
  nodelay: { scope: 'tcp' },
  keepalive: { scope: 'tcp' },
  // To leave a device takes CAP_NET_RAW, to be bound to one does not.
  device: { scope: 'internet', name: 'SO_BINDTODEVICE', unit: 'text', off: '' },
  reuse_port: { scope: 'internet', name: 'SO_REUSEPORT', unit: 'switched-on', off: 0 },
  mark: { scope: 'internet', name: 'SO_MARK', unit: 'number', off: 0, isPrivileged: true },
  // What was set ends the kernel's own tuning.
  receive_buffer: { scope: 'any', name: 'SO_RCVBUF', unit: 'bytes', off: null },
  send_buffer: { scope: 'any', name: 'SO_SNDBUF', unit: 'bytes', off: null },
  freebind: { scope: 'internet', name: 'IP_FREEBIND', unit: 'switched-on', off: 0 },
  transparent: { scope: 'internet', name: 'IP_TRANSPARENT', unit: 'switched-on', off: 0, isPrivileged: true },
  tos: { scope: 'internet', name: 'IP_TOS', unit: 'number', off: 0 },
  // Refused once the socket is bound.
  v6only: { scope: 'internet', name: 'IPV6_V6ONLY', unit: 'switched-off', off: null },
  // A new socket has what a sysctl says, and 0 is refused.
  'keepalive.idle': { scope: 'tcp', name: 'TCP_KEEPIDLE', unit: 'seconds', off: null },
  'keepalive.interval': { scope: 'tcp', name: 'TCP_KEEPINTVL', unit: 'seconds', off: null },
  'keepalive.count': { scope: 'tcp', name: 'TCP_KEEPCNT', unit: 'number', off: null },
  user_timeout: { scope: 'tcp', name: 'TCP_USER_TIMEOUT', unit: 'milliseconds', off: 0 },
  defer_accept: { scope: 'tcp', name: 'TCP_DEFER_ACCEPT', unit: 'seconds', off: 0 },
  fastopen: { scope: 'tcp', name: 'TCP_FASTOPEN', unit: 'number', off: 0 },
  mode: { scope: 'unix-path' },
  owner: { scope: 'unix-path' },
  group: { scope: 'unix-path' },
} as const satisfies Readonly<Record<string, KeyRow | OptionRow>>;

type Row = (typeof SOCKET_KEYS)[keyof typeof SOCKET_KEYS];

/** By the kernel's name. */
export type SocketOption = Extract<Row, { readonly name: string }>['name'];

/** In the kernel's units: switches are 0 or 1, SO_BINDTODEVICE is a name. */
export type OptionValues = Readonly<Partial<Record<SocketOption, number | string>>>;

export interface SocketOptionRow extends OptionRow {
  /** Where the file says it, from `socket` down. */
  readonly path: readonly string[];
  readonly name: SocketOption;
}

export const SOCKET_OPTIONS: readonly SocketOptionRow[] = Object.entries<Row>(SOCKET_KEYS).flatMap(([key, row]) =>
  'name' in row ? [{ path: key.split('.'), ...row }] : [],
);

export function isInScope(address: SocketAddress, scope: OptionScope): boolean {
  const { family, type } = address;
  switch (scope) {
    case 'any':
      return true;
    case 'connection':
      return type !== 'datagram';
    case 'unix-path':
      return family === 'unix' && !isAbstractName(address.path);
    case 'internet':
      return family === 'ipv4' || family === 'ipv6' || family === 'passed';
    case 'tcp':
      return type === 'stream' && family !== 'unix' && family !== 'vsock';
  }
}

/** Those of the values that mean something to a socket with this address. */
export function valuesInScope(address: SocketAddress, values: OptionValues): OptionValues {
  const rows = SOCKET_OPTIONS.filter(({ name, scope }) => name in values && isInScope(address, scope));
  return Object.fromEntries(rows.map(({ name }) => [name, values[name]]));
}

/** How a socket loses the options that it had and is not to have any more. */
export interface Resets {
  /** To be set, beside those that it is to have. */
  readonly values: OptionValues;
  /** What stays for as long as the socket does. */
  readonly stuck: readonly SocketOption[];
}

export function resetsOf(before: OptionValues, after: OptionValues): Resets {
  const gone = SOCKET_OPTIONS.filter(({ name }) => name in before && !(name in after));
  const resettable = gone.flatMap(({ name, off }) => (off === null ? [] : [[name, off] as const]));
  return {
    values: Object.fromEntries(resettable),
    stuck: gone.filter(({ off }) => off === null).map(({ name }) => name),
  };
}
