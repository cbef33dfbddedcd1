/**
 * `0.0.0.0:80` becomes `127.0.0.1:80`: the kernel lets nobody bind the one beside the other, unless both sockets share their
 * port. For the moment of the bind they do: the new one is bound while the old one still serves, so nobody is refused, and
 * the old one is as it was when that fails. `unix:/path` becomes `unix-seqpacket:/path`: one path has one socket, so the old one steps
 * aside, and back again when the new one fails, or is given up later on.
 */
import type { Listeners } from '../../listener/listener';
import { withSharedPort } from '../../listener/options';
import { asSystemError, type SystemError } from '../../native/system-error';
import type { SocketAddress } from '../../service/address';
import type { SocketOptions } from '../../service/service';
import type { Hosted, HostedListener } from '../hosted/hosted';

export type Rebinds = Pick<Listeners<Hosted>, 'open' | 'close' | 'sharePort' | 'giveWay' | 'isInPlace'>;

/** What is to be bound. */
export interface Wanted {
  readonly address: SocketAddress;
  readonly options: SocketOptions;
  readonly owner: Hosted;
}

export class Rebinder {
  readonly #listeners: Rebinds;
  readonly #goers: () => readonly HostedListener[];
  /** Those of the goers that share what makes them stand in somebody's way; made anew where one was closed meanwhile. */
  #byCause: ReadonlyMap<string, readonly HostedListener[]> | null = null;
  /** Another one of ours has their path. */
  readonly #displaced = new Set<HostedListener>();

  /** @param goers our listeners that nobody wants any more: one of them may be what stands in the way */
  constructor(listeners: Rebinds, goers: () => readonly HostedListener[]) {
    this.#listeners = listeners;
    this.#goers = goers;
  }

  /** null: nobody of ours stands in its way. */
  open(wanted: Wanted): HostedListener | SystemError | null {
    const blockers = this.#blockersOf(wanted.address).filter((listener) => this.#listeners.isInPlace(listener));
    const aside = blockers.filter((listener) => this.#hasGivenWay(listener, true));
    if (aside.length === 0) return null;
    let opened: HostedListener | SystemError | null = null;
    try {
      return (opened = this.#openSharing(wanted));
    } finally {
      const isThere = opened !== null && 'fd' in opened;
      for (const listener of aside) this.#takeBack(listener, isThere);
    }
  }

  /** Those who stepped aside have their path again, where nobody has it by now. */
  restore(): void {
    for (const listener of this.#displaced) this.restoreOne(listener);
  }

  restoreOne(listener: HostedListener): void {
    if (this.#displaced.delete(listener) && listener.phase !== 'closed') this.#hasGivenWay(listener, false);
  }

  /** A wildcard and one of its own addresses exclude each other without being the same; so do sockets of two types at one path. */
  #blockersOf(address: SocketAddress): readonly HostedListener[] {
    const cause = causeOf(address);
    if (cause === null) return [];
    const known = this.#byCause?.get(cause) ?? [];
    const isKnown = this.#byCause !== null && known.every(({ phase }) => phase !== 'closed');
    if (!isKnown) this.#byCause = groupByCause(this.#goers());
    return this.#byCause?.get(cause) ?? [];
  }

  /** One that cannot is left as it is, and the others need not stay aside for it. */
  #hasGivenWay(listener: HostedListener, isGiven: boolean): boolean {
    try {
      this.#listeners.giveWay(listener, isGiven);
      return true;
    } catch (error) {
      asSystemError(error);
      return false;
    }
  }

  /** Its port an old one has at once to itself again; a path it keeps in reserve until the new one is there to stay. */
  #takeBack(listener: HostedListener, isThere: boolean): void {
    if (isThere && listener.socket.origin.kind === 'path') this.#displaced.add(listener);
    else this.#hasGivenWay(listener, false);
  }

  #openSharing({ address, options, owner }: Wanted): HostedListener | SystemError {
    try {
      const fresh = this.#listeners.open(address, withSharedPort(options), owner);
      return this.#withoutSharing(fresh, options);
    } catch (error) {
      return asSystemError(error);
    }
  }

  /** One that would go on sharing its port is not kept. */
  #withoutSharing(fresh: HostedListener, options: SocketOptions): HostedListener {
    try {
      this.#listeners.sharePort(fresh, options, false);
      return fresh;
    } catch (error) {
      this.#listeners.close(fresh);
      throw error;
    }
  }
}

function groupByCause(listeners: readonly HostedListener[]): ReadonlyMap<string, readonly HostedListener[]> {
  const groups = new Map<string, HostedListener[]>();
  for (const listener of listeners) {
    const cause = causeOf(listener.address);
    const isOurs = !('path' in listener.address) || listener.socket.origin.kind === 'path';
    if (cause === null || !isOurs || listener.phase === 'closed') continue;
    const group = groups.get(cause);
    if (group === undefined) groups.set(cause, [listener]);
    else group.push(listener);
  }
  return groups;
}

/** Two addresses of which that is the same may exclude each other; null: those that are not the same never do. */
function causeOf(address: SocketAddress): string | null {
  if ('path' in address) return address.path;
  return 'address' in address ? `${address.family} ${address.type} ${address.port}` : null;
}
