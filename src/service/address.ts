/**
 * What a socket address is, and how it is written: `127.0.0.1:80`, `[::1]:69/udp`, `unix:/run/x`, `vsock:5`, `fd:web`.
 */

export type AddressFamily = 'ipv4' | 'ipv6';

/** stream and seqpacket sockets have connections, datagram sockets have none. */
export type SocketType = 'stream' | 'datagram' | 'seqpacket';

export type SocketAddress = InternetAddress | UnixAddress | VsockAddress | PassedAddress;

/** One end of a TCP connection, or the address of one bound TCP or UDP socket. */
export interface InternetAddress {
  readonly family: AddressFamily;
  readonly type: 'stream' | 'datagram';
  /** Numeric and canonical, without brackets: `10.0.0.5`, `::1`, `fe80::1%eth0`. */
  readonly address: string;
  /** 0 to 65535; 0 in a listen address lets the kernel choose. */
  readonly port: number;
}

export interface UnixAddress {
  readonly family: 'unix';
  readonly type: SocketType;
  /** An absolute path, or `@name` in the abstract namespace. */
  readonly path: string;
}

export interface VsockAddress {
  readonly family: 'vsock';
  readonly type: 'stream';
  readonly port: number;
}

/** A socket that somebody else has bound and passed to us (systemd's LISTEN_FDS). */
export interface PassedAddress {
  readonly family: 'passed';
  /** What the service needs; what was passed is checked when it is taken. */
  readonly type: SocketType;
  /** Its name in LISTEN_FDNAMES, or its number as text. */
  readonly name: string;
}

/**
 * One entry of a service's `listen` after ranges are expanded: the sockets that it stands for.
 * A wildcard is two sockets on one port (0.0.0.0 and [::]); with port 0 the second takes the port that the first was given.
 */
export interface ListenAddress {
  readonly sockets: readonly SocketAddress[];
}

export function formatAddress(address: SocketAddress): string {
  switch (address.family) {
    case 'unix':
      return `${UNIX_SCHEMES[address.type]}:${address.path}`;
    case 'vsock':
      return `vsock:${address.port}`;
    case 'passed':
      return `fd:${address.name}`;
    default:
      return `${formatHostPort(address.address, address.port)}${address.type === 'datagram' ? '/udp' : ''}`;
  }
}

/** `10.0.0.5:80`, `[::1]:80`. */
export function formatHostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

const UNIX_SCHEMES = { stream: 'unix', datagram: 'unix-dgram', seqpacket: 'unix-seqpacket' } as const;
