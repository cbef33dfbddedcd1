/**
 * Whether a client is served that has come while there was a slot. One place with every question, asked in the order of their cost; the
 * answers are functions of who the peer is, what is counted, and the time, which is passed in.
 */
import { isAllowed } from '../service/access';
import type { AdmissionRules } from '../service/admission';
import { isOpenAt, MINUTE_MS, type Times } from '../service/hours';
import type { Peer } from '../service/peer';
import { peerName } from './peer-name';
import { FULL, PeerBuckets, takeToken, waitForToken } from './rate';
import { countPeer, type Refused, type Slot } from './slots';

/** As it stands in the event of a refusal. */
export type AdmissionReason = Refused['reason'] | 'address' | 'hours' | 'peer-limit' | 'peer-rate' | 'rate';

/** Why a client is not served. */
export interface Refusal {
  readonly reason: AdmissionReason;
  /** Which was reached, where there is one. */
  readonly limit?: number;
}

const NOT_ALLOWED: Refusal = { reason: 'address' };
const NOT_OPEN: Refusal = { reason: 'hours' };

export class Admission {
  readonly #rules: AdmissionRules;
  readonly #isByPeer: boolean;
  readonly #tooMany: Refusal;
  readonly #tooOften: Refusal;
  readonly #tooFast: Refusal;
  /** When the service's bucket is full again. */
  #fullMs = FULL;
  readonly #buckets = new PeerBuckets();

  readonly #wallClock: () => number;
  /** Of the minute that was asked about last, since 1970. */
  #minute = -1;
  #isOpen = true;

  private constructor(rules: AdmissionRules, wallClock: () => number) {
    this.#wallClock = wallClock;
    const { maxPerPeer, rate, ratePerPeer } = rules;
    this.#rules = rules;
    this.#isByPeer = maxPerPeer !== null || ratePerPeer !== null;
    this.#tooMany = { reason: 'peer-limit', limit: maxPerPeer ?? 0 };
    this.#tooOften = { reason: 'peer-rate', limit: ratePerPeer?.count ?? 0 };
    this.#tooFast = { reason: 'rate', limit: rate?.count ?? 0 };
  }

  /** null: there is nothing to ask. @param wallClock milliseconds since 1970: hours are those of clocks on the wall */
  static of(rules: AdmissionRules, wallClock: () => number = Date.now): Admission | null {
    const { access, maxPerPeer, rate, ratePerPeer, times } = rules;
    const isOpen = [access, maxPerPeer, rate, ratePerPeer, times].every((each) => each === null);
    return isOpen ? null : new Admission(rules, wallClock);
  }

  /** How long the next client has to wait, of a service that lets its clients wait; 0: not at all. */
  waitMs(nowMs: number): number {
    const { rate, whenLimited } = this.#rules;
    return rate === null || whenLimited === 'refuse' ? 0 : waitForToken(rate, this.#fullMs, nowMs);
  }

  /** null: it is admitted, its slot counted as the peer's, and what it has taken is gone. */
  refusalOf(peer: Peer, slot: Slot, nowMs: number): Refusal | null {
    const { access, peerPrefix, times } = this.#rules;
    if (access !== null && !isAllowed(access, peer)) return NOT_ALLOWED;
    if (times !== null && !this.#isOpenNow(times)) return NOT_OPEN;
    return this.#isByPeer ? this.#countedAs(peerName(peer, peerPrefix), slot, nowMs) : this.#takeOne(nowMs);
  }

  /** Asked of the time zone once in a minute. */
  #isOpenNow(times: Times): boolean {
    const nowMs = this.#wallClock();
    const minute = Math.floor(nowMs / MINUTE_MS);
    // What begins or ends by a date may do so within a minute.
    if (minute !== this.#minute || times.fromMs !== null || times.untilMs !== null) {
      [this.#minute, this.#isOpen] = [minute, isOpenAt(times, nowMs)];
    }
    return this.#isOpen;
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
