/**
 * Permission for one more child: a slot of the service and one of the whole server, taken together before accept and given
 * back when the child is reaped (or the connection came to nothing). Pure counting: no sockets, no clock, no log.
 */

/** How many children a service has and may have. A reload may lower `limit` below `inUse`: then nobody is admitted for a while. */
export interface Gate {
  limit: number;
  inUse: number;
}

/** full: the service has all its children. server-full: stdiod has. */
export type Verdict = 'admit' | 'full' | 'server-full';

export class Slots {
  /** All services together. */
  readonly server: Gate;

  constructor(serverLimit: number) {
    this.server = { limit: serverLimit, inUse: 0 };
  }

  check(service: Gate): Verdict {
    if (service.inUse >= service.limit) return 'full';
    return this.server.inUse >= this.server.limit ? 'server-full' : 'admit';
  }

  /** Takes a slot when the verdict is `admit`, and nothing else. */
  take(service: Gate): Verdict {
    const verdict = this.check(service);
    if (verdict !== 'admit') return verdict;
    service.inUse += 1;
    this.server.inUse += 1;
    return verdict;
  }

  release(service: Gate): void {
    if (service.inUse === 0 || this.server.inUse === 0) throw new Error('a slot was released twice');
    service.inUse -= 1;
    this.server.inUse -= 1;
  }
}
