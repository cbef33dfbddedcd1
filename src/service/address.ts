/**
 * What a socket address is, and how it is written: `127.0.0.1:80`, `[::1]:80`.
 * Pure data, used by the configuration (which writes it), the listener (which binds it) and the log (which shows it).
 */

export type AddressFamily = 'ipv4' | 'ipv6';

/** One end of a connection, or the address of one bound socket. */
export interface SocketAddress {
  readonly family: AddressFamily;
  /** Numeric and canonical, without brackets: `10.0.0.5`, `::1`, `fe80::1%eth0`. */
  readonly address: string;
  /** 0 to 65535; 0 in a listen address lets the kernel choose. */
  readonly port: number;
}

/**
 * One entry of a service's `listen` after ranges are expanded: the sockets that it stands for.
 * A wildcard is two sockets on one port (0.0.0.0 and [::]); with port 0 the second takes the port that the first was given.
 */
export interface ListenAddress {
  readonly sockets: readonly SocketAddress[];
}

export function formatAddress({ family, address, port }: SocketAddress): string {
  return family === 'ipv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
