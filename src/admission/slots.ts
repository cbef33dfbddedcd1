/**
 * Permission for one more child. A slot is taken before accept, at the service's gate and at the server's together, and
 * remembers where; it has one owner at any time and is given back once. Pure counting: no sockets, no clock, no log.
 */

/** Why nobody is let in. full: the service has all its children. server-full: stdiod has. */
export type FullReason = 'full' | 'server-full';

/** How many there are and may be. A reload may lower `limit` below `inUse`: then nobody is admitted for a while. */
export interface Gate {
  readonly whenFull: FullReason;
  limit: number;
  inUse: number;
}

/** Empty once it was given back. */
export interface Slot {
  gates: readonly Gate[];
}

/** No slot: the next client has to wait, or is refused, as its service says. */
export interface Full {
  readonly full: Gate;
}

const NONE: readonly Gate[] = [];

export function serviceGate(limit: number): Gate {
  return { whenFull: 'full', limit, inUse: 0 };
}

export class Slots {
  /** All services together. */
  readonly server: Gate;
  readonly #gates = new WeakMap<Gate, readonly Gate[]>();
  /** Where somebody has left since this was last asked for. */
  #freed = new Set<Gate>();

  constructor(serverLimit: number) {
    this.server = { whenFull: 'server-full', limit: serverLimit, inUse: 0 };
  }

  take(service: Gate): Slot | Full {
    return service.inUse >= service.limit ? { full: service } : this.takeBeyond(service);
  }

  /** For a socket of a `wait` service: that it has at most one child is its own limit, whoever else the service has. */
  takeBeyond(service: Gate): Slot | Full {
    const { server } = this;
    if (server.inUse >= server.limit) return { full: server };
    service.inUse += 1;
    server.inUse += 1;
    return { gates: this.#gatesOf(service) };
  }

  /** One list for all slots of a service: it is kept for as long as each child lives. */
  #gatesOf(service: Gate): readonly Gate[] {
    const known = this.#gates.get(service);
    if (known !== undefined) return known;
    const gates = [service, this.server];
    this.#gates.set(service, gates);
    return gates;
  }

  /** The holder has left, and may make room for somebody who waits. */
  release(slot: Slot): void {
    for (const gate of slot.gates) this.#freed.add(gate);
    this.putBack(slot);
  }

  /** Taken, and not used after all: that is no room for anybody. */
  putBack(slot: Slot): void {
    if (slot.gates.length === 0) throw new Error('a slot was given back twice');
    for (const gate of slot.gates) gate.inUse -= 1;
    slot.gates = NONE;
  }

  /** The gates at which there may be room now; asked for again, none. */
  takeFreed(): ReadonlySet<Gate> {
    const freed = this.#freed;
    if (freed.size > 0) this.#freed = new Set();
    return freed;
  }
}

export function isFull(answer: Slot | Full): answer is Full {
  return 'full' in answer;
}
