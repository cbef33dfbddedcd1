/**
 * Which services are hosted, and the step from one configuration to the next: all of it or nothing. New sockets are bound
 * first; only when every one is there do services change hands, and what is no longer wanted is retired.
 */
import { isDeepStrictEqual } from 'node:util';
import { serviceGate, type Slots } from '../../admission/slots';
import { isHeld, type Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { asSystemError, describeSystemError } from '../../native/system-error';
import { formatAddress } from '../../service/address';
import { diffServices, type ServiceDiff } from '../../service/diff';
import type { Configuration, Service } from '../../service/service';
import type { Pauses } from '../accept/pauses';
import type { Hosted, HostedListener } from '../hosted/hosted';
import type { Replacer } from '../hosted/replace';
import { isFailed, openListeners, type ListenFailure, type ListenKeys, type OpenedSockets } from './open-listeners';
import { openBeside, type RebindParts } from './rebind';
import type { RetiredListeners } from './retired';

/** What is made anew with a service. */
export type Roles = Pick<Hosted, 'intake' | 'handler'>;

export interface RosterParts {
  readonly emit: Emit;
  readonly slots: Pick<Slots, 'server'>;
  readonly listeners: Pick<
    Listeners<Hosted>,
    'open' | 'close' | 'letGo' | 'change' | 'sharePort' | 'giveWay' | 'isInPlace'
  >;
  readonly pauses: Pick<Pauses, 'forget' | 'retryAll'>;
  readonly retired: Pick<RetiredListeners, 'retire' | 'revive'> & Iterable<HostedListener>;
  readonly replacer: Pick<Replacer, 'replace'>;
  readonly keys: ListenKeys;
  readonly roles: { readonly of: (service: Service) => Roles };
}

export type Applied =
  | { readonly ok: true; readonly diff: ServiceDiff; readonly fresh: readonly HostedListener[] }
  | { readonly ok: false; readonly failures: readonly ListenFailure[] };

export class Roster {
  readonly #parts: RosterParts;
  #services: readonly Service[] = [];
  readonly #hosted = new Map<string, Hosted>();
  /** See `leaving`; a service that comes back under the name goes on counting. */
  readonly #leaving = new Map<string, Hosted>();

  constructor(parts: RosterParts) {
    this.#parts = parts;
  }

  [Symbol.iterator](): IterableIterator<Hosted> {
    return this.#hosted.values();
  }

  /** Removed, but with children or connections that still count. */
  get leaving(): Iterable<Hosted> {
    return this.#leaving.values();
  }

  apply({ services, limits }: Configuration): Applied {
    const diff = diffServices(this.#services, services);
    const wanted = this.#wanted(services);
    const opened = this.#open(wanted);
    if (isFailed(opened)) return { ok: false, failures: opened };
    this.#retireUnused(opened);
    this.#forgetIdle();
    for (const { name } of diff.removed) this.#remove(name);
    for (const service of diff.added) this.#add(service, wanted, opened);
    for (const { after } of diff.changed) this.#change(after, wanted, opened);
    for (const service of diff.kept) this.#keep(service, wanted, opened);
    this.#services = services;
    this.#parts.slots.server.limit = limits.maxConnections;
    this.#parts.pauses.retryAll();
    return { ok: true, diff, fresh: opened.fresh };
  }

  /** Accepts no more: every listener is retired, and none comes in its place. */
  close(): void {
    for (const hosted of this.#hosted.values()) {
      for (const listener of hosted.listeners) this.#parts.retired.retire(listener);
      hosted.listeners = [];
    }
  }

  #wanted(services: readonly Service[]): Map<Service, Hosted> {
    const enabled = services.filter((service) => service.enabled);
    return new Map(enabled.map((service) => [service, this.#hostedFor(service)]));
  }

  #hostedFor(service: Service): Hosted {
    const known = this.#hosted.get(service.name) ?? this.#leaving.get(service.name);
    if (known !== undefined) return known;
    return { service, ...this.#parts.roles.of(service), gate: serviceGate(service.maxConnections), listeners: [] };
  }

  #open(wanted: ReadonlyMap<Service, Hosted>): OpenedSockets | readonly ListenFailure[] {
    const { listeners, keys } = this.#parts;
    const existing = this.#existing();
    const find = (key: string): HostedListener | null => existing.get(key) ?? null;
    const parts: RebindParts = { listeners, keys, find, optionsOf: ({ socket }) => socket };
    const opened = openListeners(wanted, parts);
    return isFailed(opened) ? openBeside(this.#goers(wanted, existing), opened, wanted, parts) : opened;
  }

  /**
   * Our listeners by key, those on their way out included: they are put back into service when they are wanted. One whose path or
   * interface was taken from it is no listener of that address any more: it is bound anew, and this one retired.
   */
  #existing(): Map<string, HostedListener> {
    const { keys, retired, listeners: all } = this.#parts;
    const revivable = [...retired].filter((listener) => !hasLostPath(listener) && all.isInPlace(listener));
    const found = new Map(revivable.map((listener) => [keys.ofAddress(namedBy(listener)), listener]));
    for (const { service, listeners } of this.#hosted.values()) {
      keys.ofService(service).forEach((key, at) => {
        const listener = listeners[at];
        if (listener?.phase === 'open' && all.isInPlace(listener)) found.set(key, listener);
      });
    }
    return found;
  }

  #goers(wanted: ReadonlyMap<Service, Hosted>, existing: ReadonlyMap<string, HostedListener>): HostedListener[] {
    const keys = new Set([...wanted.keys()].flatMap((service) => this.#parts.keys.ofService(service)));
    return [...existing].filter(([key]) => !keys.has(key)).map(([, listener]) => listener);
  }

  #retireUnused({ byService }: OpenedSockets): void {
    const used = new Set([...byService.values()].flat());
    for (const { listeners } of this.#hosted.values()) {
      for (const listener of listeners) if (!used.has(listener)) this.#parts.retired.retire(listener);
    }
  }

  /** Who has left has no child, and no listener whose queue may still make one. */
  #forgetIdle(): void {
    const accepting = new Set([...this.#parts.retired].map(({ owner }) => owner));
    for (const [name, hosted] of this.#leaving) {
      if (hosted.gate.inUse === 0 && !accepting.has(hosted)) this.#leaving.delete(name);
    }
  }

  #remove(name: string): void {
    const hosted = this.#hosted.get(name);
    this.#hosted.delete(name);
    if (hosted === undefined) return;
    hosted.listeners = [];
    this.#leaving.set(name, hosted);
  }

  #add(service: Service, wanted: ReadonlyMap<Service, Hosted>, opened: OpenedSockets): void {
    const hosted = wanted.get(service);
    if (hosted === undefined) return;
    this.#leaving.delete(service.name);
    this.#hosted.set(service.name, hosted);
    this.#change(service, wanted, opened);
  }

  /** What was made for it before may still serve what it has begun. */
  #change(service: Service, wanted: ReadonlyMap<Service, Hosted>, opened: OpenedSockets): void {
    const hosted = wanted.get(service);
    if (hosted === undefined) return;
    if (hosted.service !== service) Object.assign(hosted, this.#parts.roles.of(service), { service });
    hosted.gate.limit = service.maxConnections;
    this.#keep(service, wanted, opened);
  }

  /** An address may go from one service to another; its socket, with the clients in its queue, stays. */
  #keep(service: Service, wanted: ReadonlyMap<Service, Hosted>, { byService }: OpenedSockets): void {
    const hosted = wanted.get(service);
    if (hosted === undefined) return;
    hosted.listeners = [...(byService.get(service.name) ?? [])];
    for (const listener of [...hosted.listeners]) this.#adopt(listener, hosted, service);
  }

  #adopt(listener: HostedListener, hosted: Hosted, service: Service): void {
    const { pauses, listeners, retired, replacer } = this.#parts;
    retired.revive(listener);
    if (!isDeepStrictEqual(listener.socket.options, service.socket)) this.#setOptions(listener, service);
    if (listener.owner !== hosted) {
      pauses.forget(listener);
      listener.owner = hosted;
    }
    listeners.letGo(listener, 'new');
    // A child may have left it in a state in which our accept would wait. One that is still lent is seen to afterwards.
    if (listener.wasLent && !service.wait && !isHeld(listener, 'lent')) replacer.replace(listener);
  }

  /** The socket has served with its options so far and goes on so where the kernel refuses a change. */
  #setOptions(listener: HostedListener, { name, socket }: Service): void {
    try {
      const stuck = this.#parts.listeners.change(listener, socket);
      if (stuck.length > 0) this.#logStuck(listener, name, stuck);
    } catch (error) {
      const text = describeSystemError(asSystemError(error));
      this.#logFailed(listener, name, text, 'options kept');
    }
  }

  /** The kernel has no way to take these back. */
  #logStuck(listener: HostedListener, service: string, names: readonly string[]): void {
    this.#logFailed(listener, service, `${names.join(', ')} cannot be taken back`, 'kept until stdiod starts anew');
  }

  #logFailed({ address }: HostedListener, service: string, error: string, action: string): void {
    this.#parts.emit({
      event: 'failed',
      verb: 'setsockopt',
      address: formatAddress(address),
      service,
      error,
      action,
    });
  }
}

/** A Unix socket gave its path up when it was retired. */
function hasLostPath({ socket }: HostedListener): boolean {
  return socket.origin.kind === 'path';
}

/** A passed socket is wanted by its name, any other by what it is bound to. */
function namedBy({ socket }: HostedListener): HostedListener['address'] {
  return socket.origin.kind === 'passed' ? socket.configured : socket.address;
}
