/**
 * Listeners that are on their way out. Closing a listening socket resets every client in its queue, so a retired listener
 * takes no new ones, goes on accepting until its queue is empty, and is closed then. A reload that wants the address
 * again before that gets the same socket back.
 */
import type { Listeners } from '../listener/listener';
import { addon } from '../native/addon';
import type { SocketAddress } from '../service/address';
import type { AcceptOutcome } from './connections';
import type { Hosted, HostedListener } from './hosted';
import { addressKey } from './open-listeners';
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
    listener.holdOff();
    listener.isRetired = true;
    this.#deadlines.set(listener, performance.now() + listener.owner.service.stopGraceMs);
    this.#startTimer();
  }

  /** Calls back once, when the last one is closed. */
  whenEmpty(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    this.#tellIfEmpty();
  }

  /** By the address that they are bound to. A Unix socket whose path is gone is not among them: it is bound anew. */
  byKey(): Map<string, HostedListener> {
    const revivable = [...this.#deadlines.keys()].filter(({ address }) => !hasPath(address));
    return new Map(revivable.map((listener) => [addressKey(keptAddress(listener)), listener]));
  }

  /** Takes a listener back into service, if it was here at all. */
  revive(listener: HostedListener): void {
    if (!this.#deadlines.delete(listener)) return;
    listener.welcome();
    listener.isRetired = false;
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
      // A child of a wait service serves what is in the queue; to close under its feet what it has not yet copied ends it.
      if (!listener.isLent && this.#isDone(listener, deadline, now)) this.#close(listener);
    }
    this.#tellIfEmpty();
  }

  /**
   * Empties the queue right before the close: where clients could not be held off, none comes in between. That may have lent
   * the socket to a child of a wait service, which then decides when it is done, whatever the deadline says.
   */
  #isDone(listener: HostedListener, deadline: number, now: number): boolean {
    if (listener.isResting) return true;
    this.drain(listener);
    return !listener.isLent && (now >= deadline || !addon.hasWaiting(listener.fd));
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

function hasPath(address: SocketAddress): boolean {
  return address.family === 'unix' && !address.path.startsWith('@');
}

/** A passed socket is wanted by its name, any other by what it is bound to. */
function keptAddress({ configured, address }: HostedListener): SocketAddress {
  return configured.family === 'passed' ? configured : address;
}
