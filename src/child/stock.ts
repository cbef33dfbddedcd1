/**
 * The programs that wait for the clients of one service: how many, since when, and what becomes of one that cannot be had. No client waits
 * for them: whoever finds none is served as ever. None is started on behalf of a client, and after a failure there is a pause that grows.
 */
import { OncePerTurn } from '../native/turn';
import type { Warm } from '../service/service';
import type { Parked, Request } from './parked';

export interface StockParts {
  /** Starts one, sooner or later: `started` is called back, or `fail`. */
  readonly start: (stock: Stock) => void;
  /** Tells that there are as many as there should be. */
  readonly onWarm: (waiting: number) => void;
  /** Tells why there is none, and for how long none is tried. */
  readonly onCold: (reason: string, pauseMs: number) => void;
  /** Of the files whose change makes another program of it: a text that changes with them, or rejects. */
  readonly look: (files: readonly string[]) => Promise<string>;
  /** Somebody is asked. */
  readonly onAsked: (parked: Parked) => void;
}

const ROUND_MS = 1000;
/** A program that has a connection says so at once. */
const LATE_MS = 1000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 600_000;

export class Stock {
  readonly warm: Warm;
  readonly #parts: StockParts;
  readonly #starting = new Set<Parked>();
  /** The oldest first. */
  #ready: Parked[] = [];
  /** Of a pool: those who have been given a connection, and have not said that they woke. */
  readonly #asked = new Set<Parked>();
  /** Asked for, and not there yet. */
  #ordered = 0;
  #isOpen = false;
  #round: NodeJS.Timeout | null = null;
  #pause: NodeJS.Timeout | null = null;
  /** In a row. */
  #failures = 0;
  /** The last reason that was told; null: that there are enough. */
  #told: string | null = '';
  /** What `look` said; null: nothing yet. */
  #seen: string | null = null;
  #isLooking = false;
  #next = 0;
  /** Not before the client of this turn is served. */
  readonly #later = new OncePerTurn(() => {
    this.refill();
  });

  constructor(warm: Warm, parts: StockParts) {
    this.warm = warm;
    this.#parts = parts;
  }

  /** Whether anybody waits for a client. */
  get isReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Under way to a program. */
  get pendingCount(): number {
    return this.#ready.reduce((sum, { pendingCount }) => sum + pendingCount, this.#asked.size);
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#round = setInterval(() => {
      this.#goRound();
    }, ROUND_MS).unref();
    this.#look();
  }

  /** Whoever is on the way is lost, and served otherwise. */
  close(): void {
    this.#isOpen = false;
    this.#ordered = 0;
    if (this.#round !== null) clearInterval(this.#round);
    this.#rest();
    this.#endAll();
  }

  /** @returns whether somebody has taken it: else it is still the caller's */
  offer(request: Request, name: string): boolean {
    const parked = this.#ready[this.#turn()];
    if (parked?.ask(name, request) !== true) return false;
    this.#parts.onAsked(parked);
    if (this.warm.mode === 'pool') {
      this.#ready.shift();
      this.#asked.add(parked);
    }
    this.#later.request();
    return true;
  }

  /** One that was asked for is on its way. */
  onStarted(parked: Parked): void {
    this.#ordered -= 1;
    if (this.#isOpen) this.#starting.add(parked);
    else parked.end(null);
  }

  onReady(parked: Parked): void {
    this.#starting.delete(parked);
    this.#ready.push(parked);
    for (const old of this.#ready.filter((each) => this.#isUsedUp(each))) old.end(null);
    if (this.#told !== null && this.#ready.length >= this.warm.size) this.#tellWarm();
    this.refill();
  }

  /** @param reason null: on purpose */
  onOver(parked: Parked, reason: string | null): void {
    this.#starting.delete(parked);
    this.#asked.delete(parked);
    this.#ready = this.#ready.filter((each) => each !== parked);
    if (reason !== null) this.fail(reason);
    else this.refill();
  }

  onTaken(parked: Parked): void {
    this.#asked.delete(parked);
  }

  /** A client has been served by one. */
  onServed(): void {
    this.#failures = 0;
  }

  /** One that was asked for cannot be started. */
  onNotStarted(reason: string): void {
    this.#ordered -= 1;
    this.fail(reason);
  }

  fail(reason: string): void {
    if (!this.#isOpen) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    if (this.#told !== reason) this.#parts.onCold(reason, pauseMs);
    this.#told = reason;
    this.#rest();
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.refill();
    }, pauseMs).unref();
  }

  /** One at a time. */
  refill(): void {
    if (!this.#isOpen || this.#pause !== null || this.#seen === null) return;
    const fresh = this.#ready.filter((each) => !this.#isUsedUp(each)).length;
    if (this.#ordered + this.#starting.size > 0 || fresh >= this.warm.size) return;
    this.#ordered += 1;
    this.#parts.start(this);
  }

  #tellWarm(): void {
    this.#told = null;
    this.#parts.onWarm(this.#ready.length);
  }

  /** Several templates take turns; of a pool the oldest comes first. */
  #turn(): number {
    if (this.warm.mode === 'pool') return 0;
    this.#next = (this.#next + 1) % Math.max(1, this.#ready.length);
    return this.#next;
  }

  #isUsedUp({ uses, startedMs }: Parked): boolean {
    const { maxUses, maxAgeMs } = this.warm;
    return uses >= maxUses || performance.now() - startedMs > maxAgeMs;
  }

  #goRound(): void {
    const now = performance.now();
    for (const parked of [...this.#starting]) {
      if (now - parked.startedMs > this.warm.startMs) parked.end('it has not used its connection within start_timeout');
    }
    for (const parked of [...this.#ready, ...this.#asked]) {
      if (parked.isLate(now - LATE_MS)) parked.end('it does not wake');
    }
    this.refill();
    this.#look();
  }

  /** At files that may hang: the next look begins when this one has ended. */
  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#parts.look(this.warm.files).then(
      (seen) => {
        this.#isLooking = false;
        this.#onSeen(seen);
      },
      () => {
        this.#isLooking = false;
        this.#onSeen('');
      },
    );
  }

  /** What was started from the files as they were is not what the next client is to have. */
  #onSeen(seen: string): void {
    const isChanged = this.#seen !== null && this.#seen !== seen;
    this.#seen = seen;
    if (isChanged) {
      [this.#failures, this.#told] = [0, ''];
      this.#rest();
      this.#endAll();
    }
    this.refill();
  }

  #rest(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
  }

  #endAll(): void {
    for (const parked of [...this.#starting, ...this.#ready, ...this.#asked]) parked.end(null);
  }
}
