/**
 * Services with `wait: true`: the child is lent the listening or datagram socket itself, and stdiod leaves that alone until the
 * child exits. Afterwards it is foreign: it is watched again only when it is found in order, and bound anew otherwise.
 *
 * A child that exits without having taken anything would be started again at once, and for ever. So a start without progress
 * makes the next one wait (10 ms, doubling to 10 s), and one datagram that nobody wants to read is thrown away and counted.
 */
import { isFull, type Slot, type Slots } from '../../admission/slots';
import type { Child, Children, Errand, Exit } from '../../child/children';
import { lentFacts, lentValues } from '../../child/facts';
import { fillPlan, type Plan } from '../../child/plan';
import { describeSpawnFailure, type SpawnFailure } from '../../child/spawn-errors';
import { isUsable, type Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { addon, type Pid } from '../../native/addon';
import { asSystemError, type SystemError } from '../../native/system-error';
import { formatAddress } from '../../service/address';
import type { Pauses } from '../accept/pauses';
import { borrowerOf, hasChangedHands } from '../hosted/borrower';
import type { Endings, Served } from '../hosted/endings';
import type { Hosted, HostedListener, Intake, Outcome } from '../hosted/hosted';
import { logFailed } from '../hosted/listening';
import type { Replacer } from '../hosted/replace';
import { isLocked, type Looks } from './looks';
import { hasMoved, isExcused, queueOf, senderOf, type Queue } from './progress';

const FIRST_WAIT_MS = 10;
const LAST_WAIT_MS = 10_000;
/** A handful of starts a second. */
const LAST_EXCUSED_MS = 200;

const LOCKED = {
  verb: 'lend',
  error: 'a process that a child has left behind has locked the socket',
  action: 'tried again until it is free',
};

export interface LenderParts {
  readonly emit: Emit;
  readonly slots: Pick<Slots, 'takeBeyond' | 'putBack'>;
  readonly children: Pick<Children<Served>, 'spawn'>;
  readonly endings: Pick<Endings, 'onExit'>;
  readonly listeners: Pick<Listeners<Hosted>, 'hold' | 'letGo' | 'holdFor'>;
  readonly pauses: Pick<Pauses, 'pause'>;
  readonly replacer: Pick<Replacer, 'replace'>;
  /** Where a socket that is wanted no more is closed. */
  readonly retired: { readonly close: (listener: HostedListener) => void };
  readonly nextId: () => string;
  /** How long the next start waits after one without progress; absent: not at all. Outlives a reload of the service. */
  readonly waits: WeakMap<HostedListener, number>;
  readonly looks: Pick<Looks, keyof Looks>;
}

/** One for each service, made anew when that changes. */
export class Lender implements Intake {
  readonly #plan: Plan;
  readonly #parts: LenderParts;

  constructor(plan: Plan, parts: LenderParts) {
    this.#plan = plan;
    this.#parts = parts;
  }

  /** Something has come: the child may have it. What is on its way out is lent to nobody. */
  onReadable(listener: HostedListener): Outcome {
    if (listener.phase !== 'open' || this.#mustWait(listener)) return 'empty';
    const queue = this.#look(listener);
    if (queue === null) return 'empty';
    const slot = this.#parts.slots.takeBeyond(listener.owner.gate);
    if (!isFull(slot)) return this.#lend(listener, queue, slot);
    this.#parts.pauses.pause(listener, slot.full.whenFull);
    return 'paused';
  }

  /** Its service has had its share of looks for now. */
  #mustWait(listener: HostedListener): boolean {
    const waitMs = this.#parts.looks.waitMs(listener);
    if (waitMs > 0) this.#parts.listeners.holdFor(listener, 'resting', waitMs);
    return waitMs > 0;
  }

  /** null: there is nothing to lend it for, and what was to be done about that is done. */
  #look(listener: HostedListener): Queue | null {
    const { looks } = this.#parts;
    try {
      if (looks.isUnseen(listener) && !this.#isRestored(listener)) {
        this.#replace(listener);
        return null;
      }
      const queue = looks.ask(listener, () => queueOf(listener));
      if (queue === null) this.#onNothing(listener);
      return queue;
    } catch (error) {
      this.#onLocked(listener, asSystemError(error));
      return null;
    }
  }

  /** @throws SystemError: somebody keeps us from it */
  #isRestored(listener: HostedListener): boolean {
    const isInOrder = this.#parts.looks.ask(listener, () => isRestored(listener));
    this.#parts.looks.onSeen(listener);
    return isInOrder;
  }

  /**
   * Ready, and nothing there: an error that came after its child had left, or what somebody whom that child has left behind
   * does to the socket, would wake us for ever. What can be put right needs no new socket, which he might keep us from binding.
   */
  #onNothing(listener: HostedListener): void {
    if (this.#isRestored(listener)) this.#rest(listener, LAST_EXCUSED_MS);
    else this.#replace(listener);
  }

  #lend(listener: HostedListener, queue: Queue, slot: Slot): Outcome {
    this.#parts.listeners.hold(listener, 'lent');
    try {
      addon.setBlocking(listener.fd, true);
      this.#spawn(listener, queue, slot);
      return 'empty';
    } catch (error) {
      this.#parts.slots.putBack(slot);
      const outcome = this.#onFailure(listener, queue, describeSpawnFailure(error));
      // Nobody has it, and a reload may have us accept from it before it is lent again.
      addon.setBlocking(listener.fd, false);
      return outcome;
    }
  }

  /** A system that is short of something is asked again soon; what fails for good, ever more seldom. */
  #onFailure(listener: HostedListener, queue: Queue, { step, error, shortage }: SpawnFailure): Outcome {
    if (shortage === null) this.#rest(listener, LAST_WAIT_MS);
    else this.#parts.pauses.pause(listener, shortage);
    this.#parts.listeners.letGo(listener, 'lent');
    if (shortage !== null) return 'paused';
    const [connection, peer] = [this.#parts.nextId(), senderOf(queue, listener)];
    this.#parts.emit({ event: 'dropped', service: listener.owner.service.name, connection, peer, step, error });
    return 'empty';
  }

  #spawn(listener: HostedListener, queue: Queue, slot: Slot): void {
    const { owner: hosted, fd, socket } = listener;
    const { service } = hosted;
    const connection = this.#parts.nextId();
    const names = { service: service.name, connection };
    const filled = fillPlan(this.#plan, lentFacts(listener.address, names), () => lentValues(listener.address, names));
    const served = { hosted, connection, peer: senderOf(queue, listener), slot, lent: listener };
    const errand: Errand<Served> = {
      onExit: (child, exit) => {
        this.#onExit(listener, queue, child, exit);
      },
    };
    const { pid } = this.#parts.children.spawn(this.#plan, { fd, ...filled }, served, errand);
    socket.past.borrower = borrowerOf(service);
    this.#tryLog(listener, connection, pid);
  }

  /** By now there is a child, which has the slot: whatever fails here, nothing is to be given back. */
  #tryLog({ owner, address: at }: HostedListener, connection: string, pid: Pid): void {
    try {
      const { inUse: children, limit } = owner.gate;
      const address = formatAddress(at);
      this.#parts.emit({ event: 'started', service: owner.service.name, connection, address, pid, children, limit });
    } catch {
      // The child has the socket, and is told of when it ends.
    }
  }

  #onExit(listener: HostedListener, before: Queue, child: Child<Served>, exit: Exit): void {
    this.#parts.endings.onExit(child, exit);
    try {
      this.#takeBack(listener, before, exit);
    } catch (error) {
      this.#onLocked(listener, asSystemError(error));
    }
    this.#parts.listeners.letGo(listener, 'lent');
  }

  /**
   * Whom the child has left behind keeps us from looking at the socket. It stays until he lets go: in the place of a new one there would
   * soon be the next one that is locked, and a thread of ours waits for each.
   */
  #onLocked(listener: HostedListener, error: SystemError): void {
    if (!isLocked(error) || !isStillItsOwn(listener)) {
      this.#replace(listener);
      return;
    }
    if (this.#parts.looks.postpone(listener)) logFailed(this.#parts.emit, listener, LOCKED);
    this.#rest(listener, LAST_WAIT_MS);
  }

  /** Decides about it while it is still held. */
  #takeBack(listener: HostedListener, before: Queue, exit: Exit): void {
    const { waits } = this.#parts;
    if (listener.phase !== 'open') {
      this.#parts.retired.close(listener);
      return;
    }
    if (isStillItsOwn(listener) && this.#mustWait(listener)) {
      this.#parts.looks.postpone(listener);
      return;
    }
    // Its service may accept by itself now, and somebody could make our accept wait.
    if (!this.#isRestored(listener) || !isStillItsOwn(listener)) {
      this.#replace(listener);
      return;
    }
    if (this.#parts.looks.ask(listener, () => hasMoved(listener, before)) && exit.failure === null) {
      waits.delete(listener);
      return;
    }
    if ('head' in before) this.#dropUnread(listener, before);
    this.#rest(listener, isExcused(listener, before, exit) ? LAST_EXCUSED_MS : LAST_WAIT_MS);
  }

  /** What is dropped is what the child was started for, and still stands there. */
  #dropUnread(listener: HostedListener, before: Queue): void {
    addon.dropHead(listener.fd);
    const { name } = listener.owner.service;
    const [address, peer] = [formatAddress(listener.address), senderOf(before, listener)];
    this.#parts.emit({ event: 'dropped', service: name, address, peer, reason: 'unread' });
  }

  /** One that was put right in place is the same listener still, and may be spoilt again at once. */
  #replace(listener: HostedListener): void {
    this.#parts.replacer.replace(listener);
    if (listener.phase === 'open') this.#rest(listener, LAST_WAIT_MS);
  }

  #rest(listener: HostedListener, lastMs: number): void {
    const { waits, listeners } = this.#parts;
    const waitMs = Math.min(waits.get(listener) ?? FIRST_WAIT_MS, lastMs);
    waits.set(listener, 2 * waitMs);
    listeners.holdFor(listener, 'resting', waitMs);
  }
}

/** What a child has had may be lent to the next one of the same service. */
function isStillItsOwn(listener: HostedListener): boolean {
  return listener.owner.service.wait && !hasChangedHands(listener);
}

/** Puts right what can be put right. @returns whether it can be used as it is now. @throws SystemError: somebody has locked it */
function isRestored(listener: HostedListener): boolean {
  addon.takeBack(listener.fd, listener.address.type === 'datagram');
  // A filter would keep everybody away without a word.
  return addon.dropFilter(listener.fd) && isUsable(listener);
}
