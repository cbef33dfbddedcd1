/**
 * A listener whose socket is of no use any more is bound anew at the same address. Clients in its queue are lost with it.
 */
import type { Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { asSystemError, describeSystemError } from '../../native/system-error';
import { formatAddress, type SocketAddress } from '../../service/address';
import type { Hosted, HostedListener } from './hosted';

export class Replacer {
  readonly #listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'letGo'>;
  readonly #emit: Emit;
  readonly #onClosed: (listener: HostedListener) => void;

  /** @param onClosed the old one is gone: what is known of it can be forgotten */
  constructor(
    listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'letGo'>,
    emit: Emit,
    onClosed: (listener: HostedListener) => void,
  ) {
    this.#listeners = listeners;
    this.#emit = emit;
    this.#onClosed = onClosed;
  }

  /** One that is on its way out is only closed. */
  replace(listener: HostedListener): void {
    const isWanted = listener.phase === 'open';
    this.#listeners.close(listener);
    this.#onClosed(listener);
    if (isWanted) this.reopen(listener);
  }

  /** Binds the address of one that is closed, and puts the new one in its place. */
  reopen(closed: HostedListener): void {
    const { owner } = closed;
    const at = owner.listeners.indexOf(closed);
    if (at < 0) return;
    try {
      const fresh = this.#listeners.open(addressOf(closed), owner.service.socket, owner);
      owner.listeners = owner.listeners.with(at, fresh);
      this.#listeners.letGo(fresh, 'new');
    } catch (error) {
      this.#tellFailed(closed, error);
    }
  }

  #tellFailed({ owner, address }: HostedListener, error: unknown): void {
    const text = describeSystemError(asSystemError(error));
    const [service, where] = [owner.service.name, formatAddress(address)];
    const action = 'not served until the next reload';
    this.#emit({ event: 'failed', verb: 'listen', address: where, service, error: text, action });
  }
}

/** The port that the kernel chose stays. */
function addressOf({ socket: { configured }, address }: HostedListener): SocketAddress {
  return 'port' in configured && 'port' in address ? { ...configured, port: address.port } : configured;
}
