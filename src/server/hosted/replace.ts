/**
 * A listener whose socket is of no use any more is bound anew at the same address. Clients in its queue are lost with it. Where
 * somebody else keeps the address (who was left behind by a child that was lent a datagram socket), it is tried until he goes.
 */
import { withSharedPort } from '../../listener/options';
import { isUsable, wasLent, type Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { addon } from '../../native/addon';
import { asSystemError, describeSystemError } from '../../native/system-error';
import type { SocketAddress } from '../../service/address';
import type { SocketOptions } from '../../service/service';
import type { Hosted, HostedListener } from './hosted';
import { logFailed, logListening } from './listening';

/** Of a passed socket there is only one. */
const SPOILT = 'the socket that was passed to stdiod is in a state in which it cannot be used';
/** Whoever a child has left behind with it could make our accept wait. */
const FOREIGN = 'the socket that was passed to stdiod was lent to a program: stdiod does not accept from it by itself';

/** Between two attempts to bind; it doubles up to the last. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;
/** Whoever destroys one after the other has us bind so often and no more. */
const REST_MS = 250;

type Uses = 'open' | 'close' | 'letGo' | 'holdFor' | 'change' | 'giveWay' | 'sharePort';

export class Replacer {
  readonly #listeners: Pick<Listeners<Hosted>, Uses>;
  readonly #emit: Emit;
  readonly #onClosed: (listener: HostedListener) => void;

  /** @param onClosed the old one is gone: what is known of it can be forgotten */
  constructor(listeners: Pick<Listeners<Hosted>, Uses>, emit: Emit, onClosed: (listener: HostedListener) => void) {
    this.#listeners = listeners;
    this.#emit = emit;
    this.#onClosed = onClosed;
  }

  /**
   * One that is on its way out is only closed; one that somebody else has bound for us is made to listen again, or given up where
   * its service accepts by itself and a child has had it.
   */
  replace(listener: HostedListener): void {
    this.#renew(listener);
  }

  /** As `replace`, for one that is in service and was destroyed from outside. */
  replaceDestroyed(listener: HostedListener): void {
    const fresh = this.#renew(listener);
    if (fresh === null) return;
    this.#listeners.holdFor(fresh, 'resting', REST_MS);
    logFailed(this.#emit, fresh, { verb: 'accept', error: 'the socket was destroyed', action: 'bound anew' });
  }

  /** @returns what listens in its place, which may be itself; null: nobody */
  #renew(listener: HostedListener): HostedListener | null {
    const isOurs = listener.socket.origin.kind !== 'passed';
    const isForeign = !listener.owner.service.wait && wasLent(listener);
    if (!isOurs && !isForeign && this.#isRepaired(listener)) return listener;
    const isWanted = listener.phase === 'open';
    const beside = isWanted ? this.#openBeside(listener) : null;
    this.#listeners.close(listener);
    this.#onClosed(listener);
    if (beside !== null) return this.#put(beside, listener);
    if (isWanted && isOurs) return this.#reopen(listener, FIRST_RETRY_MS);
    if (isWanted) this.#logLost(listener, isForeign ? FOREIGN : SPOILT, 'not served until stdiod starts anew');
    return null;
  }

  #isRepaired(listener: HostedListener): boolean {
    try {
      this.#listeners.change(listener, listener.owner.service.socket);
    } catch (error) {
      asSystemError(error);
    }
    return addon.dropFilter(listener.fd) && isUsable(listener);
  }

  /**
   * While the old one is still bound: nobody else can take the port, and no client finds nobody there. Not with datagrams: there the
   * kernel would go on sending some of them to whoever has the old one still. null: it cannot be done.
   */
  #openBeside(old: HostedListener): HostedListener | null {
    const { owner, socket } = old;
    const isTcp = socket.origin.kind === 'bound' && 'port' in socket.address && socket.address.type === 'stream';
    if (!isTcp || !owner.listeners.includes(old)) return null;
    const options = owner.service.socket;
    try {
      this.#listeners.giveWay(old, true);
      const fresh = this.#listeners.open(addressOf(old), withSharedPort(options), owner);
      this.#takePort(fresh, options);
      return fresh;
    } catch (error) {
      asSystemError(error);
      return null;
    }
  }

  #takePort(fresh: HostedListener, options: SocketOptions): void {
    try {
      this.#listeners.sharePort(fresh, options, false);
    } catch (error) {
      this.#listeners.close(fresh);
      throw error;
    }
  }

  #put(fresh: HostedListener, old: HostedListener): HostedListener {
    const { owner } = old;
    owner.listeners = owner.listeners.map((listener) => (listener === old ? fresh : listener));
    this.#listeners.letGo(fresh, 'new');
    return fresh;
  }

  /** Binds the address of one that is closed, and puts the new one in its place, now or later. */
  #reopen(closed: HostedListener, retryMs: number): HostedListener | null {
    const { owner } = closed;
    if (!owner.listeners.includes(closed)) return null;
    try {
      return this.#put(this.#listeners.open(addressOf(closed), owner.service.socket, owner), closed);
    } catch (error) {
      const text = describeSystemError(asSystemError(error));
      if (retryMs === FIRST_RETRY_MS) this.#logLost(closed, text, 'tried again until it can be bound');
      this.#reopenLater(closed, retryMs);
      return null;
    }
  }

  #reopenLater(closed: HostedListener, retryMs: number): void {
    const retry = (): void => {
      const fresh = this.#reopen(closed, Math.min(2 * retryMs, LAST_RETRY_MS));
      if (fresh !== null) logListening(this.#emit, fresh);
    };
    setTimeout(retry, retryMs).unref();
  }

  #logLost(listener: HostedListener, error: string, action: string): void {
    logFailed(this.#emit, listener, { verb: 'listen', error, action });
  }
}

/** Where it is bound anew: the port that the kernel chose stays. */
export function addressOf({ socket: { configured }, address }: HostedListener): SocketAddress {
  return 'port' in configured && 'port' in address ? { ...configured, port: address.port } : configured;
}
