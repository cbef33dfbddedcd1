/**
 * Our bound sockets: open, hold, let go, accept, retire, close. A listener is watched while nobody holds it; one that is held
 * keeps its queue in the kernel. It knows nothing of programs or limits; `owner` is whatever the server hangs on it.
 */
import { ACCEPT_FIELDS, addon, type Fd } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { asSystemError } from '../native/system-error';
import type { SocketAddress } from '../service/address';
import type { LocalEnd, Peer } from '../service/peer';
import type { SocketOptions } from '../service/service';
import type { SocketOption } from '../service/socket-options';
import { classifyAcceptError, type AcceptFault } from './accept-errors';
import type { Sockets } from './sockets';
import type { ListeningSocket } from './socket';

/**
 * Why a listener is not watched. new: its service is not installed yet. paused: its next client must wait. lent: a child of a
 * `wait` service has it. resting: a child came back without having taken anything. unwatchable: epoll refused it.
 * pacing: its service has enough children on their way.
 */
const HOLDS = { new: 1, paused: 2, lent: 4, resting: 8, unwatchable: 16, pacing: 32 } as const;

export type Hold = keyof typeof HOLDS;

export interface Listener<Owner> {
  /** Replaced as a whole when it is bound anew. */
  readonly socket: ListeningSocket;
  readonly fd: Fd;
  /** With the port that the kernel chose, where the configuration left it open. */
  readonly address: SocketAddress;
  owner: Owner;
  /** A bit for each hold. */
  holds: number;
  /** retired: on its way out, nothing is made anew for it. */
  phase: 'open' | 'retired' | 'closed';
}

/** Who hears of listeners. */
export interface Audience<Owner> {
  /** A client waits, or a datagram. */
  onReadable(listener: Listener<Owner>): void;
  /** What `onReadable` has thrown; the listener rests for a moment. */
  onFault(listener: Listener<Owner>, error: unknown): void;
}

export type AcceptResult =
  | { readonly kind: 'connection'; readonly fd: Fd; readonly peer: Peer; readonly local: LocalEnd }
  | { readonly kind: 'empty' }
  | { readonly kind: 'fault'; readonly fault: AcceptFault; readonly code: string };

/** Between two attempts to watch a listener. */
const RETRY_MS = 250;

const EMPTY: AcceptResult = { kind: 'empty' };

export class Listeners<Owner> {
  readonly #sockets: Pick<Sockets, keyof Sockets>;
  readonly #pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  readonly #audience: Audience<Owner>;

  constructor(
    sockets: Pick<Sockets, keyof Sockets>,
    pollSet: Pick<PollSet, 'watch' | 'unwatch'>,
    audience: Audience<Owner>,
  ) {
    this.#sockets = sockets;
    this.#pollSet = pollSet;
    this.#audience = audience;
  }

  /** Binds and listens; the hold `new` is the caller's to let go. @throws SystemError of socket, bind or listen */
  open(address: SocketAddress, options: SocketOptions, owner: Owner): Listener<Owner> {
    const socket = this.#sockets.open(address, options);
    return { socket, fd: socket.fd, address: socket.address, owner, holds: HOLDS.new, phase: 'open' };
  }

  hold(listener: Listener<Owner>, why: Hold): void {
    if (listener.holds === 0 && listener.phase !== 'closed') this.#pollSet.unwatch(listener.fd);
    listener.holds |= HOLDS[why];
  }

  letGo(listener: Listener<Owner>, why: Hold): void {
    if (!isHeld(listener, why)) return;
    listener.holds &= ~HOLDS[why];
    if (listener.holds === 0 && listener.phase !== 'closed') this.#watch(listener);
  }

  /**
   * Gives it other options while it serves. @returns those of before that cannot be taken back.
   * @throws SystemError of setsockopt, listen, chmod or chown
   */
  change({ socket }: Listener<Owner>, options: SocketOptions): readonly SocketOption[] {
    return this.#sockets.change(socket, options);
  }

  /** @param options those that it is to have apart from that. @throws SystemError of setsockopt */
  sharePort({ socket }: Listener<Owner>, options: SocketOptions, isShared: boolean): void {
    this.#sockets.sharePort(socket, options, isShared);
  }

  /** Whether it lets another one of ours be bound where it is. @throws SystemError of setsockopt */
  giveWay({ socket }: Listener<Owner>, isGiven: boolean): void {
    this.#sockets.giveWay(socket, isGiven);
  }

