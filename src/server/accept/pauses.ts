/**
 * Listeners that must not accept for now, why, and who gets the next turn. A paused listener leaves its clients in the
 * kernel's queue. It never stays paused by accident: a listener that waits for a slot is tried when one is given back, and
 * one that the system refused (descriptors, memory, processes) is tried when a child ends and by a timer; one whose clients come too fast
 * when the next one may.
 */
import type { Gate } from '../../admission/slots';
import { isHeldOnly, type Listeners } from '../../listener/listener';
import type { Emit, PauseReason } from '../../log/events';
import type { Work } from '../../native/slices';
import type { Hosted, HostedListener, Outcome } from '../hosted/hosted';
import type { Kept } from './kept';

/** The first wait for a system that refused; it doubles up to the last. */
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 250;
/** For so long a service has to do without another shortage before it is told to be resumed. */
const SETTLED_MS = 1_000;

export interface PauseParts {
  readonly emit: Emit;
  readonly listeners: Pick<Listeners<Hosted>, 'hold' | 'letGo'>;
  /** Connections that wait for a process. */
  readonly kept: Pick<Kept, 'retry' | 'count'>;
  /** Where all services together take their slots. */
  readonly server: Gate;
  /** Descriptors ran out: whoever can do with fewer is to let some go. */
  readonly makeRoom: () => void;
  /** What we did not foresee costs the listener its turn. */
  readonly onFault: (listener: HostedListener, error: unknown) => void;
}

export class Pauses {
  readonly #parts: PauseParts;
  readonly #reasons = new Map<HostedListener, PauseReason>();
  /** How many of its listeners are paused: the events tell the first and the last. */
  readonly #pausedOf = new Map<Hosted, number>();
  /** Those of which `paused` was told, and neither `resumed` since nor their end. */
  readonly #told = new Set<Hosted>();
  /** Those that accept again after a shortage, which they have not been told to do yet: the next child may use up what is there. */
  readonly #unsettled = new Map<Hosted, NodeJS.Timeout>();
  /** Who waits for a slot of which gate, first come first served. */
  readonly #waiting = new Map<Gate, Set<HostedListener>>();
  /** Who waits for the system. */
  readonly #tired = new Set<HostedListener>();
  /** Whose next client may come when its timer is over. */
  readonly #limited = new Set<HostedListener>();
  readonly #limitTimers = new Map<HostedListener, NodeJS.Timeout>();
  #timer: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;

  constructor(parts: PauseParts) {
    this.#parts = parts;
  }

  /** Whether room for one more would change anything. */
  get isWaiting(): boolean {
    return this.#reasons.size > 0 || this.#parts.kept.count > 0;
  }

  /** @param waitMs with `rate`: how long */
  pause(listener: HostedListener, reason: PauseReason, waitMs = 0): void {
    // Whoever was kept for want of a process is tried again, even when its listener is gone.
    if (isShortage(reason)) this.#startTimer();
    if (reason === 'open-files') this.#parts.makeRoom();
    if (reason === 'rate') this.#retryIn(listener, waitMs);
    const before = this.#reasons.get(listener);
    if (before === reason || listener.phase === 'closed') return;
    if (before !== undefined) this.#stopWaiting(listener, before);
    this.#reasons.set(listener, reason);
    this.#queueOf(listener, reason).add(listener);
    this.#parts.listeners.hold(listener, 'paused');
    if (before === undefined) this.#onPaused(listener, reason);
  }

