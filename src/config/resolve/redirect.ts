/**
 * From `redirect` to the command of our own that forwards each connection (services/redirect.c).
 */
import type { ListenAddress, SocketAddress } from '../../service/address';
import { type RedirectTarget, formatRedirect, parseRedirect } from '../../service/redirect-text';
import type { Command } from '../../service/service';
import { escapeTemplate } from '../../service/template';
import { whyTooLong } from '../../service/unix-text';
import type { Layers } from '../keys/layers';
import type { Machine } from '../machine/machine';
import type { Runner } from '../machine/search-path';
import type { Problem } from '../report/problems';
import { whyNoZone } from './interface';
import { absoluteUnixPath, mayLackNames } from './listen';
import { locateOwn } from './own-program';

/** undefined: the target is wrong, which is reported. */
export function redirectCommand(
  written: string,
  runner: Runner,
  machine: Machine,
  layers: Layers,
): Command | undefined {
  const path = locateOwn('redirect', 'redirect', runner, machine, layers);
  const target = readTarget(written, machine, layers);
  if ('message' in target) {
    (mayLackNames(written, machine) ? layers.onMachine : layers).report(['redirect'], target);
    return undefined;
  }
  const problem = 'host' in target ? whyNoZone(target.host, machine) : null;
  if (problem !== null) layers.onMachine.report(['redirect'], problem);
  return { path, argv: ['redirect', escapeTemplate(formatRedirect(target))] };
}

/** Each connection would make the next one, for ever. */
export function reportCircular(
  written: string,
  listen: readonly ListenAddress[],
  machine: Machine,
  layers: Layers,
): void {
  const target = readTarget(written, machine, layers);
  if ('message' in target || !isOneOf(listen, target, machine)) return;
  const problem = { message: 'the service would forward each connection to itself', remedy: 'name another target' };
  layers.report(['redirect'], problem);
}

function readTarget(written: string, machine: Machine, layers: Layers): RedirectTarget | Problem {
  const target = parseRedirect(written, (protocol) => machine.portNames(protocol));
  if ('message' in target || !('path' in target)) return target;
  const path = absoluteUnixPath(target.path, layers.folderOf(['redirect']));
  return whyTooLong(path) ?? { path };
}

/** Whether a connection to the target comes to one of these sockets. */
export function isOneOf(listen: readonly ListenAddress[], target: RedirectTarget, machine: Machine): boolean {
  return listen.some(({ sockets }) => sockets.some((socket) => isSame(socket, target, machine)));
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

function isSame(socket: SocketAddress, target: RedirectTarget, machine: Machine): boolean {
  if ('path' in target) return socket.family === 'unix' && socket.path === target.path;
  if (!('address' in socket) || socket.type !== 'stream' || socket.port !== target.port) return false;
  if (socket.address === target.host) return true;
  const isOfFamily = target.host === 'localhost' || target.host.includes(':') === (socket.family === 'ipv6');
  const isWildcard = socket.address === '0.0.0.0' || socket.address === '::';
  return isWildcard && isOfFamily && (LOOPBACK.test(target.host) || machine.addresses().includes(target.host));
}
