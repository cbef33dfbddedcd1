/**
 * The most memory that a child had, as the kernel tells it of its own accord when the child ends. What wait4 says begins at our own peak,
 * because until exec a child lives in our memory. The message is there before the child can be reaped.
 *
 * A pid is nobody else's before we reap it; and by the time the kernel gives it away again, what it said of the one before is long read.
 */
import { addon, type Fd } from '../native/addon';
import { Subscription, type SubscriptionParts, type Taken } from './subscription';

const FIELDS = addon.exitFields;
const KIB = 1024;

export class Peaks {
  readonly #subscription: Subscription;
  /** KiB, of those who are asked for; 0: nothing is known yet. */
  readonly #byPid = new Map<number, number>();
  readonly #records = new Float64Array(64 * FIELDS);

  constructor({ pollSet, onLost }: Omit<SubscriptionParts, 'news'>) {
    const news = { open: () => addon.openExits(), read: (reader: Fd) => this.#read(reader) };
    this.#subscription = new Subscription({ pollSet, news, onLost });
  }

  /** Why no peaks are to be had these days; null: they are. */
  get why(): string | null {
    return this.#subscription.why;
  }

  /** Somebody wants them. @returns why they cannot be had */
  begin(): string | null {
    return this.#subscription.begin();
  }

  /** Nobody does any more. */
  end(): void {
    this.#subscription.end();
  }

  /** @param pid of a child that lives */
  expect(pid: number): void {
    this.#byPid.set(pid, 0);
  }

  /** It was reaped. @returns bytes, since its last exec; null: not known, or nobody has asked */
  take(pid: number): number | null {
    if (!this.#byPid.has(pid)) return null;
    this.#subscription.readAll();
    const peak = this.#byPid.get(pid) ?? 0;
    this.#byPid.delete(pid);
    return peak === 0 ? null : peak * KIB;
  }

  #read(reader: Fd): Taken {
    const count = addon.readExits(reader, this.#records);
    let foreign = 0;
    for (let index = 0; index < count; index += 1) if (!this.#hear(index * FIELDS)) foreign += 1;
    return { count, foreign };
  }

  /** Each thread tells of its own end what all have had by then. @returns false: it is not asked for, or one of many of its process */
  #hear(offset: number): boolean {
    const [pid, thread, peak] = [this.#records[offset] ?? 0, this.#records[offset + 1], this.#records[offset + 2] ?? 0];
    const known = this.#byPid.get(pid);
    if (known === undefined) return false;
    this.#byPid.set(pid, Math.max(known, peak));
    return thread === pid;
  }
}
