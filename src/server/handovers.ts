/**
 * Services with `wait: true`: the child gets the listening or datagram socket itself and stdiod leaves that alone until the
 * child exits. Then it is watched again: the same socket, made usable again where the child has changed it.
 *
 * A child that exits without having taken anything would be started again at once, and for ever. So a start without progress
 * makes the next one wait (10 ms, doubling to 10 s), and one datagram that nobody wants to read is thrown away and counted.
 */
import type { Slots } from '../admission/slots';
import type { Children, Exit } from '../child/children';
import { handoverFacts, handoverValues } from '../child/facts';
import { fillPlan } from '../child/plan';
import type { Listeners } from '../listener/listener';
import type { Log } from '../log/log';
import { addon, type DatagramHead } from '../native/addon';
import { asSystemError, describeSystemError } from '../native/system-error';
import { formatAddress, formatHostPort } from '../service/address';
import type { Hosted, HostedListener } from './hosted';
import type { Pauses } from './pauses';

const FIRST_WAIT_MS = 10;
const LAST_WAIT_MS = 10_000;
/** A handful of starts a second. */
const LAST_EXCUSED_MS = 200;

export interface HandoverParts {
  readonly log: Log;
  readonly slots: Slots;
  readonly children: Children<Hosted>;
  readonly listeners: Listeners<Hosted>;
  readonly pauses: Pauses;
  readonly nextId: () => string;
}

/** What stood in the socket's queue when its child was started. */
type Queue = { readonly head: DatagramHead } | { readonly length: number };

export class Handovers {
  readonly #parts: HandoverParts;
  /** How long the next start waits after one without progress; absent: not at all. */
  readonly #waitMs = new Map<HostedListener, number>();

  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  /** Something has come: the child may have it. */
  onReadable(listener: HostedListener): 'empty' | 'paused' {
    const queue = queueOf(listener);
    if (queue === null) return 'empty';
    const { gate } = listener.owner;
    const verdict = this.#parts.slots.take(gate);
    if (verdict !== 'admit') {
      this.#parts.pauses.pause(listener, verdict);
      return 'paused';
    }
    if (this.#lend(listener, queue)) return 'empty';
    this.#parts.slots.release(gate);
    return 'empty';
  }

  #lend(listener: HostedListener, queue: Queue): boolean {
    const { service } = listener.owner;
    this.#parts.listeners.pause(listener);
    listener.isLent = true;
    const connection = this.#parts.nextId();
    try {
      addon.setBlocking(listener.fd, true);
      this.#spawn(listener, queue, connection);
      return true;
    } catch (error) {
      const peer = peerOf(queue);
      const { code, syscall: step } = asSystemError(error);
      this.#parts.log.emit({ event: 'dropped', service: service.name, connection, peer, step, error: code });
      listener.isLent = false;
      this.#comeBackLater(listener, LAST_WAIT_MS);
      return false;
    }
  }

