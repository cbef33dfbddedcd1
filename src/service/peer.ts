/**
 * The two ends of a connection as data. What a child is told, what the log shows and whom a limit counts derive from here.
 */
import { type AddressFamily, type SocketAddress, formatAddress, formatHostPort } from './address';

/** Who is at the other end, or has sent a datagram. */
export type Peer = InternetPeer | UnixPeer | VsockPeer;

export interface InternetPeer {
  readonly family: AddressFamily;
  /** Numeric; a link-local one keeps its interface: `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
}

export interface UnixPeer {
  readonly family: 'unix';
  /** What the client has bound: text of its choice, `@name`, or empty. */
  readonly path: string;
  /** As the kernel noted them when it connected; null: of a datagram it does not tell them. */
  readonly credentials: Credentials | null;
}

export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface VsockPeer {
  readonly family: 'vsock';
  /** Context id. */
  readonly address: string;
  readonly port: number;
}

/** Our end: the address that the client asked for. */
export interface LocalEnd {
  /** Numeric, a path, `@name`, or a context id. */
  readonly address: string;
  /** 0 where the family has none. */
  readonly port: number;
}

/** @param listening what our end was accepted from: `127.0.0.1:80`, also where that is every address */
export function formatLocal(listening: SocketAddress, { address, port }: LocalEnd): string {
  return 'address' in listening ? formatHostPort(address, port) : formatAddress(listening);
}

/** `10.0.0.5:51034`, `unix:pid:7,uid:0,gid:0`, `vsock:3:1025`; of a datagram from a Unix socket `unix:PATH`. */
export function formatPeer(peer: Peer): string {
  if (peer.family === 'vsock') return `vsock:${peer.address}:${peer.port}`;
  if (peer.family !== 'unix') return formatHostPort(peer.address, peer.port);
  const { path, credentials } = peer;
  return credentials === null
    ? `unix:${path}`
    : `unix:pid:${credentials.pid},uid:${credentials.uid},gid:${credentials.gid}`;
}
