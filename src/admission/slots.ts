/**
 * Permission for one more child. A slot is taken before accept, at the service's gate and at the server's together, and
 * remembers where; it has one owner at any time and is given back once. Pure counting: no sockets, no clock, no log.
 */

/** Why nobody is let in. full: the service has all its children. server-full: stdiod has. */
export type FullReason = 'full' | 'server-full';

/** Why a client is refused, where nobody waits. */
export interface Refused {
  readonly reason: 'service-limit' | 'server-limit';
  readonly limit: number;
}

/** How many there are and may be. A reload may lower `limit` below `inUse`: then nobody is admitted for a while. */
export interface Gate {
  readonly whenFull: FullReason;
  limit: number;
  inUse: number;
  /** How many of those each peer has, of services that count them: never more peers than there are slots in use. */
  readonly peers: Map<string, number>;
}

/** Empty once it was given back. */
export interface Slot {
  gates: readonly Gate[];
  /** Under which name its holder is counted at the service's gate; null: it is not. */
  peer: string | null;
}

/** No slot: the next client has to wait, or is refused, as its service says. */
export interface Full {
  readonly full: Gate;
}

const NONE: readonly Gate[] = [];

export function serviceGate(limit: number): Gate {
  return { whenFull: 'full', limit, inUse: 0, peers: new Map() };
}

export class Slots {
  /** All services together. */
  readonly server: Gate;
  readonly #gates = new WeakMap<Gate, readonly Gate[]>();
  /** Where somebody has left since this was last asked for. */
  #freed = new Set<Gate>();

  constructor(serverLimit: number) {
    this.server = { whenFull: 'server-full', limit: serverLimit, inUse: 0, peers: new Map() };
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
    return { gates: this.#gatesOf(service), peer: null };
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
    if (slot.peer !== null) uncount(slot, slot.peer);
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

/** Of a service that does not let its clients wait. */
export function refusalWhenFull({ whenFull, limit }: Gate): Refused {
  return { reason: whenFull === 'full' ? 'service-limit' : 'server-limit', limit };
}

/** From now on the slot is this peer's. @returns false: the peer has so many already, and the slot is nobody's */
export function countPeer(slot: Slot, peer: string, most: number): boolean {
  const peers = slot.gates[0]?.peers;
  const count = peers?.get(peer) ?? 0;
  if (count >= most) return false;
  peers?.set(peer, count + 1);
  slot.peer = peer;
  return true;
}

function uncount(slot: Slot, peer: string): void {
  const peers = slot.gates[0]?.peers;
  const count = peers?.get(peer) ?? 0;
  if (count > 1) peers?.set(peer, count - 1);
  else peers?.delete(peer);
  slot.peer = null;
}
