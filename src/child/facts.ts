/**
 * What a child's environment says of its connection, in the dialects that existing programs know: UCSPI (PROTO, TCP…, UNIX…),
 * systemd and CGI (REMOTE_ADDR, REMOTE_PORT), xinetd (REMOTE_HOST), sd_listen_fds (LISTEN_…), and ours.
 * Each function gives `NAME=value` strings, each ended by NUL, as addon.spawn wants them.
 */
import type { AcceptedSocket } from '../native/addon';
import type { SocketAddress } from '../service/address';
import type { PlaceholderValues } from '../service/template';

const NAMES = [
  'PROTO',
  'TCPREMOTEIP',
  'TCPREMOTEPORT',
  'TCPLOCALIP',
  'TCPLOCALPORT',
  'UNIXREMOTEPATH',
  'UNIXREMOTEPID',
  'UNIXREMOTEEUID',
  'UNIXREMOTEEGID',
  'UNIXLOCALPATH',
  'UDPLOCALIP',
  'UDPLOCALPORT',
  'REMOTE_ADDR',
  'REMOTE_PORT',
  'REMOTE_HOST',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'STDIOD_SERVICE',
  'STDIOD_CONNECTION',
] as const;

/** A service cannot set these. */
export const FACT_NAMES: ReadonlySet<string> = new Set(NAMES);

/** Who is who: the names of the service and of the connection. */
export interface ConnectionNames {
  readonly service: string;
  readonly connection: string;
}

/** @param local the listener's address, which tells the family */
export function connectionFacts(socket: AcceptedSocket, local: SocketAddress, names: ConnectionNames): string {
  return peerFacts(socket, local) + ownFacts(names);
}

function peerFacts(socket: AcceptedSocket, local: SocketAddress): string {
  const { peerAddress, peerPort, localAddress, localPort } = socket;
  if (local.family === 'unix') return unixFacts(socket, local.path);
  if (local.family === 'vsock') return `PROTO=VSOCK\0REMOTE_ADDR=${peerAddress}\0REMOTE_PORT=${peerPort}\0`;
  return (
    `PROTO=TCP\0TCPREMOTEIP=${peerAddress}\0TCPREMOTEPORT=${peerPort}\0` +
    `TCPLOCALIP=${localAddress}\0TCPLOCALPORT=${localPort}\0` +
    `REMOTE_ADDR=${peerAddress}\0REMOTE_PORT=${peerPort}\0REMOTE_HOST=${peerAddress}\0`
  );
}

function unixFacts({ peerAddress, pid = 0, uid = 0, gid = 0 }: AcceptedSocket, path: string): string {
  return (
    `PROTO=UNIX\0UNIXLOCALPATH=${path}\0UNIXREMOTEPATH=${peerAddress}\0` +
    `UNIXREMOTEPID=${pid}\0UNIXREMOTEEUID=${uid}\0UNIXREMOTEEGID=${gid}\0`
  );
}

/** For the child of a `wait` service, which has no single peer. */
export function handoverFacts(local: SocketAddress, names: ConnectionNames): string {
  return `${localFacts(local)}LISTEN_FDS=1\0LISTEN_PID=${PID_ROOM}\0LISTEN_FDNAMES=${names.service}\0${ownFacts(names)}`;
}

/** The child writes its own pid here (native/child.cc). */
const PID_ROOM = '0000000000';

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

export function connectionValues(socket: AcceptedSocket, names: ConnectionNames): PlaceholderValues {
  return {
    'peer.address': socket.peerAddress,
    'peer.port': String(socket.peerPort),
    'local.address': socket.localAddress,
    'local.port': String(socket.localPort),
    fd: CONNECTION_FD,
    ...names,
  };
}

export function handoverValues(local: SocketAddress, names: ConnectionNames): PlaceholderValues {
  return {
    'peer.address': '',
    'peer.port': '',
    'local.address': 'address' in local ? local.address : 'path' in local ? local.path : '',
    'local.port': 'port' in local ? String(local.port) : '',
    fd: CONNECTION_FD,
    ...names,
  };
}
