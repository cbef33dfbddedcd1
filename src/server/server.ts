/**
 * The conductor: the one place that knows listeners, admission, children and log, and introduces them to each other.
 * connections.ts tells the life of a connection, roster.ts the step from one configuration to the next, drain.ts the end.
 */
import { openSync } from 'node:fs';
import { Slots } from '../admission/slots';
import { Children, type Child } from '../child/children';
import { Reports } from '../child/reports';
import { Listeners } from '../listener/listener';
import type { Log } from '../log/log';
import { addon } from '../native/addon';
import { formatAddress } from '../service/address';
import type { Gate } from '../admission/slots';
import type { Configuration } from '../service/service';
import { Connections, type AcceptOutcome, type Attempt } from './connections';
import { Drain } from './drain';
import { Handovers } from './handovers';
import type { Hosted, HostedListener } from './hosted';
import { Mux } from './mux';
import type { ListenFailure } from './open-listeners';
import { Pauses } from './pauses';
import { Redirects } from './redirects';
import { RetiredListeners } from './retired';
import { Roster, type Applied } from './roster';

export class Server {
  readonly #log: Log;
  readonly #listeners: Listeners<Hosted>;
  readonly #slots: Slots;
  readonly #reports: Reports<Child<Hosted>>;
  readonly #children: Children<Hosted>;
  readonly #pauses: Pauses;
  readonly #connections: Connections;
  readonly #roster: Roster;
  readonly #handovers: Handovers;
  readonly #redirects: Redirects;
  readonly #mux: Mux;
  readonly #drain: Drain;
  /** Gates of the children that were collected in this turn. */
  readonly #freed = new Set<Gate>();

  constructor(log: Log, maxConnections: number) {
    if (process.env['STDIOD_SPAWN'] === 'fork') addon.setPlainFork(true);
    const accept = (listener: HostedListener): AcceptOutcome => this.#onReadable(listener);
    this.#log = log;
    this.#slots = new Slots(maxConnections);
    this.#listeners = new Listeners(accept);
    // Opened before any connection, so that their numbers are low: a child copies the descriptor table up to them.
    const nullFd = openSync('/dev/null', 'r+');
    this.#reports = this.#makeReports();
    this.#children = this.#makeChildren();
    this.#pauses = this.#makePauses();
    const retired = new RetiredListeners(this.#listeners, this.#pauses, accept);
    this.#redirects = new Redirects({
      log,
      slots: this.#slots,
      onEnd: (attempt) => {
        this.#onFreed(attempt);
      },
    });
    this.#mux = this.#makeMux();
    const { slots, children, pauses } = { slots: this.#slots, children: this.#children, pauses: this.#pauses };
    const [redirects, mux, listeners] = [this.#redirects, this.#mux, this.#listeners];
    this.#connections = new Connections({ log, slots, children, pauses, redirects, mux });
    const nextId = (): string => this.#connections.nextId();
    this.#handovers = new Handovers({ log, slots, children, listeners, pauses, nextId });
    const sinks = { nullFd, reportFd: this.#reports.writer };
    this.#roster = new Roster({ log, listeners, pauses, retired, slots, sinks });
    const [roster, connections] = [this.#roster, this.#connections];
    this.#drain = new Drain({ log, roster, retired, children, connections, redirects, mux });
  }

  /** Takes this configuration in place of the one before, or changes nothing. */
  apply(configuration: Configuration): readonly ListenFailure[] {
    const applied = this.#roster.apply(configuration);
    if (!applied.ok) return applied.failures;
    this.#tellListening(applied);
    return [];
  }

  /** As `apply`, for a server that already serves: tells what changed. */
  reload(configuration: Configuration): readonly ListenFailure[] {
    const applied = this.#roster.apply(configuration);
    if (!applied.ok) return applied.failures;
    this.#tellListening(applied);
    const { added, changed, removed, kept } = applied.diff;
    this.#log.emit({
      event: 'reloaded',
      added: added.length,
      changed: changed.length,
      removed: removed.length,
      kept: kept.length,
    });
    return [];
  }

  /** Drains, then terminates what is left. @returns when nothing is left; whether that took more than SIGKILL */
  stop(signal: string): Promise<boolean> {
    return this.#drain.start(signal);
  }

  /** Ends every child now; `stop` settles soon after. */
  stopAtOnce(signal: string): void {
    this.#drain.killAll(signal);
  }

  logStatus(): void {
    for (const { service, listeners, gate } of this.#roster) {
      const { inUse: children, limit } = gate;
      this.#log.emit({ event: 'status', service: service.name, listeners: listeners.length, children, limit });
    }
  }

  #makeReports(): Reports<Child<Hosted>> {
    return new Reports(({ owner, connection, pid }, line) => {
      this.#log.emit({ event: 'said', service: owner.service.name, connection, pid, line });
    });
  }

  #makeChildren(): Children<Hosted> {
    return new Children(
      (child, exit) => {
        this.#connections.onChildExit(child, exit);
        this.#freed.add(child.owner.gate);
      },
      () => {
        this.#pauses.onRoom(this.#freed);
        this.#freed.clear();
        this.#drain.onChildrenEnded();
      },
      this.#reports,
    );
  }

  #onReadable(listener: HostedListener): AcceptOutcome {
    // A child has the socket, whatever a reload has made of its service meanwhile.
    if (listener.isLent || listener.isResting) return 'empty';
    const { wait } = listener.owner.service;
    return wait ? this.#handovers.onReadable(listener) : this.#connections.onReadable(listener);
  }

  /** A connection that no child served has ended. */
  #onFreed({ hosted }: Attempt): void {
    this.#pauses.onRoom([hosted.gate]);
    this.#drain.onChildrenEnded();
  }

  #makeMux(): Mux {
    return new Mux({
      log: this.#log,
      slots: this.#slots,
      services: () => this.#roster,
      serve: (attempt) => {
        this.#connections.serve(attempt);
      },
      onEnd: (attempt) => {
        this.#onFreed(attempt);
      },
    });
  }

  #makePauses(): Pauses {
    return new Pauses({
      log: this.#log,
      slots: this.#slots,
      listeners: this.#listeners,
      tryAccept: (listener) => this.#onReadable(listener),
      retryStalled: () => this.#connections.retryStalled(),
      hasStalled: () => this.#connections.hasStalled(),
    });
  }

  #tellListening({ fresh }: Applied & { ok: true }): void {
    for (const { address, owner } of fresh) {
      const { name, socket } = owner.service;
      const backlog = address.type === 'datagram' ? undefined : socket.backlog;
      this.#log.emit({ event: 'listening', service: name, address: formatAddress(address), backlog });
    }
  }
}
