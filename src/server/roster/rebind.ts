/**
 * `0.0.0.0:80` becomes `127.0.0.1:80`: the kernel lets nobody bind the one beside the other, unless both sockets share their
 * port. For the moment of a reload they do: the new one is bound while the old one still serves, so nobody is refused, and
 * the old one is as it was when that fails. `unix:/path` becomes `unix-seqpacket:/path`: one path has one socket, so the old one steps
 * aside, and back again when the new one fails.
 */
import type { Listeners } from '../../listener/listener';
import { withSharedPort } from '../../listener/options';
import { asSystemError } from '../../native/system-error';
import type { SocketAddress } from '../../service/address';
import type { Service } from '../../service/service';
import type { Hosted, HostedListener } from '../hosted/hosted';
import { openListeners, type OpenedSockets, type OpenParts } from './open-listeners';

export interface RebindParts extends OpenParts {
  readonly listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'sharePort' | 'giveWay'>;
}

/**
 * @param goers our listeners that nobody wants any more: one of them may be what stands in the way
 * @param first what came of the first try, whose new sockets are bound anew
 */
export function openBeside(
  goers: readonly HostedListener[],
  first: OpenedSockets,
  wanted: ReadonlyMap<Service, Hosted>,
  parts: RebindParts,
): OpenedSockets {
  const blockers = goers.filter((goer) => first.failures.some(({ address }) => isInTheWay(goer, address)));
  const aside = blockers.filter((listener) => hasGivenWay(listener, true, parts));
  if (aside.length === 0) return first;
  try {
    closeAll(first, parts);
    return openSharing(wanted, parts);
  } finally {
    for (const listener of aside) hasGivenWay(listener, false, parts);
  }
}

/** One that cannot is left as it is, and the others need not stay aside for it. */
function hasGivenWay(listener: HostedListener, isGiven: boolean, { listeners }: RebindParts): boolean {
  try {
    listeners.giveWay(listener, isGiven);
    return true;
  } catch (error) {
    asSystemError(error);
    return false;
  }
}

function openSharing(wanted: ReadonlyMap<Service, Hosted>, parts: RebindParts): OpenedSockets {
  const { listeners, optionsOf } = parts;
  const opened = openListeners(wanted, { ...parts, optionsOf: (service) => withSharedPort(optionsOf(service)) });
  try {
    for (const listener of opened.fresh) listeners.sharePort(listener, optionsOf(listener.owner.service), false);
    return opened;
  } catch (error) {
    closeAll(opened, parts);
    throw error;
  }
}

function closeAll({ fresh }: OpenedSockets, { listeners }: RebindParts): void {
  for (const listener of fresh) listeners.close(listener);
}

/** A wildcard and one of its own addresses exclude each other without being the same; so do sockets of two types at one path. */
function isInTheWay({ address, socket }: HostedListener, wanted: SocketAddress): boolean {
  if ('path' in address && 'path' in wanted) return socket.origin.kind === 'path' && address.path === wanted.path;
  if (!('address' in address) || !('address' in wanted)) return false;
  return address.family === wanted.family && address.type === wanted.type && address.port === wanted.port;
}
