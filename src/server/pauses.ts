/**
 * Listeners that must not accept for now, why, and who gets the next turn. A paused listener leaves its clients in the
 * kernel's queue. It never stays paused by accident: a listener that waits for a slot is tried when one is given back, and
 * one that the system refused (descriptors, memory, processes) is tried when a child ends and by a timer.
 */
import type { Gate, Slots } from '../admission/slots';
import type { Listeners } from '../listener/listener';
import type { PauseReason } from '../log/events';
import type { Log } from '../log/log';
import type { AcceptOutcome } from './connections';
import type { Hosted, HostedListener } from './hosted';

/** The first wait for a system that refused; it doubles up to the last. */
const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 250;

export interface PauseParts {
  readonly log: Log;
  readonly slots: Slots;
  readonly listeners: Listeners<Hosted>;
  /** Accepts from a paused listener; pauses it again where it must. */
  readonly tryAccept: (listener: HostedListener) => AcceptOutcome;
  /** Spawns for connections that wait for a process; false: some still wait. */
  readonly retryStalled: () => boolean;
  readonly hasStalled: () => boolean;
}

export class Pauses {
  readonly #parts: PauseParts;
  readonly #reasons = new Map<HostedListener, PauseReason>();
  /** Who waits for a slot of which gate, first come first served. */
  readonly #waiting = new Map<Gate, Set<HostedListener>>();
  /** Who waits for the system. */
  readonly #tired = new Set<HostedListener>();
  #timer: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;

  constructor(parts: PauseParts) {
    this.#parts = parts;
  }

  has(listener: HostedListener): boolean {
    return this.#reasons.has(listener);
  }

  pause(listener: HostedListener, reason: PauseReason): void {
    const before = this.#reasons.get(listener);
    if (before === reason || listener.isClosed) return;
    if (before !== undefined) this.#stopWaiting(listener, before);
    this.#reasons.set(listener, reason);
    this.#queueOf(listener, reason).add(listener);
    this.#parts.listeners.pause(listener);
    if (before === undefined) this.#onPaused(listener, reason);
    if (this.#isTired()) this.#startTimer();
  }

  /** After children ended: there may be room, and what the system lacked may be there again. */
  onRoom(gates: Iterable<Gate>): void {
    if (this.#isTired()) this.#retryTired();
    if (this.#reasons.size === 0) return;
    for (const gate of gates) this.#serveQueue(gate);
    this.#serveQueue(this.#parts.slots.server);
  }

  /** A reload may have raised a limit or changed what happens when full. */
  retryAll(): void {
    for (const listener of [...this.#reasons.keys()]) this.#retry(listener);
  }

  /** The listener is about to be closed, or is wanted in service whatever it waited for. */
  forget(listener: HostedListener): void {
    const reason = this.#reasons.get(listener);
    if (reason === undefined) return;
    this.#stopWaiting(listener, reason);
    this.#reasons.delete(listener);
    listener.owner.pausedListeners -= 1;
  }

  #onPaused({ owner }: HostedListener, reason: PauseReason): void {
    owner.pausedListeners += 1;
    if (owner.pausedListeners > 1) return;
    const { inUse: children, limit } = owner.gate;
    this.#parts.log.emit({ event: 'paused', service: owner.service.name, reason, children, limit });
  }

  #resume(listener: HostedListener): void {
    const { owner } = listener;
    this.forget(listener);
    this.#parts.listeners.resume(listener);
    if (owner.pausedListeners > 0) return;
    const { inUse: children, limit } = owner.gate;
    this.#parts.log.emit({ event: 'resumed', service: owner.service.name, children, limit });
  }

  /** Stays paused, without a word, for as long as every slot that comes free is taken by the next in its queue. */
  #retry(listener: HostedListener): void {
    const outcome = this.#parts.tryAccept(listener);
    if (outcome !== 'paused' && this.#reasons.has(listener)) this.#resume(listener);
  }

  #serveQueue(gate: Gate): void {
    const queue = this.#waiting.get(gate);
    if (queue === undefined) return;
    while (gate.inUse < gate.limit) {
      const [next] = queue;
      if (next === undefined) break;
      this.#retry(next);
      this.#moveToEnd(queue, next);
    }
  }

  /** Still full: the others were here before its next client. */
  #moveToEnd(queue: Set<HostedListener>, listener: HostedListener): void {
    if (queue.delete(listener)) queue.add(listener);
  }

  /** A connection may be without a process after its listener was forgotten. */
  #isTired(): boolean {
    return this.#tired.size > 0 || this.#parts.hasStalled();
  }

  #retryTired(): void {
    if (!this.#parts.retryStalled()) return;
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

  #queueOf({ owner }: HostedListener, reason: PauseReason): Set<HostedListener> {
    if (reason !== 'full' && reason !== 'server-full') return this.#tired;
    const gate = reason === 'full' ? owner.gate : this.#parts.slots.server;
    const queue = this.#waiting.get(gate) ?? new Set();
    this.#waiting.set(gate, queue);
    return queue;
  }

  #stopWaiting(listener: HostedListener, reason: PauseReason): void {
    const queue = this.#queueOf(listener, reason);
    queue.delete(listener);
    if (queue !== this.#tired && queue.size === 0) {
      this.#waiting.delete(reason === 'full' ? listener.owner.gate : this.#parts.slots.server);
    }
  }
}
