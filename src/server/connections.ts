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
import { connectionFacts, connectionValues } from '../child/facts';
import { fillPlan, type Plan } from '../child/plan';
import { acceptFrom, type AcceptResult } from '../listener/listener';
import type { Log } from '../log/log';
import type { PauseReason } from '../log/events';
import { addon, type Fd } from '../native/addon';
import { asSystemError } from '../native/system-error';
import { formatPeer, type LocalEnd, type Peer } from '../service/peer';
import type { Hosted, HostedListener } from './hosted';
import type { Mux } from './mux';
import type { Pauses } from './pauses';
import type { Redirects } from './redirects';

/** Clients taken from one listener before the others get their turn. */
const BATCH = 16;
const MS = 1000;

type Accepted = Extract<AcceptResult, { kind: 'connection' }>;

/** more: there may be another client. empty: there is none. paused: the listener must wait. */
export type AcceptOutcome = 'more' | 'empty' | 'paused';

/** An accepted connection that has its slot and wants its child. */
export interface Attempt {
  readonly hosted: Hosted;
  /** As it was when the connection was accepted: a reload may change it before the child can be made. */
  readonly plan: Plan | null;
  readonly listener: HostedListener;
  readonly fd: Fd;
  readonly peer: Peer;
  readonly local: LocalEnd;
  readonly connection: string;
}

export interface ConnectionParts {
  readonly log: Log;
  readonly slots: Slots;
  readonly children: Children<Hosted>;
  readonly pauses: Pauses;
  /** Connections that no child serves. */
  readonly redirects: Redirects;
  readonly mux: Mux;
}

export class Connections {
  readonly #parts: ConnectionParts;
  /** Whose clone was refused: each keeps its descriptor and its slot until the spawn succeeds. */
  readonly #stalled: Attempt[] = [];
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
    this.#parts.slots.release(child.owner.gate);
    this.#tellExit(child, exit);
    child.onEnd?.(exit);
  }

  #tellExit(child: Child<Hosted>, exit: Exit): void {
    const { gate, service } = child.owner;
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
      in: exit.traffic?.in,
      out: exit.traffic?.out,
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
    for (const attempt of this.#stalled.splice(0)) this.#drop(attempt, 'EAGAIN');
  }

  nextId(): string {
    this.#lastId += 1;
    return `c${this.#lastId.toString(16)}`;
  }

  /** Gives a connection that has its slot to a child. */
  serve(attempt: Attempt): AcceptOutcome {
    const error = this.#spawn(attempt);
    if (error === null) return 'more';
    if (error !== 'EAGAIN' && error !== 'ENOMEM') {
      this.#drop(attempt, error);
      return 'more';
    }
    this.#stalled.push(attempt);
    this.#parts.pauses.pause(attempt.listener, error === 'EAGAIN' ? 'processes' : 'memory');
    return 'paused';
  }

  #acceptOne(listener: HostedListener): AcceptOutcome {
    const hosted = listener.owner;
    const verdict = this.#parts.slots.take(hosted.gate);
    if (verdict !== 'admit') return this.#onFull(listener, verdict);
    const result = acceptFrom(listener);
    if (result.kind === 'connection') return this.#handOver(listener, result);
    this.#parts.slots.release(hosted.gate);
    return this.#onNothing(listener, result);
  }

  #onFull(listener: HostedListener, reason: Exclude<Verdict, 'admit'>): AcceptOutcome {
    const { service, gate } = listener.owner;
    if (service.whenFull === 'wait') return this.#leaveWaiting(listener, reason);
    const result = acceptFrom(listener);
    if (result.kind !== 'connection') return this.#onNothing(listener, result);
    addon.refuse(result.fd);
    const limit = reason === 'full' ? gate.limit : this.#parts.slots.server.limit;
    this.#parts.log.emit({
      event: 'refused',
      service: service.name,
      peer: formatPeer(result.peer),
      reason,
      limit,
    });
    return 'more';
  }

  /** The last slot is taken; that concerns nobody before the next client comes. */
  #leaveWaiting(listener: HostedListener, reason: Exclude<Verdict, 'admit'>): AcceptOutcome {
    if (!addon.hasWaiting(listener.fd)) return 'empty';
    this.#parts.pauses.pause(listener, reason);
    return 'paused';
  }

  #onNothing(listener: HostedListener, result: Exclude<AcceptResult, Accepted>): AcceptOutcome {
    if (result.kind === 'empty') return 'empty';
    if (result.fault === 'gone') return 'more';
    this.#parts.pauses.pause(listener, reasonOf(result.code));
    return 'paused';
  }

  #handOver(listener: HostedListener, { fd, peer, local }: Accepted): AcceptOutcome {
    const hosted = listener.owner;
    const { plan } = hosted;
    const attempt = { hosted, plan, listener, fd, peer, local, connection: this.nextId() };
    const { handler } = hosted.service;
    if (handler.kind === 'exec') return this.serve(attempt);
    if (handler.kind === 'redirect') this.#parts.redirects.start(attempt, handler.target);
    else this.#parts.mux.start(attempt);
    return 'more';
  }

  /** @returns null, or the errno name for which there is no child */
  #spawn({ hosted, plan, fd, peer: from, local, connection }: Attempt): string | null {
    const { service, gate } = hosted;
    if (plan === null) throw new Error(`${service.name} has nothing to run`);
    const names = { service: service.name, connection };
    const facts = connectionFacts(from, local, names);
    const filled = fillPlan(plan, facts, () => connectionValues(from, local, names));
    const peer = formatPeer(from);
    const about = { owner: hosted, connection, peer, startedMs: performance.now(), onEnd: null };
    try {
      const { pid } = this.#parts.children.spawn(plan, fd, filled, about);
      const { inUse: children, limit } = gate;
      this.#parts.log.emit({ event: 'accepted', service: service.name, connection, peer, pid, children, limit });
      return null;
    } catch (error) {
      return asSystemError(error).code;
    }
  }

  #drop({ hosted, fd, connection, peer: from }: Attempt, error: string): void {
    addon.refuse(fd);
    this.#parts.slots.release(hosted.gate);
    const peer = formatPeer(from);
    this.#parts.log.emit({ event: 'dropped', service: hosted.service.name, connection, peer, step: 'clone', error });
  }
}

function reasonOf(code: string): PauseReason {
  if (code === 'EMFILE' || code === 'ENFILE') return 'open-files';
  return code === 'ENOMEM' || code === 'ENOBUFS' ? 'memory' : 'accept';
}
