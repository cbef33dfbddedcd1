/**
 * How much of the main thread's time goes into looks at sockets that were lent. Whoever has such a socket as well can hold the kernel's
 * lock of it, and each look at it then takes up to half a second in which nobody is served. So slow looks are rationed by
 * service, and one that is kept from one of its sockets leaves the others alone until that is free again.
 */
import { addon } from '../../native/addon';
import { asSystemError, type SystemError } from '../../native/system-error';
import type { Hosted, HostedListener } from '../hosted/hosted';

/** A look that nobody holds up takes 20 µs, and on a busy machine no more than this. */
const SLOW_MS = 5;
/** Of slow looks a service may have so much at once, and then this share of all time. */
const BURST_MS = 1_000;
const SHARE = 0.1;
/** Until it is asked again whether a lock is held still. */
const LOCKED_MS = 1_000;

interface Account {
  debtMs: number;
  /** When that was so much; performance.now. */
  atMs: number;
  /** From which we are kept. */
  locked: HostedListener | null;
}

export class Looks {
  readonly #accounts = new WeakMap<Hosted, Account>();
  /** Came back from a child, and there was no look at them since. */
  readonly #unseen = new WeakSet<HostedListener>();

  /** @returns milliseconds until it may be looked at; 0: now */
  waitMs(listener: HostedListener): number {
    const account = this.#accounts.get(listener.owner);
    if (account === undefined) return 0;
    // First: to ask whether a lock is held still is a look as well.
    const waitMs = Math.max(0, (debtOf(account) - BURST_MS) / SHARE);
    if (waitMs > 0) return waitMs;
    return this.#isKeptOut(account, listener) ? LOCKED_MS : 0;
  }

  /** @throws what `question` throws; ETIMEDOUT of the kernel means that somebody has locked the socket */
  ask<T>(listener: HostedListener, question: () => T): T {
    const startMs = performance.now();
    try {
      const answer = question();
      this.#forgetLock(listener);
      return answer;
    } catch (error) {
      if (isLocked(asSystemError(error))) this.#accountOf(listener.owner).locked = listener;
      throw error;
    } finally {
      this.#spend(listener.owner, performance.now() - startMs);
    }
  }

  /** It is to be seen to before it is lent again. @returns whether that is new */
  postpone(listener: HostedListener): boolean {
    const isNew = !this.#unseen.has(listener);
    this.#unseen.add(listener);
    return isNew;
  }

  isUnseen(listener: HostedListener): boolean {
    return this.#unseen.has(listener);
  }

  onSeen(listener: HostedListener): void {
    this.#unseen.delete(listener);
  }

  /** Because of another one of the same service, which may be free by now. */
  #isKeptOut(account: Account, listener: HostedListener): boolean {
    const { locked } = account;
    if (locked === null || locked === listener) return false;
    const startMs = performance.now();
    if (locked.phase === 'closed' || locked.owner !== listener.owner || isFree(locked)) account.locked = null;
    this.#spend(listener.owner, performance.now() - startMs);
    return account.locked !== null;
  }

  #forgetLock(listener: HostedListener): void {
    const account = this.#accounts.get(listener.owner);
    if (account?.locked === listener) account.locked = null;
  }

  #spend(hosted: Hosted, tookMs: number): void {
    if (tookMs < SLOW_MS) return;
    const account = this.#accountOf(hosted);
    account.debtMs = debtOf(account) + tookMs;
    account.atMs = performance.now();
  }

  #accountOf(hosted: Hosted): Account {
    const known = this.#accounts.get(hosted) ?? { debtMs: 0, atMs: performance.now(), locked: null };
    this.#accounts.set(hosted, known);
    return known;
  }
}

/** In whatever state it is. */
function isFree({ fd, address }: HostedListener): boolean {
  try {
    addon.isUsable(fd, address.type === 'datagram');
    return true;
  } catch (error) {
    asSystemError(error);
    return false;
  }
}

export function isLocked({ code }: SystemError): boolean {
  return code === 'ETIMEDOUT';
}

function debtOf({ debtMs, atMs }: Account): number {
  return Math.max(0, debtMs - (performance.now() - atMs) * SHARE);
}
