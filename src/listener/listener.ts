/**
 * Our bound sockets: open, pause, resume, accept, close. `server` opens them and hears which have a client waiting.
 * A listener knows nothing of programs or limits; `owner` is whatever the server hangs on it.
 */
import { addon, POLLER_BATCH, type AcceptedSocket, type Fd, type Poller } from '../native/addon';
import { asSystemError } from '../native/system-error';
import type { SocketAddress } from '../service/address';
import type { LocalEnd, Peer } from '../service/peer';
import type { SocketOptions } from '../service/service';
import { classifyAcceptError, type AcceptFault } from './accept-errors';
import { bindSocket, type BoundSocket } from './bind';

export interface Listener<Owner> extends BoundSocket {
  /** As configured: port 0 where the kernel chose, `fd:NAME` where the socket was passed. */
  readonly configured: SocketAddress;
  owner: Owner;
  /** In the poll set. A paused listener keeps its queue in the kernel. */
  isWatched: boolean;
  /** A child of a `wait` service has it. */
  isLent: boolean;
  /** A child of a `wait` service came back without having taken anything: for a while nobody is started. */
  isResting: boolean;
  /** On its way out: nothing is made anew for it. */
  isRetired: boolean;
  isClosed: boolean;
}

export type AcceptResult =
  | { readonly kind: 'connection'; readonly fd: Fd; readonly peer: Peer; readonly local: LocalEnd }
  | { readonly kind: 'empty' }
  | { readonly kind: 'fault'; readonly fault: AcceptFault; readonly code: string };

/** Between two attempts to watch a listener. */
const RETRY_MS = 250;

const NEW = { isWatched: false, isLent: false, isResting: false, isRetired: false, isClosed: false };

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
  open(address: SocketAddress, options: SocketOptions, owner: Owner): Listener<Owner> {
    const socket = bindSocket(address, options);
    const listener = { ...socket, configured: address, owner, ...NEW };
    this.#byFd.set(listener.fd, listener);
    return listener;
  }

  pause(listener: Listener<Owner>): void {
    if (!listener.isWatched) return;
    this.#poller.unwatch(listener.fd);
    listener.isWatched = false;
  }

  /** Does nothing for one that is lent or rests: who ends that resumes it. */
  resume(listener: Listener<Owner>): void {
    if (listener.isWatched || listener.isClosed || listener.isLent || listener.isResting) return;
    try {
      this.#poller.watch(listener.fd);
      listener.isWatched = true;
    } catch (error) {
      // Out of memory, or of epoll watches (a limit of the user, not of this process): its queue waits with it.
      asSystemError(error);
      setTimeout(() => {
        this.resume(listener);
      }, RETRY_MS);
    }
  }

  /** Resets the clients that are still in the queue: accept them first. */
  close(listener: Listener<Owner>): void {
    if (listener.isClosed) return;
    this.pause(listener);
    if (this.#byFd.get(listener.fd) === listener) this.#byFd.delete(listener.fd);
    listener.isClosed = true;
    listener.release();
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
    return socket === null ? EMPTY : { kind: 'connection', fd: socket.fd, ...endsOf(listener.address, socket) };
  } catch (error) {
    return explain(listener, asSystemError(error).code);
  }
}

/** A Unix socket is known by the path that it was configured with: it may have been bound under another one. */
function endsOf(listening: SocketAddress, socket: AcceptedSocket): { peer: Peer; local: LocalEnd } {
  const { peerAddress: address, peerPort: port, localAddress, localPort } = socket;
  if (listening.family === 'unix') {
    const { pid = 0, uid = 0, gid = 0 } = socket;
    const peer: Peer = { family: 'unix', path: address, credentials: { pid, uid, gid } };
    return { peer, local: { address: listening.path, port: 0 } };
  }
  const family = listening.family === 'passed' ? 'ipv4' : listening.family;
  return { peer: { family, address, port }, local: { address: localAddress, port: localPort } };
}

/** accept4 looks for a free descriptor before it looks at the queue: without one it fails even when nobody waits. */
function explain<Owner>(listener: Listener<Owner>, code: string): AcceptResult {
  const fault = classifyAcceptError(code);
  if (fault === 'tired' && !addon.hasWaiting(listener.fd)) return EMPTY;
  return { kind: 'fault', fault, code };
}
