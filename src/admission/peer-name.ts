/**
 * As whom a peer is counted: by its address, or the network that it is thought to have to itself; on this machine by its user.
 */
import type { PeerPrefix } from '../service/admission';
import { maskWord, readIp, type IpWords } from '../service/ip';
import type { Peer } from '../service/peer';

const words: IpWords = new Uint32Array(4);

/** Of an IPv4 peer, unless networks are counted, its address as it is: nothing is made of it. */
export function peerName(peer: Peer, { v4, v6 }: PeerPrefix): string {
  if (peer.family === 'unix') return `unix:${peer.credentials?.uid ?? ''}`;
  if (peer.family === 'vsock') return `vsock:${peer.address}`;
  const { address } = peer;
  const isIpv6 = address.includes(':');
  // Behind one cable every neighbour has an address of the same network.
  if (isIpv6 ? /^fe[89ab]/.test(address) : v4 === 32) return address;
  return readIp(address, words) === 4 ? nameOf(1, v4) : nameOf(4, v6);
}

function nameOf(width: number, prefix: number): string {
  let name = `/${prefix}`;
  for (let at = 0; at < width && 32 * at < prefix; at += 1) name += `:${maskWord(words[at] ?? 0, prefix - 32 * at)}`;
  return name;
}
