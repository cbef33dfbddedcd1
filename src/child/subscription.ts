/**
 * What the kernel tells of by itself, and of everybody on this machine: read for as long as most of it is about those who are asked for. Where too
 * much is not, nobody listens for a while: what strangers do must not take our time.
 */
import { addon, type Fd } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { Bucket } from './bucket';

/** Messages about strangers: so many in each second, and as many at once. */
const FOREIGN = { burst: 20_000, perSecond: 5000 };
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** Whoever could listen for so long begins anew with the pauses. */
const CALM_MS = 600_000;
/** Batches: more than there is room for in the socket (native/netlink.h). */
const ALL = 64;

export interface News {
  /** @throws SystemError */
  open(): Fd;
  /** Takes some of what has come. */
  read(reader: Fd): Taken;
}

export interface Taken {
  readonly count: number;
  /** Of these, about nobody of ours. */
  readonly foreign: number;
}

export interface SubscriptionParts {
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  readonly news: News;
  /** Nothing is heard for so long. */
  readonly onLost: (why: string, pauseMs: number) => void;
}

export class Subscription {
  readonly #parts: SubscriptionParts;
  #reader: Fd | null = null;
  #why: string | null = null;
  #foreign = new Bucket(FOREIGN.burst, FOREIGN.perSecond);
  #beganMs = 0;
  #pauseMs = 0;
  #pause: NodeJS.Timeout | null = null;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  get isOn(): boolean {
    return this.#reader !== null;
  }

  /** null: everything is heard. */
  get why(): string | null {
    return this.#why;
  }

  /** Listens from now on, unless it is tried again later anyway. @returns why not */
  begin(): string | null {
    if (this.#reader === null && this.#pause === null) this.#open();
    return this.#why;
  }

  end(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
    this.#why = null;
    this.#close();
  }

  /** What has come by now. */
  readAll(): void {
    for (let batches = 0; batches < ALL && this.#read() > 0; batches += 1);
  }

  #open(): void {
    const { news, pollSet } = this.#parts;
    try {
      this.#reader = news.open();
      pollSet.watch(this.#reader, {
        onReadable: () => void this.#read(),
        onFault: (error) => {
          this.#lose(messageOf(error));
        },
      });
      [this.#why, this.#beganMs] = [null, performance.now()];
      this.#foreign = new Bucket(FOREIGN.burst, FOREIGN.perSecond);
    } catch (error) {
      this.#why = messageOf(error);
      this.#close();
    }
  }

  #read(): number {
    if (this.#reader === null) return 0;
    const { count, foreign } = this.#parts.news.read(this.#reader);
    for (let at = 0; at < foreign; at += 1) {
      if (this.#foreign.take()) continue;
      this.#lose('the kernel tells too much that is about others');
      return 0;
    }
    return count;
  }

  #lose(why: string): void {
    const hasBeenCalm = performance.now() - this.#beganMs > CALM_MS;
    this.#pauseMs = hasBeenCalm
      ? FIRST_PAUSE_MS
      : Math.min(Math.max(2 * this.#pauseMs, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.#close();
    this.#why = why;
    this.#tryLater();
    this.#parts.onLost(why, this.#pauseMs);
  }

  #tryLater(): void {
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#open();
      if (this.#reader === null) this.#tryLater();
    }, this.#pauseMs).unref();
  }

  #close(): void {
    if (this.#reader === null) return;
    this.#parts.pollSet.unwatch(this.#reader);
    addon.close(this.#reader);
    this.#reader = null;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