  #spawn(listener: HostedListener, queue: Queue, connection: string): void {
    const { service, plan, gate } = listener.owner;
    if (plan === null) throw new Error(`${service.name} has nothing to run`);
    const names = { service: service.name, connection };
    const facts = handoverFacts(listener.address, names);
    const filled = fillPlan(plan, facts, () => handoverValues(listener.address, names));
    const onEnd = (exit: Exit): void => {
      this.#onChildEnd(listener, queue, exit);
    };
    const about = { owner: listener.owner, connection, peer: peerOf(queue), startedMs: performance.now(), onEnd };
    const { pid } = this.#parts.children.spawn(plan, listener.fd, filled, about);
    const { inUse: children, limit } = gate;
    const address = formatAddress(listener.address);
    this.#parts.log.emit({ event: 'started', service: service.name, connection, address, pid, children, limit });
  }

  #onChildEnd(listener: HostedListener, before: Queue, exit: Exit): void {
    listener.isLent = false;
    if (listener.isClosed) {
      this.#waitMs.delete(listener);
      return;
    }
    // By now it may belong to a service that accepts by itself, and must not make us wait.
    addon.setBlocking(listener.fd, false);
    if (!this.#isUsable(listener)) {
      if (!listener.isRetired) this.#replace(listener);
      return;
    }
    if (hasMoved(listener, before) && exit.failure === null) {
      this.#waitMs.delete(listener);
      this.#watchAgain(listener);
      return;
    }
    if ('head' in before) this.#dropUnread(listener, before);
    this.#comeBackLater(listener, isExcused(listener, before, exit) ? LAST_EXCUSED_MS : LAST_WAIT_MS);
  }

  /** What is dropped is what the child was started for, and still stands there. */
  #dropUnread(listener: HostedListener, before: Queue): void {
    addon.dropHead(listener.fd);
    const { name } = listener.owner.service;
    const address = formatAddress(listener.address);
    this.#parts.log.emit({ event: 'dropped', service: name, address, peer: peerOf(before), reason: 'unread' });
  }

  #comeBackLater(listener: HostedListener, lastMs: number): void {
    const waitMs = Math.min(this.#waitMs.get(listener) ?? FIRST_WAIT_MS, lastMs);
    this.#waitMs.set(listener, 2 * waitMs);
    listener.isResting = true;
    setTimeout(() => {
      listener.isResting = false;
      if (listener.isClosed) this.#waitMs.delete(listener);
      else this.#watchAgain(listener);
    }, waitMs);
  }

  #watchAgain(listener: HostedListener): void {
    if (!this.#parts.pauses.has(listener)) this.#parts.listeners.resume(listener);
  }

  #isUsable({ fd, address }: HostedListener): boolean {
    return addon.isUsable(fd, address.type === 'datagram');
  }

  /** shutdown(2) on a listening socket ends its listening for everybody who has it. */
  #replace(listener: HostedListener): void {
    const { owner, configured, address } = listener;
    this.#waitMs.delete(listener);
    this.#parts.listeners.close(listener);
    const wanted = 'port' in configured && 'port' in address ? { ...configured, port: address.port } : configured;
    try {
      const fresh = this.#parts.listeners.open(wanted, owner.service.socket, owner);
      owner.listeners = owner.listeners.map((one) => (one === listener ? fresh : one));
      this.#parts.listeners.resume(fresh);
    } catch (error) {
      const text = describeSystemError(asSystemError(error));
      const [service, where] = [owner.service.name, formatAddress(address)];
      const action = 'not served until the next reload';
      this.#parts.log.emit({ event: 'failed', verb: 'listen', address: where, service, error: text, action });
    }
  }
}

/** null: nothing is there after all (a datagram with a bad checksum wakes us and is gone). */
function queueOf({ fd, address }: HostedListener): Queue | null {
  if (address.type !== 'datagram') {
    const length = addon.queueLength(fd);
    return length === 0 ? null : { length };
  }
  const head = addon.headOf(fd);
  return head === null ? null : { head };
}

function hasMoved(listener: HostedListener, before: Queue): boolean {
  const now = queueOf(listener);
  if ('head' in before) return now === null || !('head' in now) || now.head.identity !== before.head.identity;
  return now === null || !('length' in now) || now.length < before.length;
}

/**
 * A queue of clients that is no shorter than before may be one that nobody took from, or one that another client has joined
 * since. Where several wait, or the kernel does not tell how many, a program that says that all is well gets the benefit
 * of the doubt.
 */
function isExcused(listener: HostedListener, before: Queue, exit: Exit): boolean {
  if (!('length' in before) || exit.failure !== null || exit.status !== 0) return false;
  return before.length > 1 || listener.address.family === 'unix' || addon.queueLength(listener.fd) > 1;
}

/** Of a datagram, its sender; a stream's clients are the child's own business. */
function peerOf(queue: Queue): string {
  if (!('head' in queue)) return '-';
  const { peerAddress, peerPort } = queue.head;
  return peerPort === 0 ? `unix:${peerAddress}` : formatHostPort(peerAddress, peerPort);
}
