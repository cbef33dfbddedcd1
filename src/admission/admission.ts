/**
 * Whether a client is served that has come while there was a slot. One place with every question, asked in the order of their cost; the
 * answers are functions of who the peer is, what is counted, and the time, which is passed in.
 */
import { isAllowed } from '../service/access';
import type { AdmissionRules } from '../service/admission';
import type { Peer } from '../service/peer';
import { peerName } from './peer-name';
import { FULL, PeerBuckets, takeToken, waitForToken } from './rate';
import { countPeer, type Refused, type Slot } from './slots';

/** As it stands in the event of a refusal. */
export type AdmissionReason = Refused['reason'] | 'address' | 'peer-limit' | 'peer-rate' | 'rate';

/** Why a client is not served. */
export interface Refusal {
  readonly reason: AdmissionReason;
  /** Which was reached, where there is one. */
  readonly limit?: number;
}

const NOT_ALLOWED: Refusal = { reason: 'address' };

export class Admission {
  readonly #rules: AdmissionRules;
  readonly #isByPeer: boolean;
  readonly #tooMany: Refusal;
  readonly #tooOften: Refusal;
  readonly #tooFast: Refusal;
  /** When the service's bucket is full again. */
  #fullMs = FULL;
  readonly #buckets = new PeerBuckets();

  private constructor(rules: AdmissionRules) {
    const { maxPerPeer, rate, ratePerPeer } = rules;
    this.#rules = rules;
    this.#isByPeer = maxPerPeer !== null || ratePerPeer !== null;
    this.#tooMany = { reason: 'peer-limit', limit: maxPerPeer ?? 0 };
    this.#tooOften = { reason: 'peer-rate', limit: ratePerPeer?.count ?? 0 };
    this.#tooFast = { reason: 'rate', limit: rate?.count ?? 0 };
  }

  /** null: there is nothing to ask. */
  static of(rules: AdmissionRules): Admission | null {
    const { access, maxPerPeer, rate, ratePerPeer } = rules;
    return [access, maxPerPeer, rate, ratePerPeer].every((each) => each === null) ? null : new Admission(rules);
  }

  /** How long the next client has to wait, of a service that lets its clients wait; 0: not at all. */
  waitMs(nowMs: number): number {
    const { rate, whenLimited } = this.#rules;
    return rate === null || whenLimited === 'refuse' ? 0 : waitForToken(rate, this.#fullMs, nowMs);
  }

  /** null: it is admitted, its slot counted as the peer's, and what it has taken is gone. */
  refusalOf(peer: Peer, slot: Slot, nowMs: number): Refusal | null {
    const { access, peerPrefix } = this.#rules;
    if (access !== null && !isAllowed(access, peer)) return NOT_ALLOWED;
    return this.#isByPeer ? this.#countedAs(peerName(peer, peerPrefix), slot, nowMs) : this.#takeOne(nowMs);
  }

  /** Nothing is taken from the peer's bucket for a client that the service's refuses. */
  #countedAs(peer: string, slot: Slot, nowMs: number): Refusal | null {
    const { maxPerPeer, ratePerPeer } = this.#rules;
    if (maxPerPeer !== null && !countPeer(slot, peer, maxPerPeer)) return this.#tooMany;
    if (ratePerPeer === null) return this.#takeOne(nowMs);
    const fullMs = takeToken(ratePerPeer, this.#buckets.get(peer), nowMs);
    if (fullMs === null) return this.#tooOften;
    const refusal = this.#takeOne(nowMs);
    if (refusal === null) this.#buckets.set(peer, fullMs, nowMs);
    return refusal;
  }

  #takeOne(nowMs: number): Refusal | null {
    const { rate } = this.#rules;
    if (rate === null) return null;
    const fullMs = takeToken(rate, this.#fullMs, nowMs);
    if (fullMs === null) return this.#tooFast;
    this.#fullMs = fullMs;
    return null;
  }
}
