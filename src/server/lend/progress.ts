/**
 * Whether a child of a `wait` service took anything from the queue of the socket that it was lent: seen from what stood there
 * before and after.
 */
import type { Exit } from '../../child/children';
import { addon, type DatagramHead } from '../../native/addon';
import { formatPeer } from '../../service/peer';
import type { HostedListener } from '../hosted/hosted';

/** What stands in a socket's queue: the first datagram, or the number of clients. */
export type Queue = { readonly head: DatagramHead } | { readonly length: number };

/** null: nothing is there after all (a datagram with a bad checksum wakes us and is gone). */
export function queueOf({ fd, address }: HostedListener): Queue | null {
  if (address.type !== 'datagram') {
    const length = addon.queueLength(fd);
    return length === 0 ? null : { length };
  }
  const head = addon.headOf(fd);
  return head === null ? null : { head };
}

export function hasMoved(listener: HostedListener, before: Queue): boolean {
  const now = queueOf(listener);
  if ('head' in before) return now === null || !('head' in now) || now.head.identity !== before.head.identity;
  return now === null || !('length' in now) || now.length < before.length;
}

/**
 * A queue of clients that is no shorter than before may be one that nobody took from, or one that another client has joined
 * since. Where several wait, or the kernel does not tell how many, a program that says that all is well gets the benefit
 * of the doubt.
 */
export function isExcused(listener: HostedListener, before: Queue, exit: Exit): boolean {
  if (!('length' in before) || exit.failure !== null || exit.status !== 0) return false;
  return before.length > 1 || listener.address.family === 'unix' || addon.queueLength(listener.fd) > 1;
}

/** Of a datagram, its sender; a stream's clients are the child's own business. */
export function senderOf(queue: Queue, { address }: HostedListener): string {
  if (!('head' in queue)) return '-';
  const { peerAddress, peerPort: port } = queue.head;
  if (address.family === 'unix') return formatPeer({ family: 'unix', path: peerAddress, credentials: null });
  const family = address.family === 'ipv6' ? 'ipv6' : 'ipv4';
  return formatPeer({ family, address: peerAddress, port });
}
