/**
 * What became of the connections of children: how much was sent and received, and how well. The kernel tells when a connection is over
 * and nobody has it any more, which may be before its child is reaped, or after: when the client has acknowledged the end. So the
 * account of a child is waited for, for a moment; whoever waits has been reaped, and keeps nobody from anything.
 */
import { addon, type Fd } from '../native/addon';
import { Subscription, type SubscriptionParts, type Taken } from './subscription';

export interface ConnectionAccount {
  /** Bytes from the peer; its end, if it came in time, is one of them. */
  readonly in: number;
  /** Bytes that the peer has acknowledged. */
  readonly out: number;
  /** Smoothed; null: nothing was measured. */
  readonly rttSeconds: number | null;
  readonly retransmits: number;
}

type Tell = (account: ConnectionAccount | undefined) => void;

/** A client may take two tenths of a second to acknowledge, and the way there and back as long again. */
const HOLD_MS = 1000;
/** Waiting; with more, the oldest is told as it is. */
const MOST_HELD = 4096;
const MICRO = 1_000_000;

const FIELDS = addon.closingFields;

interface Held {
  readonly tell: Tell;
  /** performance.now. */
  readonly dueMs: number;
}

export class ConnectionAccounts {
  readonly #subscription: Subscription;
  /** Of children that have not been reaped, by cookie. null: nothing is known yet. undefined: nor will it be. */
  readonly #expected = new Map<number, ConnectionAccount | undefined | null>();
  /** Of those that have, the oldest first. */
  readonly #held = new Map<number, Held>();
  readonly #records = new Float64Array(64 * FIELDS);
  #timer: NodeJS.Timeout | null = null;

  constructor({ pollSet, onLost }: Omit<SubscriptionParts, 'news'>) {
    this.#subscription = new Subscription({
      pollSet,
      news: { open, read: (reader) => this.#read(reader) },
      onLost: (why, pauseMs) => {
        this.#tellAll();
        onLost(why, pauseMs);
      },
    });
  }

  /** Why the accounts of these days are not to be had; null: they are. */
  get why(): string | null {
    return this.#subscription.why;
  }

  /** Somebody wants them. @returns why they cannot be had */
  begin(): string | null {
    return this.#subscription.begin();
  }

  /** Nobody does any more. */
  end(): void {
    this.flush();
    this.#subscription.end();
  }

  /** @param cookie of the connection of a child that lives (`addon.cookieOf`) */
  expect(cookie: number): void {
    this.#expected.set(cookie, null);
  }

  /** Its child was reaped. @param tell is called once, now or soon; undefined: it is not known */
  settle(cookie: number, tell: Tell): void {
    const account = this.#expected.get(cookie);
    this.#expected.delete(cookie);
    if (account === null && this.#subscription.isOn) this.#hold(cookie, tell);
    else tell(account ?? undefined);
  }

  /** Its child never ran. */
  forget(cookie: number): void {
    this.#expected.delete(cookie);
  }

  /** Tells all that are held: there is no other time. */
  flush(): void {
    this.#subscription.readAll();
    this.#tellAll();
  }

  #read(reader: Fd): Taken {
    const count = addon.readClosings(reader, this.#records);
    let foreign = 0;
    for (let index = 0; index < count; index += 1) if (!this.#take(index * FIELDS)) foreign += 1;
    return { count, foreign };
  }

  /** @returns whether it is of ours */
  #take(offset: number): boolean {
    const cookie = this.#records[offset] ?? 0;
    const held = this.#held.get(cookie);
    if (held !== undefined) this.#release(cookie, held, accountAt(this.#records, offset));
    else if (this.#expected.has(cookie)) this.#expected.set(cookie, accountAt(this.#records, offset));
    else return false;
    return true;
  }

  #hold(cookie: number, tell: Tell): void {
    for (const [oldest, held] of this.#held) {
      if (this.#held.size < MOST_HELD) break;
      this.#release(oldest, held, undefined);
    }
    this.#held.set(cookie, { tell, dueMs: performance.now() + HOLD_MS });
    this.#setTimer(HOLD_MS);
  }

  /** Each is told once: what is told is held no more. */
  #release(cookie: number, { tell }: Held, account: ConnectionAccount | undefined): void {
    this.#held.delete(cookie);
    tell(account);
  }

  #tellAll(): void {
    for (const [cookie, held] of this.#held) this.#release(cookie, held, undefined);
  }

  #setTimer(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#tellDue(performance.now());
    }, delayMs).unref();
  }

  #tellDue(nowMs: number): void {
    for (const [cookie, held] of this.#held) {
      if (held.dueMs > nowMs) {
        this.#setTimer(Math.ceil(held.dueMs - nowMs));
        return;
      }
      this.#release(cookie, held, undefined);
    }
  }
}

/** @throws SystemError */
function open(): Fd {
  if (addon.canAskSockets()) return addon.openClosings();
  throw Object.assign(new Error('the kernel tells nothing of TCP connections (sock_diag)'), {
    code: 'EPROTONOSUPPORT',
    syscall: 'netlink',
  });
}

function accountAt(records: Float64Array, offset: number): ConnectionAccount | undefined {
  const at = (field: number): number => records[offset + field] ?? -1;
  if (at(1) < 0) return undefined;
  return { in: at(1), out: at(2), rttSeconds: at(3) > 0 ? at(3) / MICRO : null, retransmits: at(4) };
}