  /** Slots were given back at these gates: there may be room, and what the system lacked may be there again. */
  onRoom(gates: Iterable<Gate>): void {
    if (this.#isTired()) this.#retryTired();
    if (this.#reasons.size === 0) return;
    for (const gate of gates) this.#serveQueue(gate);
  }

  /** A reload may have raised a limit or changed what happens when full. */
  *retryAll(): Work<void> {
    for (const listener of [...this.#reasons.keys()]) {
      if (this.#reasons.has(listener)) this.#retry(listener);
      yield 'binding';
    }
  }

  /** The listener is about to be closed, or belongs to another service from now on. */
  forget(listener: HostedListener): void {
    const { owner } = listener;
    if (this.#reasons.has(listener) && this.#letGo(listener) === 0) this.#logResumed(owner);
  }

  /** As `forget`, for one in whose place comes another that waits for nothing. */
  release(listener: HostedListener): void {
    if (this.#reasons.has(listener)) this.#resume(listener);
  }

  /** @returns how many listeners of its service are still paused */
  #letGo(listener: HostedListener): number {
    const reason = this.#reasons.get(listener);
    if (reason !== undefined) this.#stopWaiting(listener, reason);
    this.#reasons.delete(listener);
    const left = this.#countOf(listener.owner) - 1;
    if (left === 0) this.#pausedOf.delete(listener.owner);
    else this.#pausedOf.set(listener.owner, left);
    this.#parts.listeners.letGo(listener, 'paused');
    return left;
  }

  #onPaused({ owner }: HostedListener, reason: PauseReason): void {
    const count = this.#countOf(owner) + 1;
    this.#pausedOf.set(owner, count);
    if (count > 1 || this.#isLoggedAlready(owner, reason) || !isServed(owner)) return;
    this.#told.add(owner);
    const { inUse: children, limit } = owner.gate;
    this.#parts.emit({ event: 'paused', service: owner.service.name, reason, children, limit });
  }

  /** With a few descriptors left, each child that ends and each that starts would be worth an event. */
  #isLoggedAlready(owner: Hosted, reason: PauseReason): boolean {
    const timer = this.#unsettled.get(owner);
    if (timer === undefined) return false;
    clearTimeout(timer);
    this.#unsettled.delete(owner);
    if (!isPassing(reason)) this.#logResumed(owner);
    return isPassing(reason);
  }

  #resume(listener: HostedListener): void {
    const { owner } = listener;
    const reason = this.#reasons.get(listener);
    if (this.#letGo(listener) > 0) return;
    if (reason === undefined || !isPassing(reason)) this.#logResumed(owner);
    else this.#logResumedLater(owner);
  }

  #logResumedLater(owner: Hosted): void {
    const timer = setTimeout(() => {
      this.#unsettled.delete(owner);
      this.#logResumed(owner);
    }, SETTLED_MS);
    this.#unsettled.set(owner, timer.unref());
  }

  /** Of one that was paused when it was removed, or stdiod told to stop, that was the end. */
  #logResumed(owner: Hosted): void {
    const wasTold = this.#told.delete(owner);
    if (!wasTold || !isServed(owner)) return;
    const { service, gate } = owner;
    const { inUse: children, limit } = gate;
    this.#parts.emit({ event: 'resumed', service: service.name, children, limit });
  }

  /**
   * Stays paused, without a word, for as long as every slot that comes free is taken by the next in its queue. One that is
   * held for another reason as well is watched again when that ends, and must not be touched before.
   */
  #retry(listener: HostedListener): void {
    const outcome = isHeldOnly(listener, 'paused') ? this.#takeIn(listener) : 'empty';
    if (outcome !== 'paused') this.release(listener);
  }

  /** Nobody above it would catch what it throws. */
  #takeIn(listener: HostedListener): Outcome {
    try {
      return listener.owner.intake.onReadable(listener);
    } catch (error) {
      this.#parts.onFault(listener, error);
      return 'empty';
    }
  }

  #serveQueue(gate: Gate): void {
    const queue = this.#waiting.get(gate);
    if (queue === undefined) return;
    while (gate.inUse < gate.limit) {
      const [next] = queue;
      if (next === undefined) break;
      this.#retry(next);
      moveToEnd(queue, next);
    }
  }

  /** A connection may be without a process after its listener was forgotten. */
  #isTired(): boolean {
    return this.#tired.size > 0 || this.#parts.kept.count > 0;
  }

  #retryTired(): void {
    if (!this.#parts.kept.retry()) return;
    for (const listener of [...this.#tired]) this.#retry(listener);
    if (!this.#isTired()) this.#retryMs = FIRST_RETRY_MS;
  }

  #startTimer(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      this.#retryTired();
      if (this.#isTired()) this.#startTimer();
    }, this.#retryMs);
  }

  /** A reload may change the rate, so that nobody waits for long without a look. */
  #retryIn(listener: HostedListener, waitMs: number): void {
    if (listener.phase === 'closed' || this.#limitTimers.has(listener)) return;
    const retry = (): void => {
      this.#limitTimers.delete(listener);
      if (this.#limited.has(listener)) this.#retry(listener);
    };
    this.#limitTimers.set(listener, setTimeout(retry, Math.ceil(Math.min(waitMs, LAST_RETRY_MS))));
  }

  #queueOf({ owner }: HostedListener, reason: PauseReason): Set<HostedListener> {
    if (reason === 'rate') return this.#limited;
    if (isShortage(reason)) return this.#tired;
    const gate = reason === 'full' ? owner.gate : this.#parts.server;
    const queue = this.#waiting.get(gate) ?? new Set();
    this.#waiting.set(gate, queue);
    return queue;
  }

  #stopWaiting(listener: HostedListener, reason: PauseReason): void {
    const queue = this.#queueOf(listener, reason);
    queue.delete(listener);
    if (queue === this.#limited) this.#stopTimer(listener);
    if (queue === this.#limited || queue === this.#tired || queue.size > 0) return;
    this.#waiting.delete(reason === 'full' ? listener.owner.gate : this.#parts.server);
  }

  #stopTimer(listener: HostedListener): void {
    clearTimeout(this.#limitTimers.get(listener));
    this.#limitTimers.delete(listener);
  }

  #countOf(hosted: Hosted): number {
    return this.#pausedOf.get(hosted) ?? 0;
  }
}

/** Not removed: whoever is left in its queue is told of one by one. */
function isServed({ listeners }: Hosted): boolean {
  return listeners.length > 0;
}

/** Not for want of a slot: the system refused. */
function isShortage(reason: PauseReason): boolean {
  return isPassing(reason) && reason !== 'rate';
}

/** It may be over for a moment only: that is told when it has been for a while. */
function isPassing(reason: PauseReason): boolean {
  return reason !== 'full' && reason !== 'server-full';
}

/** Still full: the others were here before its next client. */
function moveToEnd(queue: Set<HostedListener>, listener: HostedListener): void {
  if (queue.delete(listener)) queue.add(listener);
}
