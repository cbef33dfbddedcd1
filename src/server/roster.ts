/**
 * Which services are hosted, and the step from one configuration to the next: all of it or nothing. New sockets are bound
 * first; only when every one is there do services change hands, and what is no longer wanted is retired.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Slots } from '../admission/slots';
import { preparePlan, type Plan, type Sinks } from '../child/plan';
import type { Listeners } from '../listener/listener';
import type { Log } from '../log/log';
import { asSystemError, describeSystemError } from '../native/system-error';
import { formatAddress, type SocketAddress } from '../service/address';
import { diffServices, type ServiceDiff } from '../service/diff';
import type { Configuration, Service, SocketOptions } from '../service/service';
import type { Hosted, HostedListener } from './hosted';
import { listenKey, openListeners, type ListenFailure, type OpenedSockets } from './open-listeners';
import type { Pauses } from './pauses';
import type { RetiredListeners } from './retired';

export interface RosterParts {
  readonly log: Log;
  readonly listeners: Listeners<Hosted>;
  readonly pauses: Pauses;
  readonly retired: RetiredListeners;
  readonly slots: Slots;
  readonly sinks: Sinks;
}

export type Applied =
  | { readonly ok: true; readonly diff: ServiceDiff; readonly fresh: readonly HostedListener[] }
  | { readonly ok: false; readonly failures: readonly ListenFailure[] };

export class Roster {
  readonly #parts: RosterParts;
  #services: readonly Service[] = [];
  readonly #hosted = new Map<string, Hosted>();
  /** Removed, but with children that still count: a service that comes back under the name goes on counting. */
  readonly #leaving = new Map<string, Hosted>();

  constructor(parts: RosterParts) {
    this.#parts = parts;
  }

  [Symbol.iterator](): IterableIterator<Hosted> {
    return this.#hosted.values();
  }

  /** The service of that name, while it is hosted. */
  find(name: string): Hosted | undefined {
    return this.#hosted.get(name);
  }

  apply(configuration: Configuration): Applied {
    const diff = diffServices(this.#services, configuration.services);
    const wanted = this.#wanted(configuration.services);
    const opened = this.#open(wanted);
    if (isFailed(opened)) return { ok: false, failures: opened };
    this.#retireUnused(opened);
    for (const { name } of diff.removed) this.#remove(name);
    for (const [service, hosted] of wanted) this.#install(service, hosted, opened.byService.get(service.name) ?? []);
    this.#services = configuration.services;
    this.#parts.slots.server.limit = configuration.limits.maxConnections;
    this.#parts.pauses.retryAll();
    return { ok: true, diff, fresh: opened.fresh };
  }

  /** Accepts no more: every listener is retired. */
  close(): void {
    for (const hosted of this.#hosted.values()) {
      for (const listener of hosted.listeners) this.#parts.retired.retire(listener);
    }
  }

  #wanted(services: readonly Service[]): Map<Service, Hosted> {
    const enabled = services.filter((service) => service.enabled);
    return new Map(enabled.map((service) => [service, this.#hostedFor(service)]));
  }

  #hostedFor(service: Service): Hosted {
    const known = this.#hosted.get(service.name) ?? this.#comingBack(service);
    if (known !== undefined) return known;
    const plan = this.#planFor(service);
    const gate = { limit: service.maxConnections, inUse: 0 };
    return { service, plan, gate, listeners: [], pausedListeners: 0 };
  }

  /** The child of a wait service that was removed may stay for long, and has nothing to do with a socket bound anew. */
  #comingBack(service: Service): Hosted | undefined {
    return service.wait ? undefined : this.#leaving.get(service.name);
  }

  #planFor(service: Service): Plan | null {
    const { handler } = service;
    return handler.kind === 'exec' ? preparePlan(service, handler.command, this.#parts.sinks) : null;
  }

  #open(wanted: ReadonlyMap<Service, Hosted>): OpenedSockets | readonly ListenFailure[] {
    const existing = this.#existing();
    const find = (key: string): HostedListener | null => existing.get(key) ?? null;
    const opened = openListeners(wanted, this.#parts.listeners, find);
    if (!isFailed(opened)) return opened;
    const goers = this.#goers(wanted, existing);
    // What a child has is not ours to close: the address is free when the child leaves.
    const closable = goers.filter(({ isLent }) => !isLent);
    const blockers = closable.filter((listener) => opened.some(({ address }) => isInTheWay(listener, address)));
    return blockers.length === 0 ? opened : this.#openOver(blockers, wanted, find);
  }

  /**
   * `0.0.0.0:80` becomes `127.0.0.1:80`: the kernel lets nobody bind the one beside the other, so here alone the old
   * socket goes first. If the new one fails all the same, the old one is bound again.
   */
  #openOver(
    blockers: readonly HostedListener[],
    wanted: ReadonlyMap<Service, Hosted>,
    find: FindListener,
  ): OpenedSockets | readonly ListenFailure[] {
    for (const listener of blockers) this.#closeInPlace(listener);
    const opened = openListeners(wanted, this.#parts.listeners, find);
    if (isFailed(opened)) for (const listener of blockers) this.#reopen(listener);
    return opened;
  }

  #closeInPlace(listener: HostedListener): void {
    this.#parts.retired.retire(listener);
    this.#parts.retired.drain(listener);
    this.#parts.retired.closeNow((candidate) => candidate === listener);
  }

  #reopen(closed: HostedListener): void {
    const { owner, address } = closed;
    const at = owner.listeners.indexOf(closed);
    if (at < 0) return;
    try {
      const again = this.#parts.listeners.open(address, owner.service.socket, owner);
      owner.listeners[at] = again;
      this.#parts.listeners.resume(again);
    } catch (error) {
      this.#tellFailed('listen', closed, error, 'not served until the next reload');
    }
  }

  /** Our listeners by key, those on their way out included: they are put back into service when they are wanted. */
  #existing(): Map<string, HostedListener> {
    const found = this.#parts.retired.byKey();
    for (const { service, listeners } of this.#hosted.values()) {
      keysOf(service).forEach((key, at) => {
        const listener = listeners[at];
        if (listener !== undefined && !listener.isClosed) found.set(key, listener);
      });
    }
    return found;
  }

  #goers(wanted: ReadonlyMap<Service, Hosted>, existing: ReadonlyMap<string, HostedListener>): HostedListener[] {
    const keys = new Set([...wanted.keys()].flatMap(keysOf));
    return [...existing].filter(([key]) => !keys.has(key)).map(([, listener]) => listener);
  }

  #retireUnused({ byService }: OpenedSockets): void {
    const used = new Set([...byService.values()].flat());
    for (const { listeners } of this.#hosted.values()) {
      // One that had to make way is closed already, and its number may be another's by now.
      const unused = listeners.filter((listener) => !used.has(listener) && !listener.isClosed);
      for (const listener of unused) this.#parts.retired.retire(listener);
    }
  }

  #remove(name: string): void {
    const hosted = this.#hosted.get(name);
    this.#hosted.delete(name);
    this.#forgetIdle();
    if (hosted === undefined) return;
    hosted.listeners = [];
    this.#leaving.set(name, hosted);
  }

  #forgetIdle(): void {
    for (const [name, hosted] of this.#leaving) if (hosted.gate.inUse === 0) this.#leaving.delete(name);
  }

  #install(service: Service, hosted: Hosted, listeners: readonly HostedListener[]): void {
    const isChanged = !isDeepStrictEqual(hosted.service, service);
    if (isChanged) hosted.plan = this.#planFor(service);
    for (const listener of listeners) this.#adopt(listener, hosted, service);
    hosted.service = service;
    hosted.gate.limit = service.maxConnections;
    hosted.listeners = [...listeners];
    this.#leaving.delete(service.name);
    this.#hosted.set(service.name, hosted);
  }

  /** An address may go from one service to another; its socket, with the clients in its queue, stays. */
  #adopt(listener: HostedListener, hosted: Hosted, { socket }: Service): void {
    this.#parts.retired.revive(listener);
    if (!isDeepStrictEqual(listener.owner.service.socket, socket)) this.#setOptions(listener, socket);
    if (listener.owner !== hosted) {
      this.#parts.pauses.forget(listener);
      listener.owner = hosted;
    }
    if (!this.#parts.pauses.has(listener)) this.#parts.listeners.resume(listener);
  }

  /** The socket has served with its options so far and goes on so where the kernel refuses a change. */
  #setOptions(listener: HostedListener, socket: SocketOptions): void {
    const before = listener.owner.service.socket.extra;
    const unset = Object.keys(before).filter((name) => !(name in socket.extra));
    try {
      listener.change(socket);
      if (unset.length > 0) this.#tellKept(listener, unset);
    } catch (error) {
      this.#tellFailed('setsockopt', listener, error, 'options kept');
    }
  }

  /** The kernel has no call that takes an option back. */
  #tellKept({ address, owner }: HostedListener, names: readonly string[]): void {
    const error = `${names.join(', ')} cannot be taken back`;
    const action = 'kept until stdiod starts anew';
    const service = owner.service.name;
    this.#parts.log.emit({
      event: 'failed',
      verb: 'setsockopt',
      address: formatAddress(address),
      service,
      error,
      action,
    });
  }

  #tellFailed(verb: string, { address, owner }: HostedListener, error: unknown, action: string): void {
    const text = describeSystemError(asSystemError(error));
    const service = owner.service.name;
    this.#parts.log.emit({ event: 'failed', verb, address: formatAddress(address), service, error: text, action });
  }
}

type FindListener = (key: string) => HostedListener | null;

function isFailed(opened: OpenedSockets | readonly ListenFailure[]): opened is readonly ListenFailure[] {
  return Array.isArray(opened);
}

/** In the order in which `open-listeners` makes them. */
function keysOf(service: Service): string[] {
  return service.listen.flatMap(({ sockets }, entry) =>
    sockets.map((address) => listenKey(service.name, entry, address)),
  );
}

/** Only a wildcard and one of its own addresses exclude each other without being the same. */
function isInTheWay({ address }: HostedListener, wanted: SocketAddress): boolean {
  if (!('address' in address) || !('address' in wanted)) return false;
  return address.family === wanted.family && address.type === wanted.type && address.port === wanted.port;
}
