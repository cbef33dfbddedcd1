/**
 * A listener whose socket is of no use any more is bound anew at the same address. Clients in its queue are lost with it.
 */
import type { Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { addon } from '../../native/addon';
import { asSystemError, describeSystemError } from '../../native/system-error';
import { formatAddress, type SocketAddress } from '../../service/address';
import type { Hosted, HostedListener } from './hosted';

/** Of a passed socket there is only one. */
const SPOILT = 'a child has left the socket that was passed to stdiod in a state in which it cannot be used';

export class Replacer {
  readonly #listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'letGo' | 'change'>;
  readonly #emit: Emit;
  readonly #onClosed: (listener: HostedListener) => void;

  /** @param onClosed the old one is gone: what is known of it can be forgotten */
  constructor(
    listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'letGo' | 'change'>,
    emit: Emit,
    onClosed: (listener: HostedListener) => void,
  ) {
    this.#listeners = listeners;
    this.#emit = emit;
    this.#onClosed = onClosed;
  }

  /** One that is on its way out is only closed; one that somebody else has bound for us is made to listen again. */
  replace(listener: HostedListener): void {
    const isOurs = listener.socket.origin.kind !== 'passed';
    if (!isOurs && this.#isRepaired(listener)) return;
    const isWanted = listener.phase === 'open';
    // What a child has left behind may listen there still, and would keep the port from us.
    if (isOurs && listener.wasLent) addon.stopListening(listener.fd);
    this.#listeners.close(listener);
    this.#onClosed(listener);
    if (isWanted && isOurs) this.#reopen(listener);
    else if (isWanted) this.#logFailed(listener, SPOILT, 'not served until stdiod starts anew');
  }

  #isRepaired(listener: HostedListener): boolean {
    try {
      this.#listeners.change(listener, listener.owner.service.socket);
    } catch (error) {
      asSystemError(error);
    }
    try {
      return addon.isUsable(listener.fd, listener.address.type === 'datagram');
    } catch (error) {
      asSystemError(error);
      return false;
    }
  }

  /** Binds the address of one that is closed, and puts the new one in its place. */
  #reopen(closed: HostedListener): void {
    const { owner } = closed;
    const at = owner.listeners.indexOf(closed);
    if (at < 0) return;
    try {
      const fresh = this.#listeners.open(addressOf(closed), owner.service.socket, owner);
      owner.listeners = owner.listeners.with(at, fresh);
      this.#listeners.letGo(fresh, 'new');
    } catch (error) {
      this.#logFailed(closed, describeSystemError(asSystemError(error)), 'not served until the next reload');
    }
  }

  #logFailed({ owner, address }: HostedListener, error: string, action: string): void {
    const [service, where] = [owner.service.name, formatAddress(address)];
    this.#emit({ event: 'failed', verb: 'listen', address: where, service, error, action });
  }
}

/** The port that the kernel chose stays. */
function addressOf({ socket: { configured }, address }: HostedListener): SocketAddress {
  return 'port' in configured && 'port' in address ? { ...configured, port: address.port } : configured;
}
