/**
 * What a service asks of a client before it is served, beside a slot. Plain data, compared by a reload; src/admission decides by it.
 */
import type { Access } from './access';
import type { Times } from './hours';
import type { Rate } from './rate';

export interface AdmissionRules {
  /** null: whoever comes. */
  readonly access: Access | null;
  /** Most children of one peer at once; null: as many as the service has. */
  readonly maxPerPeer: number | null;
  readonly peerPrefix: PeerPrefix;
  /** Of all clients together; null: as they come. */
  readonly rate: Rate | null;
  /** Of the clients of one peer. */
  readonly ratePerPeer: Rate | null;
  /** Over `rate`: the next clients wait in the kernel's queue, or are refused. */
  readonly whenLimited: 'wait' | 'refuse';
  /** So long a client may say nothing before there is a process for it; null: there is one at once. */
  readonly firstByteMs: number | null;
  /** When it is open; null: always. */
  readonly times: Times | null;
}

/** So many bits of an address tell one peer from another. */
export interface PeerPrefix {
  readonly v4: number;
  readonly v6: number;
}

/** A network of this size is given to a single customer (RFC 6177), who has all of its addresses. */
export const PEER_PREFIX: PeerPrefix = { v4: 32, v6: 64 };

/** Nothing is asked. */
export const OPEN: AdmissionRules = {
  access: null,
  maxPerPeer: null,
  peerPrefix: PEER_PREFIX,
  rate: null,
  ratePerPeer: null,
  whenLimited: 'refuse',
  firstByteMs: null,
  times: null,
};
