/**
 * Whether a client is served that has come while there was a slot. One place with every question, asked in the order of their cost; the
 * answers are pure functions of who the peer is, what is counted, and the time, which is passed in.
 */
import { isAllowed } from '../service/access';
import type { AdmissionRules } from '../service/admission';
import type { Peer } from '../service/peer';
import { peerName } from './peer-name';
import { countPeer, type Refused, type Slot } from './slots';

/** As it stands in the event of a refusal. */
export type AdmissionReason = Refused['reason'] | 'address' | 'peer-limit';

/** Why a client is not served. */
export interface Refusal {
  readonly reason: AdmissionReason;
  /** Which was reached, where there is one. */
  readonly limit?: number;
}

const NOT_ALLOWED: Refusal = { reason: 'address' };

export class Admission {
  readonly #rules: AdmissionRules;
  readonly #tooMany: Refusal;

  private constructor(rules: AdmissionRules) {
    this.#rules = rules;
    this.#tooMany = { reason: 'peer-limit', limit: rules.maxPerPeer ?? 0 };
  }

  /** null: there is nothing to ask. */
  static of(rules: AdmissionRules): Admission | null {
    return rules.access === null && rules.maxPerPeer === null ? null : new Admission(rules);
  }

  /** null: it is admitted, and its slot is counted as the peer's. */
  refusalOf(peer: Peer, slot: Slot): Refusal | null {
    const { access, maxPerPeer, peerPrefix } = this.#rules;
    if (access !== null && !isAllowed(access, peer)) return NOT_ALLOWED;
    if (maxPerPeer === null || countPeer(slot, peerName(peer, peerPrefix), maxPerPeer)) return null;
    return this.#tooMany;
  }
}
