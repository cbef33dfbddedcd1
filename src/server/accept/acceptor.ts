/**
 * A readable listener means clients, each of whom becomes a connection with a handler. The slot is taken first: without one
 * the client stays in the kernel's queue and the listener is paused, or the client is refused, as the service says.
 */
import type { Refusal } from '../../admission/admission';
import { isFull, refusalWhenFull, type Gate, type Slot, type Slots } from '../../admission/slots';
import { acceptFrom, isUsable, type AcceptResult, type Listeners } from '../../listener/listener';
import type { PauseReason } from '../../log/events';
import { addon } from '../../native/addon';
import type { Endings } from '../hosted/endings';
import type { Connection, Hosted, HostedListener, Intake, Outcome } from '../hosted/hosted';
import type { Replacer } from '../hosted/replace';
import type { Kept } from './kept';
import type { Pauses } from './pauses';

/**
 * Clients taken from one listener before the others get their turn. With sixteen a greedy port makes its neighbours wait twice as
 * long for nothing; with one each client is a round through epoll, and costs a sixth more of our time.
 */
const BATCH = 3;
/** How soon a listener is looked at again whose service has enough children on their way. */
const PACE_MS = 1;
/** Clients who were gone already, in a row: by then it is not they who are at fault. */
const MOST_GONE = 16;

type Accepted = Extract<AcceptResult, { kind: 'connection' }>;

export interface AcceptorParts {
  readonly slots: Slots;
  readonly endings: Pick<Endings, 'turnAway'>;
  readonly pauses: Pick<Pauses, 'pause'>;
  readonly kept: Pick<Kept, 'add'>;
  readonly listeners: Pick<Listeners<Hosted>, 'holdFor'>;
  readonly replacer: Pick<Replacer, 'replaceDestroyed'>;
  readonly nextId: () => string;
}

export class Acceptor implements Intake {
  readonly #parts: AcceptorParts;
  /** A kernel or a policy that refuses each client without taking it from the queue would have us try for ever. */
  #goneInRow = 0;

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
  }

  onReadable(listener: HostedListener): Outcome {
    for (let taken = 0; taken < BATCH; taken += 1) {
      if (this.#isPaced(listener)) return 'more';
      const outcome = this.#acceptOne(listener);
      if (outcome === 'empty' && taken === 0) this.#onNobody(listener);
      if (outcome !== 'more') return outcome;
    }
    return 'more';
  }

  /** Gives a connection to its handler, now or when the system has what that needs. */
  serve(connection: Connection): Outcome {
    const shortage = connection.handler.take(connection);
    if (shortage === 'taken') return 'more';
    this.#parts.kept.add(connection);
    this.#parts.pauses.pause(connection.listener, shortage);
    return 'paused';
  }

  /** One that is on its way out is emptied as fast as it goes. */
  #isPaced(listener: HostedListener): boolean {
    if (listener.phase !== 'open' || !listener.owner.handler.isBusy) return false;
    this.#parts.listeners.holdFor(listener, 'pacing', PACE_MS);
    return true;
  }

  #acceptOne(listener: HostedListener): Outcome {
    const { slots, nextId } = this.#parts;
    const hosted = listener.owner;
    if (isHeldUp(listener)) return this.#waitForEnds(listener);
    if (hosted.service.admission.whenLimited === 'wait' && this.#isTooFast(listener))
      return this.#waitForToken(listener);
    const slot = slots.take(hosted.gate);
    if (isFull(slot)) return this.#onFull(listener, slot.full);
    const result = acceptFrom(listener);
    if (result.kind === 'connection') {
      this.#goneInRow = 0;
      const { fd, peer, local } = result;
      const refusal = hosted.admission?.refusalOf(peer, slot, performance.now()) ?? null;
      if (refusal !== null) return this.#refuse(result, hosted, slot, refusal);
      return this.serve({ id: nextId(), hosted, listener, fd, peer, local, slot, handler: hosted.handler });
    }
    slots.putBack(slot);
    return this.#onNothing(listener, result);
  }

  /** It was let in no further than the door: nobody waits for the slot that it has not used. */
  #refuse(client: Accepted, hosted: Hosted, slot: Slot, refusal: Refusal): Outcome {
    this.#parts.slots.putBack(slot);
    this.#parts.endings.turnAway(client, hosted, refusal);
    return 'more';
  }

  /** One that is on its way out is emptied as fast as it goes. */
  #isTooFast({ owner, phase }: HostedListener): boolean {
    return phase === 'open' && (owner.admission?.waitMs(performance.now()) ?? 0) > 0;
  }

  /** That there is no token concerns nobody before the next client comes. */
  #waitForToken(listener: HostedListener): Outcome {
    if (!addon.hasWaiting(listener.fd)) return 'empty';
    this.#parts.pauses.pause(listener, 'rate', listener.owner.admission?.waitMs(performance.now()) ?? 0);
    return 'paused';
  }

  #waitForEnds(listener: HostedListener): Outcome {
    this.#parts.pauses.pause(listener, 'closing');
    return 'paused';
  }

  #onFull(listener: HostedListener, full: Gate): Outcome {
    const { owner } = listener;
    if (owner.service.whenFull === 'wait') return this.#leaveWaiting(listener, full);
    const result = acceptFrom(listener);
    if (result.kind !== 'connection') return this.#onNothing(listener, result);
    this.#goneInRow = 0;
    this.#parts.endings.turnAway(result, owner, refusalWhenFull(full));
    return 'more';
  }

  /** The last slot is taken; that concerns nobody before the next client comes. */
  #leaveWaiting(listener: HostedListener, { whenFull }: Gate): Outcome {
    if (!addon.hasWaiting(listener.fd)) return 'empty';
    this.#parts.pauses.pause(listener, whenFull);
    return 'paused';
  }

  #onNothing(listener: HostedListener, result: Exclude<AcceptResult, Accepted>): Outcome {
    if (result.kind === 'empty') return 'empty';
    this.#goneInRow = result.fault === 'gone' ? this.#goneInRow + 1 : 0;
    if (result.fault === 'gone' && this.#goneInRow < MOST_GONE) return 'more';
    if (result.fault === 'broken' && listener.phase === 'open' && !isUsable(listener)) return 'empty';
    this.#parts.pauses.pause(listener, reasonOf(result.code));
    return 'paused';
  }

  /** Ready, and nobody there: a socket that was destroyed (`ss -K`), or shut down by whoever has it too, would wake us for ever. */
  #onNobody(listener: HostedListener): void {
    if (isUsable(listener)) return;
    if (listener.phase === 'open') this.#parts.replacer.replaceDestroyed(listener);
    else this.#parts.pauses.pause(listener, 'accept');
  }
}

/** Clients of a Unix socket may have put something into it that cannot be closed. Of a passed one the family need not be known. */
function isHeldUp({ address: { family }, fd, owner }: HostedListener): boolean {
  const isHeldUpByClients = (family === 'unix' || family === 'passed') && addon.hasTooManyEnding(fd);
  return isHeldUpByClients || owner.handler.isHeldUp === true;
}

function reasonOf(code: string): PauseReason {
  if (code === 'EMFILE' || code === 'ENFILE') return 'open-files';
  return code === 'ENOMEM' || code === 'ENOBUFS' ? 'memory' : 'accept';
}
