/**
 * Listeners that are on their way out. Closing a listening socket resets every client in its queue, so a retired listener
 * takes no new ones, goes on accepting until its queue is empty, and is closed then. A reload that wants the address
 * again before that gets the same socket back. One that is lent stays until its child leaves, which it must after a while, and is
 * lent no more.
 */
import { isHeld, wasLent, type Listeners } from '../../listener/listener';
import { addon } from '../../native/addon';
import { inSlices, type Work } from '../../native/slices';
import type { Pauses } from '../accept/pauses';
import type { Hosted, HostedListener } from '../hosted/hosted';

/** How long a handshake that was under way may take to arrive in the queue; also how often the queue is looked at. */
const LINGER_MS = 100;
/** What is taken from a queue at one look: a flood of clients must not hold up everybody else. */
const MOST_BATCHES = 8;

export class RetiredListeners {
  readonly #listeners: Pick<Listeners<Hosted>, 'retire' | 'revive' | 'close'>;
  readonly #pauses: Pick<Pauses, 'forget'>;
  /** When each is closed whatever waits, or its child told to leave, CLOCK_MONOTONIC milliseconds; Infinity: it was. */
  readonly #deadlines = new Map<HostedListener, number>();
  readonly #onEmpty: () => void;
  readonly #onOverdue: (listener: HostedListener) => void;
  readonly #onFault: (listener: HostedListener, error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param onEmpty the last one is closed
   * @param onOverdue a child has this one longer than it may, told once
   * @param onFault what we did not foresee costs the listener its turn
   */
  constructor(
    listeners: Pick<Listeners<Hosted>, 'retire' | 'revive' | 'close'>,
    pauses: Pick<Pauses, 'forget'>,
    onEmpty: () => void,
    onOverdue: (listener: HostedListener) => void,
    onFault: (listener: HostedListener, error: unknown) => void,
  ) {
    this.#listeners = listeners;
    this.#pauses = pauses;
    this.#onEmpty = onEmpty;
    this.#onOverdue = onOverdue;
    this.#onFault = onFault;
  }

  get count(): number {
    return this.#deadlines.size;
  }

  [Symbol.iterator](): IterableIterator<HostedListener> {
    return this.#deadlines.keys();
  }

  retire(listener: HostedListener): void {
    if (listener.phase !== 'open') return;
    this.#listeners.retire(listener);
    this.#deadlines.set(listener, performance.now() + listener.owner.service.stopGraceMs);
    if (!isHeld(listener, 'lent') && !isAcceptedFrom(listener)) this.close(listener);
    else this.#startTimer();
  }

  /** Takes a listener back into service. @returns whether it was here at all */
  revive(listener: HostedListener): boolean {
    const wasHere = this.#deadlines.delete(listener);
    if (wasHere) this.#listeners.revive(listener);
    return wasHere;
  }

  /** Closes one now, and resets who still waits in it. */
  close(listener: HostedListener): void {
    this.#forget(listener);
    if (this.#deadlines.size === 0) this.#onEmpty();
  }

  /** Closes those that are due whatever waits in them, but for what a child has: that is not ours to close. */
  closeAll(isDue: (listener: HostedListener) => boolean): void {
    const due = [...this.#deadlines.keys()].filter((listener) => !isHeld(listener, 'lent') && isDue(listener));
    for (const listener of due) this.#forget(listener);
    if (due.length > 0 && this.#deadlines.size === 0) this.#onEmpty();
  }

  /** Accepts what waits now, as far as there are slots, and not more than a fair share. */
  drain(listener: HostedListener): void {
    try {
      for (let batch = 0; batch < MOST_BATCHES; batch += 1) {
        if (listener.owner.intake.onReadable(listener) !== 'more') return;
      }
    } catch (error) {
      this.#onFault(listener, error);
    }
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => {
      inSlices(this.#look(performance.now()), () => {
        this.#timer = null;
        if (this.#deadlines.size > 0) this.#startTimer();
      });
    }, LINGER_MS);
  }

  /** A reload may have put thousands here. Meanwhile any of them may be revived or closed. */
  *#look(now: number): Work<void> {
    for (const listener of [...this.#deadlines.keys()]) {
      if (!this.#deadlines.has(listener)) continue;
      if (isHeld(listener, 'lent')) this.#tellOverdue(listener, now);
      else if (this.#isDone(listener, now)) this.close(listener);
      yield 'binding';
    }
  }

  /** Only its child can close what that has: until then clients are answered by a service that is gone. */
  #tellOverdue(listener: HostedListener, now: number): void {
    if (now < (this.#deadlines.get(listener) ?? 0)) return;
    this.#deadlines.set(listener, Infinity);
    this.#onOverdue(listener);
  }

  /** Empties the queue right before the close: where clients could not be held off, none comes in between. */
  #isDone(listener: HostedListener, now: number): boolean {
    if (!isAcceptedFrom(listener)) return true;
    this.drain(listener);
    return now >= (this.#deadlines.get(listener) ?? 0) || !addon.hasWaiting(listener.fd);
  }

  #forget(listener: HostedListener): void {
    this.#deadlines.delete(listener);
    this.#pauses.forget(listener);
    this.#listeners.close(listener);
  }
}

/** Not one whose clients are a child's business, nor one that a child may have left in a state that makes us wait. */
function isAcceptedFrom(listener: HostedListener): boolean {
  return !listener.owner.service.wait && !wasLent(listener);
}
