/**
 * Which listeners there are of ours, by what they are known by: those in service, and those on their way out, which are put back when
 * they are wanted. What is asked of the machine is asked when one is looked for, and who is there may change between two questions:
 * a listener that is lost has another in its place.
 */
import type { Listeners } from '../../listener/listener';
import type { SocketAddress } from '../../service/address';
import type { Hosted, HostedListener } from '../hosted/hosted';
import type { ListenKeys } from './open-listeners';

interface Place {
  readonly hosted: Hosted;
  /** In its `listeners`. */
  readonly at: number;
}

export class Existing {
  readonly #listeners: Pick<Listeners<Hosted>, 'isInPlace'>;
  readonly #places = new Map<string, Place>();
  readonly #retired: ReadonlyMap<string, HostedListener>;

  /** @param scope whose listeners count */
  constructor(
    scope: readonly Hosted[],
    retired: Iterable<HostedListener>,
    keys: ListenKeys,
    listeners: Pick<Listeners<Hosted>, 'isInPlace'>,
  ) {
    this.#listeners = listeners;
    for (const hosted of scope) for (const [at, key] of hosted.keys.entries()) this.#places.set(key, { hosted, at });
    const revivable = [...retired].filter((listener) => !hasLostPath(listener));
    this.#retired = new Map(revivable.map((listener) => [keys.ofAddress(namedBy(listener)), listener]));
  }

  /**
   * null: there is none. One whose path or interface was taken from it is no listener of that address any more: it is bound anew,
   * and this one retired.
   */
  find(key: string): HostedListener | null {
    const place = this.#places.get(key);
    const own = place?.hosted.listeners[place.at];
    if (own?.phase === 'open' && this.#listeners.isInPlace(own)) return own;
    const leaving = this.#retired.get(key);
    return leaving?.phase === 'retired' && this.#listeners.isInPlace(leaving) ? leaving : null;
  }

  /** Those that nobody wants any more. */
  besides(wanted: ReadonlySet<string>): HostedListener[] {
    const others = [...this.#places].filter(([key]) => !wanted.has(key));
    const leaving = [...this.#retired].filter(([key]) => !wanted.has(key) && !this.#places.has(key));
    const listeners = [...others.map(([, { hosted, at }]) => hosted.listeners[at]), ...leaving.map(([, each]) => each)];
    return listeners.filter((listener) => listener !== undefined);
  }
}

/** A Unix socket gave its path up when it was retired. */
function hasLostPath({ socket }: HostedListener): boolean {
  return socket.origin.kind === 'path';
}

/** A passed socket is wanted by its name, any other by what it is bound to. */
function namedBy({ socket }: HostedListener): SocketAddress {
  return socket.origin.kind === 'passed' ? socket.configured : socket.address;
}
