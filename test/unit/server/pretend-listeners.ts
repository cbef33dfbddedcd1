/**
 * Listeners without a kernel: a set of bound addresses, with the kernel's answer for one that is taken.
 */
import type { Listener, Listeners } from '../../../src/listener/listener';
import type { Fd } from '../../../src/native/addon';
import { formatAddress, type SocketAddress } from '../../../src/service/address';
import type { Hosted } from '../../../src/server/hosted';

const FIRST_CHOICE = 40000;
const nothing = (): undefined => undefined;
const NO_TRAFFIC = { holdOff: nothing, welcome: nothing, release: nothing, change: nothing };

export class PretendListeners {
  /** In the order in which they were bound; those that were closed are gone. */
  readonly bound = new Map<string, Listener<Hosted>>();
  /** Addresses that somebody else holds. */
  readonly taken = new Set<string>();
  #lastFd = 1023;
  #lastPort = FIRST_CHOICE - 1;

  /** What the code under test asks for: the class has private fields, which only itself can have. */
  get asListeners(): Listeners<Hosted> {
    return this as unknown as Listeners<Hosted>;
  }

  get addresses(): string[] {
    return [...this.bound.keys()];
  }

  open(address: SocketAddress, _options: unknown, owner: Hosted): Listener<Hosted> {
    const actual = this.#withPort(address);
    const key = formatAddress(actual);
    if (this.taken.has(key) || this.bound.has(key)) {
      throw Object.assign(new Error(key), { code: 'EADDRINUSE', syscall: 'bind' });
    }
    const fd = (this.#lastFd += 1) as Fd;
    const state = { isWatched: false, isLent: false, isResting: false, isRetired: false, isClosed: false };
    const listener = { fd, address: actual, configured: address, owner, ...state, ...NO_TRAFFIC };
    this.bound.set(key, listener);
    return listener;
  }

  close(listener: Listener<Hosted>): void {
    listener.isClosed = true;
    this.bound.delete(formatAddress(listener.address));
  }

  pause(listener: Listener<Hosted>): void {
    listener.isWatched = false;
  }

  resume(listener: Listener<Hosted>): void {
    listener.isWatched = true;
  }

  #withPort(address: SocketAddress): SocketAddress {
    return 'port' in address && address.port === 0 ? { ...address, port: (this.#lastPort += 1) } : address;
  }
}
