/**
 * Our bound sockets: open, pause, resume, accept, close. `server` opens them and hears which have a client waiting.
 * A listener knows nothing of programs or limits; `owner` is whatever the server hangs on it.
 */
import { addon, POLLER_BATCH, type AcceptedSocket, type Fd, type ListenerOptions, type Poller } from '../native/addon';
import { asSystemError } from '../native/system-error';
import type { SocketAddress } from '../service/address';
import { classifyAcceptError, type AcceptFault } from './accept-errors';

export interface Listener<Owner> {
  readonly fd: Fd;
  /** With the port that the kernel chose, where the configuration left it open. */
  readonly address: SocketAddress;
  owner: Owner;
  /** In the poll set. A paused listener keeps its queue in the kernel. */
  isWatched: boolean;
  isClosed: boolean;
}

export type AcceptResult =
  | { readonly kind: 'connection'; readonly socket: AcceptedSocket }
  | { readonly kind: 'empty' }
  | { readonly kind: 'fault'; readonly fault: AcceptFault; readonly code: string };

const EMPTY: AcceptResult = { kind: 'empty' };

export class Listeners<Owner> {
  readonly #byFd = new Map<number, Listener<Owner>>();
  readonly #ready = new Int32Array(POLLER_BATCH);
  readonly #onReadable: (listener: Listener<Owner>) => void;
  readonly #poller: Poller;

  constructor(onReadable: (listener: Listener<Owner>) => void) {
    this.#onReadable = onReadable;
    this.#poller = addon.openPoller(this.#ready, (count) => {
      this.#onReady(count);
    });
  }

  /** Binds and listens, but does not accept yet: `resume` does. @throws SystemError of socket, bind or listen */
  open(address: SocketAddress, options: ListenerOptions, owner: Owner): Listener<Owner> {
    const { fd, port } = addon.openListener(address.address, address.port, options);
    const listener = { fd, address: { ...address, port }, owner, isWatched: false, isClosed: false };
    this.#byFd.set(fd, listener);
    return listener;
  }

  pause(listener: Listener<Owner>): void {
    if (!listener.isWatched) return;
    this.#poller.unwatch(listener.fd);
    listener.isWatched = false;
  }

  resume(listener: Listener<Owner>): void {
    if (listener.isWatched || listener.isClosed) return;
    this.#poller.watch(listener.fd);
    listener.isWatched = true;
  }

  /** Resets the clients that are still in the queue: accept them first. */
  close(listener: Listener<Owner>): void {
    if (listener.isClosed) return;
    this.pause(listener);
    this.#byFd.delete(listener.fd);
    listener.isClosed = true;
    addon.close(listener.fd);
  }

  closePoller(): void {
    this.#poller.close();
  }

  /** A listener that an earlier one's clients caused to be closed or paused is passed over. */
  #onReady(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const listener = this.#byFd.get(this.#ready[index] ?? -1);
      if (listener?.isWatched) this.#onReadable(listener);
    }
  }
}

/** Takes one client from the queue. */
export function acceptFrom<Owner>(listener: Listener<Owner>): AcceptResult {
  try {
    const socket = addon.accept(listener.fd);
    return socket === null ? EMPTY : { kind: 'connection', socket };
  } catch (error) {
    return explain(listener, asSystemError(error).code);
  }
}

/** accept4 looks for a free descriptor before it looks at the queue: without one it fails even when nobody waits. */
function explain<Owner>(listener: Listener<Owner>, code: string): AcceptResult {
  const fault = classifyAcceptError(code);
  if (fault === 'tired' && !addon.hasWaiting(listener.fd)) return EMPTY;
  return { kind: 'fault', fault, code };
}
