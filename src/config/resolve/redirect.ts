/**
 * From `redirect` to the target that each connection is forwarded to. Called by `resolve`.
 */
import type { ListenAddress, SocketAddress } from '../../service/address';
import { parseRedirect } from '../../service/redirect-text';
import type { RedirectTarget } from '../../service/service';
import { whyTooLong } from '../../service/unix-text';
import type { Layers } from '../keys/layers';
import type { Machine } from '../machine/machine';
import type { Problem } from '../report/problems';
import { absoluteUnixPath } from './listen';

/** undefined: the problem is reported. */
export function resolveRedirect(
  written: string,
  listen: readonly ListenAddress[],
  machine: Machine,
  layers: Layers,
): RedirectTarget | undefined {
  const target = readTarget(written, machine, layers);
  const problem = 'message' in target ? target : whyCircular(target, listen);
  if (problem !== null) layers.report(['redirect'], problem);
  return 'message' in target ? undefined : target;
}

function readTarget(written: string, machine: Machine, layers: Layers): RedirectTarget | Problem {
  const target = parseRedirect(written, (protocol) => machine.portNames(protocol));
  if ('message' in target || !('path' in target)) return target;
  const path = absoluteUnixPath(target.path, layers.folderOf(['redirect']));
  return whyTooLong(path) ?? { path };
}

/** Each connection would make the next one, for ever. */
function whyCircular(target: RedirectTarget, listen: readonly ListenAddress[]): Problem | null {
  const isCircular = listen.some(({ sockets }) => sockets.some((socket) => isSame(socket, target)));
  if (!isCircular) return null;
  return { message: 'the service would forward each connection to itself', remedy: 'name another target' };
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

function isSame(socket: SocketAddress, target: RedirectTarget): boolean {
  if ('path' in target) return socket.family === 'unix' && socket.path === target.path;
  if (!('address' in socket) || socket.port !== target.port) return false;
  const isWildcard = socket.address === '0.0.0.0' || socket.address === '::';
  return socket.address === target.host || (isWildcard && LOOPBACK.test(target.host));
}