  /** Whether clients of its address still come to it: its path leads to it, its interface is still there. */
  isInPlace({ socket }: Listener<Owner>): boolean {
    return this.#sockets.isInPlace(socket);
  }

  /** No new client can reach it, as far as its family allows; those in the queue still can be accepted. */
  retire(listener: Listener<Owner>): void {
    listener.phase = 'retired';
    this.#sockets.holdOff(listener.socket);
  }

  /** It is in service again; new clients reach it after `welcome`. */
  revive(listener: Listener<Owner>): void {
    listener.phase = 'open';
  }

  /** Takes back what `retire` has asked of the kernel. */
  welcome({ socket }: Listener<Owner>): void {
    this.#sockets.welcome(socket);
  }

  /** Resets the clients that are still in the queue: accept them first. */
  close(listener: Listener<Owner>): void {
    if (listener.phase === 'closed') return;
    if (listener.holds === 0) this.#pollSet.unwatch(listener.fd);
    listener.phase = 'closed';
    this.#sockets.close(listener.socket);
  }

  /** Lets go again by itself. */
  holdFor(listener: Listener<Owner>, why: Hold, delayMs: number): void {
    this.hold(listener, why);
    this.#letGoLater(listener, why, delayMs);
  }

  /** Out of memory, or of epoll watches (a limit of the user, not of this process): its queue waits with it. */
  #watch(listener: Listener<Owner>): void {
    try {
      this.#pollSet.watch(listener.fd, {
        onReadable: () => {
          this.#audience.onReadable(listener);
        },
        onFault: (error) => {
          this.holdFor(listener, 'resting', RETRY_MS);
          this.#audience.onFault(listener, error);
        },
      });
    } catch (error) {
      asSystemError(error);
      listener.holds |= HOLDS.unwatchable;
      this.#letGoLater(listener, 'unwatchable', RETRY_MS);
    }
  }

  #letGoLater(listener: Listener<Owner>, why: Hold, delayMs: number): void {
    setTimeout(() => {
      this.letGo(listener, why);
    }, delayMs);
  }
}

export function isHeld<Owner>({ holds }: Listener<Owner>, why: Hold): boolean {
  return (holds & HOLDS[why]) !== 0;
}

/** A child has had it once: it is foreign, and nobody here accepts from it. */
export function wasLent<Owner>({ socket }: Listener<Owner>): boolean {
  return socket.past.borrower !== null;
}

/** Somebody may have shut it down, or destroyed it; or keeps us from looking at it. */
export function isUsable<Owner>({ fd, address }: Listener<Owner>): boolean {
  try {
    return addon.isUsable(fd, address.type === 'datagram');
  } catch (error) {
    asSystemError(error);
    return false;
  }
}

export function isHeldOnly<Owner>({ holds }: Listener<Owner>, why: Hold): boolean {
  return holds === HOLDS[why];
}

/** What accept has written last; read before anything else is accepted. */
const numbers = new Int32Array(ACCEPT_FIELDS);

/** Takes one client from the queue. */
export function acceptFrom<Owner>(listener: Listener<Owner>): AcceptResult {
  try {
    const ends = addon.accept(listener.fd, numbers);
    return ends === null ? EMPTY : connectionOf(listener.address, ends);
  } catch (error) {
    return explain(listener, asSystemError(error).code);
  }
}

function connectionOf(listening: SocketAddress, ends: string): AcceptResult {
  const middle = ends.indexOf('\0');
  const address = ends.slice(0, middle);
  const fd = at(0) as Fd;
  // A Unix socket is known by the path that it was configured with.
  if (listening.family === 'unix') {
    const peer: Peer = {
      family: 'unix',
      path: address,
      credentials: { pid: at(3), uid: at(4) >>> 0, gid: at(5) >>> 0 },
    };
    return { kind: 'connection', fd, peer, local: { address: listening.path, port: 0 } };
  }
  const family = listening.family === 'passed' ? 'ipv4' : listening.family;
  const peer: Peer = { family, address, port: at(1) >>> 0 };
  return { kind: 'connection', fd, peer, local: { address: ends.slice(middle + 1), port: at(2) >>> 0 } };
}

function at(field: number): number {
  return numbers[field] ?? 0;
}

/** accept4 looks for a free descriptor before it looks at the queue: without one it fails even when nobody waits. */
function explain<Owner>(listener: Listener<Owner>, code: string): AcceptResult {
  const fault = classifyAcceptError(code);
  if (fault === 'tired' && !addon.hasWaiting(listener.fd)) return EMPTY;
  return { kind: 'fault', fault, code };
}
