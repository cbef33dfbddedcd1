/**
 * The life of a connection.
 *
 * A listener becomes readable. A slot is taken first (admission/slots.ts): without one the client stays in the kernel's
 * queue and the listener is paused, or the client is refused, as the service says. Then the connection is accepted and
 * handed to a child: the addon clones, the child takes over the socket, and the descriptor is no longer ours. The child
 * runs. SIGCHLD; the child is collected, the slot is given back, and those who waited for it get their turn.
 *
 * What can go wrong on the way: accept fails (listener/accept-errors.ts says what that means); clone fails for want of
 * processes or memory, then the connection is kept and the spawn tried again; the child fails before exec, which is known
 * when it is reaped.
 */
import type { Slots, Verdict } from '../admission/slots';
import type { Child, Children, Exit } from '../child/children';
import { connectionFacts } from '../child/facts';
import { acceptFrom, type AcceptResult } from '../listener/listener';
import type { Log } from '../log/log';
import type { PauseReason } from '../log/events';
import { addon, type AcceptedSocket } from '../native/addon';
import { asSystemError } from '../native/system-error';
import type { Hosted, HostedListener } from './hosted';
import type { Pauses } from './pauses';

/** Clients taken from one listener before the others get their turn. */
const BATCH = 16;
const MS = 1000;

/** more: there may be another client. empty: there is none. paused: the listener must wait. */
export type AcceptOutcome = 'more' | 'empty' | 'paused';

/** A connection whose clone was refused: it keeps its descriptor and its slot until the spawn succeeds. */
interface Stalled {
  readonly hosted: Hosted;
  readonly socket: AcceptedSocket;
  readonly connection: string;
}

export interface ConnectionParts {
  readonly log: Log;
  readonly slots: Slots;
  readonly children: Children<Hosted>;
  readonly pauses: Pauses;
}

export class Connections {
  readonly #parts: ConnectionParts;
  readonly #stalled: Stalled[] = [];
  #lastId = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Whether a connection waits for a process. */
  hasStalled(): boolean {
    return this.#stalled.length > 0;
  }

  /** Accepts a fair share of what waits. */
  onReadable(listener: HostedListener): AcceptOutcome {
    for (let taken = 0; taken < BATCH; taken += 1) {
      const outcome = this.#acceptOne(listener);
      if (outcome !== 'more') return outcome;
    }
    return 'more';
  }

  onChildExit(child: Child<Hosted>, exit: Exit): void {
    const { gate, service } = child.owner;
    this.#parts.slots.release(gate);
    const { connection, peer, pid } = child;
    if (exit.failure !== null) {
      this.#parts.log.emit({ event: 'dropped', service: service.name, connection, peer, ...exit.failure });
      return;
    }
    this.#parts.log.emit({
      event: 'reaped',
      service: service.name,
      connection,
      pid,
      // JSON leaves out what is undefined.
      exit: exit.status ?? undefined,
      signal: exit.signal ?? undefined,
      duration: Math.round(performance.now() - child.startedMs) / MS,
      cpu: Math.round(exit.cpuSeconds * MS) / MS,
      rss: exit.rssBytes,
      children: gate.inUse,
      limit: gate.limit,
    });
  }

  /** Tries again to spawn for the connections that were kept; returns whether all of them have a child now. */
  retryStalled(): boolean {
    for (let next = this.#stalled[0]; next !== undefined; next = this.#stalled[0]) {
      if (this.#spawn(next) !== null) return false;
      this.#stalled.shift();
    }
    return true;
  }

  /** For a server that stops at once: nobody will serve these. */
  dropStalled(): void {
    for (const { hosted, socket, connection } of this.#stalled.splice(0)) {
      this.#drop(hosted, socket, connection, 'EAGAIN');
    }
  }

  #acceptOne(listener: HostedListener): AcceptOutcome {
    const hosted = listener.owner;
    const verdict = this.#parts.slots.take(hosted.gate);
    if (verdict !== 'admit') return this.#onFull(listener, verdict);
    const result = acceptFrom(listener);
    if (result.kind === 'connection') return this.#serve(listener, result.socket);
    this.#parts.slots.release(hosted.gate);
    return this.#onNothing(listener, result);
  }

  #onFull(listener: HostedListener, reason: Exclude<Verdict, 'admit'>): AcceptOutcome {
    const { service, gate } = listener.owner;
    if (service.whenFull === 'wait') {
      this.#parts.pauses.pause(listener, reason);
      return 'paused';
    }
    const result = acceptFrom(listener);
    if (result.kind !== 'connection') return this.#onNothing(listener, result);
    addon.refuse(result.socket.fd);
    const limit = reason === 'full' ? gate.limit : this.#parts.slots.server.limit;
    this.#parts.log.emit({ event: 'refused', service: service.name, peer: formatPeer(result.socket), reason, limit });
    return 'more';
  }

  #onNothing(listener: HostedListener, result: Exclude<AcceptResult, { kind: 'connection' }>): AcceptOutcome {
    if (result.kind === 'empty') return 'empty';
    if (result.fault === 'gone') return 'more';
    this.#parts.pauses.pause(listener, reasonOf(result.code));
    return 'paused';
  }

  #serve(listener: HostedListener, socket: AcceptedSocket): AcceptOutcome {
    this.#lastId += 1;
    const attempt = { hosted: listener.owner, socket, connection: `c${this.#lastId.toString(16)}` };
    const error = this.#spawn(attempt);
    if (error === null) return 'more';
    if (error !== 'EAGAIN' && error !== 'ENOMEM') {
      this.#drop(attempt.hosted, socket, attempt.connection, error);
      return 'more';
    }
    this.#stalled.push(attempt);
    this.#parts.pauses.pause(listener, error === 'EAGAIN' ? 'processes' : 'memory');
    return 'paused';
  }

  /** @returns null, or the errno name for which there is no child */
  #spawn({ hosted, socket, connection }: Stalled): string | null {
    const { service, plan, gate } = hosted;
    const peer = formatPeer(socket);
    const about = { owner: hosted, connection, peer, startedMs: performance.now() };
    try {
      const facts = connectionFacts(socket, service.name, connection);
      const { pid } = this.#parts.children.spawn(plan, socket, facts, about);
      const { inUse: children, limit } = gate;
      this.#parts.log.emit({ event: 'accepted', service: service.name, connection, peer, pid, children, limit });
      return null;
    } catch (error) {
      return asSystemError(error).code;
    }
  }

  #drop(hosted: Hosted, socket: AcceptedSocket, connection: string, error: string): void {
    addon.refuse(socket.fd);
    this.#parts.slots.release(hosted.gate);
    const peer = formatPeer(socket);
    this.#parts.log.emit({ event: 'dropped', service: hosted.service.name, connection, peer, step: 'clone', error });
  }
}

function reasonOf(code: string): PauseReason {
  if (code === 'EMFILE' || code === 'ENFILE') return 'open-files';
  return code === 'ENOMEM' || code === 'ENOBUFS' ? 'memory' : 'accept';
}

function formatPeer({ peerAddress, peerPort }: AcceptedSocket): string {
  return peerAddress.includes(':') ? `[${peerAddress}]:${peerPort}` : `${peerAddress}:${peerPort}`;
}
