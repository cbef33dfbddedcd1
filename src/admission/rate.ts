/**
 * Token buckets, each of which is a single number: the time at which it will be full again. Pure: the time is passed in, and who takes
 * nothing changes nothing, so that a bucket recovers by itself, however many were refused.
 */
import type { Rate } from '../service/rate';

/** A bucket that nobody has taken from. */
export const FULL = 0;

/** @param fullMs when the bucket is full again @returns the same with one token less; null: it is empty */
export function takeToken({ count, perMs }: Rate, fullMs: number, nowMs: number): number | null {
  const after = Math.max(fullMs, nowMs) + perMs / count;
  return after - nowMs > perMs + ROUNDING_MS ? null : after;
}

/** How long until there is one; 0: now. */
export function waitForToken({ count, perMs }: Rate, fullMs: number, nowMs: number): number {
  const missing = Math.max(fullMs, nowMs) + perMs / count - nowMs - perMs;
  return missing > ROUNDING_MS ? missing : 0;
}

/** What adding and taking away fractions may be off by. */
const ROUNDING_MS = 1e-6;

/** More peers than that come from everywhere, and no rate of one of them would hold them off. */
const MOST_PEERS = 16_384;
/** So many are looked at for one that can be forgotten. */
const LOOKED_AT = 8;

/** A bucket for each peer that has taken from it lately, of a bounded number of peers. */
export class PeerBuckets {
  /** Who has taken last stands last. */
  readonly #fullMs = new Map<string, number>();
  readonly #most: number;

  constructor(most = MOST_PEERS) {
    this.#most = most;
  }

  get size(): number {
    return this.#fullMs.size;
  }

  get(peer: string): number {
    return this.#fullMs.get(peer) ?? FULL;
  }

  set(peer: string, fullMs: number, nowMs: number): void {
    this.#fullMs.delete(peer);
    this.#forgetFull(nowMs);
    if (this.#fullMs.size >= this.#most) this.#forgetFullest();
    this.#fullMs.set(peer, fullMs);
  }

  /** A bucket that is full is as one that was never taken from; two for each that comes, so that the table shrinks. */
  #forgetFull(nowMs: number): void {
    let left = 2;
    for (const [peer, fullMs] of this.#fullMs) {
      if (fullMs > nowMs || left === 0) return;
      this.#fullMs.delete(peer);
      left -= 1;
    }
  }

  /** Of the oldest ones the one that has taken least: whoever takes all the time stays. */
  #forgetFullest(): void {
    let [fullest, least, left] = ['', Infinity, LOOKED_AT];
    for (const [peer, fullMs] of this.#fullMs) {
      if (fullMs < least) [fullest, least] = [peer, fullMs];
      left -= 1;
      if (left === 0) break;
    }
    this.#fullMs.delete(fullest);
  }
}
