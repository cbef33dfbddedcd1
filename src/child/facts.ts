/**
 * What a child's environment says of its connection, in the dialects that existing programs know: UCSPI (PROTO, TCP…, UNIX…),
 * systemd and CGI (REMOTE_ADDR, REMOTE_PORT), xinetd (REMOTE_HOST), sd_listen_fds (LISTEN_…), and ours.
 * Each function gives `NAME=value` strings, each ended by NUL, as addon.spawn wants them.
 */
import type { SocketAddress } from '../service/address';
import type { LocalEnd, Peer, UnixPeer } from '../service/peer';
import type { PlaceholderValues } from '../service/template';

/** Who is who: the names of the service and of the connection. */
export interface ConnectionNames {
  readonly service: string;
  readonly connection: string;
}

export function connectionFacts(peer: Peer, local: LocalEnd, names: ConnectionNames): string {
  return peerFacts(peer, local) + ownFacts(names);
}

function peerFacts(peer: Peer, local: LocalEnd): string {
  if (peer.family === 'unix') return unixFacts(peer, local);
  const { address, port } = peer;
  if (peer.family === 'vsock') return `PROTO=VSOCK\0REMOTE_ADDR=${address}\0REMOTE_PORT=${port}\0`;
  return (
    `PROTO=TCP\0TCPREMOTEIP=${address}\0TCPREMOTEPORT=${port}\0` +
    `TCPLOCALIP=${local.address}\0TCPLOCALPORT=${local.port}\0` +
    `REMOTE_ADDR=${address}\0REMOTE_PORT=${port}\0REMOTE_HOST=${address}\0`
  );
}

function unixFacts({ path, credentials }: UnixPeer, local: LocalEnd): string {
  const { pid, uid, gid } = credentials ?? NOBODY_KNOWN;
  return (
    `PROTO=UNIX\0UNIXLOCALPATH=${local.address}\0UNIXREMOTEPATH=${tamePath(path)}\0` +
    `UNIXREMOTEPID=${pid}\0UNIXREMOTEEUID=${uid}\0UNIXREMOTEEGID=${gid}\0`
  );
}

/**
 * What a client has bound is text of its choice. It may stand in a command or a folder, so it is told only where it can be neither
 * an option nor a way out: an absolute path, or a name in the abstract namespace, without steps upwards. Else it is empty.
 */
function tamePath(path: string): string {
  return /^[/@]/.test(path) && !path.split('/').includes('..') ? path : '';
}

/** Of a program that waits for a connection of which nothing is known yet. @param connection what its session is called */
export function parkedFacts(proto: 'TCP' | 'UNIX', names: ConnectionNames): string {
  return `PROTO=${proto}\0${ownFacts(names)}`;
}

const NOBODY_KNOWN = { pid: 0, uid: 0, gid: 0 };

/** For the child of a `wait` service, which has no single peer. */
export function lentFacts(local: SocketAddress, names: ConnectionNames): string {
  return `${localFacts(local)}LISTEN_FDS=1\0LISTEN_FDNAMES=${names.service}\0${ownFacts(names)}`;
}

function localFacts(local: SocketAddress): string {
  if (local.family === 'unix') return `PROTO=UNIX\0UNIXLOCALPATH=${local.path}\0`;
  if (local.family === 'vsock' || local.family === 'passed') return '';
  const proto = local.type === 'datagram' ? 'UDP' : 'TCP';
  return `PROTO=${proto}\0${proto}LOCALIP=${local.address}\0${proto}LOCALPORT=${local.port}\0`;
}

function ownFacts({ service, connection }: ConnectionNames): string {
  return `STDIOD_SERVICE=${service}\0STDIOD_CONNECTION=${connection}\0`;
}

/** Every program finds its connection on fd 0. */
const CONNECTION_FD = '0';

export function connectionValues(peer: Peer, local: LocalEnd, names: ConnectionNames): PlaceholderValues {
  return {
    'peer.address': peer.family === 'unix' ? tamePath(peer.path) : peer.address,
    'peer.port': peer.family === 'unix' ? '0' : String(peer.port),
    'local.address': local.address,
    'local.port': String(local.port),
    fd: CONNECTION_FD,
    ...names,
  };
}

export function lentValues(local: SocketAddress, names: ConnectionNames): PlaceholderValues {
  return {
    'peer.address': '',
    'peer.port': '',
    'local.address': 'address' in local ? local.address : 'path' in local ? local.path : '',
    'local.port': 'port' in local ? String(local.port) : '',
    fd: CONNECTION_FD,
    ...names,
  };
}
