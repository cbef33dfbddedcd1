/**
 * Listeners that are on their way out. Closing a listening socket resets every client in its queue, so a retired listener
 * takes no new ones, goes on accepting until its queue is empty, and is closed then. A reload that wants the address
 * again before that gets the same socket back.
 */
import type { Listeners } from '../listener/listener';
import { addon } from '../native/addon';
import { asSystemError } from '../native/system-error';
import { formatAddress } from '../service/address';
import type { AcceptOutcome } from './connections';
import type { Hosted, HostedListener } from './hosted';
import type { Pauses } from './pauses';

/** How long a handshake that was under way may take to arrive in the queue; also how often the queue is looked at. */
const LINGER_MS = 100;

export class RetiredListeners {
  readonly #listeners: Listeners<Hosted>;
  readonly #pauses: Pauses;
  readonly #tryAccept: (listener: HostedListener) => AcceptOutcome;
  /** When each is closed whatever waits, CLOCK_MONOTONIC milliseconds. */
  readonly #deadlines = new Map<HostedListener, number>();
  #timer: NodeJS.Timeout | null = null;
  #onEmpty: (() => void) | null = null;

  constructor(listeners: Listeners<Hosted>, pauses: Pauses, tryAccept: (listener: HostedListener) => AcceptOutcome) {
    this.#listeners = listeners;
    this.#pauses = pauses;
    this.#tryAccept = tryAccept;
  }

  get count(): number {
    return this.#deadlines.size;
  }

  retire(listener: HostedListener): void {
    if (this.#deadlines.has(listener)) return;
    tryHoldOff(listener, true);
    this.#deadlines.set(listener, performance.now() + listener.owner.service.stopGraceMs);
    this.#startTimer();
  }

  /** Calls back once, when the last one is closed. */
  whenEmpty(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    this.#tellIfEmpty();
  }

  /** By the address that they are bound to. */
  byKey(): Map<string, HostedListener> {
    return new Map([...this.#deadlines.keys()].map((listener) => [formatAddress(listener.address), listener]));
  }

  /** Takes a listener back into service, if it was here at all. */
  revive(listener: HostedListener): void {
    if (this.#deadlines.delete(listener)) tryHoldOff(listener, false);
  }

  /** Accepts what waits now, as far as there are slots. */
  drain(listener: HostedListener): void {
    while (this.#tryAccept(listener) === 'more');
  }

  /** Closes those that stand in the way, and resets who still waits in them. */
  closeNow(isInTheWay: (listener: HostedListener) => boolean): void {
    for (const listener of this.#deadlines.keys()) {
      if (isInTheWay(listener)) this.#close(listener);
    }
    this.#tellIfEmpty();
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#closeEmpty();
      if (this.#deadlines.size > 0) this.#startTimer();
    }, LINGER_MS);
  }

  #closeEmpty(): void {
    const now = performance.now();
    for (const [listener, deadline] of this.#deadlines) {
      // Right before the close, so that where clients could not be held off none comes in between.
      this.drain(listener);
      if (now >= deadline || !addon.hasWaiting(listener.fd)) this.#close(listener);
    }
    this.#tellIfEmpty();
  }

  #close(listener: HostedListener): void {
    this.#deadlines.delete(listener);
    this.#pauses.forget(listener);
    this.#listeners.close(listener);
  }

  #tellIfEmpty(): void {
    if (this.#deadlines.size > 0) return;
    const onEmpty = this.#onEmpty;
    this.#onEmpty = null;
    onEmpty?.();
  }
}

/** Some kernels want CAP_NET_ADMIN for a socket filter. Without it clients go on coming until the close. */
function tryHoldOff(listener: HostedListener, isOn: boolean): void {
  try {
    addon.holdOff(listener.fd, isOn);
  } catch (error) {
    asSystemError(error);
  }
}
