/**
 * What a child's environment says of its connection, in the dialects that existing programs know:
 * UCSPI (PROTO, TCP…), systemd and CGI (REMOTE_ADDR, REMOTE_PORT), xinetd (REMOTE_HOST), and ours.
 */
import type { AcceptedSocket } from '../native/addon';

const NAMES = [
  'PROTO',
  'TCPREMOTEIP',
  'TCPREMOTEPORT',
  'TCPLOCALIP',
  'TCPLOCALPORT',
  'REMOTE_ADDR',
  'REMOTE_PORT',
  'REMOTE_HOST',
  'STDIOD_SERVICE',
  'STDIOD_CONNECTION',
] as const;

export const FACT_NAMES: ReadonlySet<string> = new Set(NAMES);

/** `NAME=value` strings, each ended by NUL, for addon.spawn. */
export function connectionFacts(socket: AcceptedSocket, service: string, connection: string): string {
  const { peerAddress, peerPort, localAddress, localPort } = socket;
  return (
    `PROTO=TCP\0TCPREMOTEIP=${peerAddress}\0TCPREMOTEPORT=${peerPort}\0` +
    `TCPLOCALIP=${localAddress}\0TCPLOCALPORT=${localPort}\0` +
    `REMOTE_ADDR=${peerAddress}\0REMOTE_PORT=${peerPort}\0REMOTE_HOST=${peerAddress}\0` +
    `STDIOD_SERVICE=${service}\0STDIOD_CONNECTION=${connection}\0`
  );
}
