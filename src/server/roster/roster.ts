/**
 * Which services are hosted, and the step from one configuration to the next. New sockets are bound first, then services change
 * hands, and what is no longer wanted is retired. A service that cannot be had leaves in force what was served under its name.
 */
import { isDeepStrictEqual } from 'node:util';
import { serviceGate, type Slots } from '../../admission/slots';
import { isHeld, wasLent, type Listeners } from '../../listener/listener';
import type { Emit } from '../../log/events';
import { asSystemError, describeSystemError } from '../../native/system-error';
import { formatAddress } from '../../service/address';
import { diffServices, type ServiceDiff } from '../../service/diff';
import type { Configuration, Lack, Service } from '../../service/service';
import type { Pauses } from '../accept/pauses';
import { hasChangedHands } from '../hosted/borrower';
import type { Hosted, HostedListener } from '../hosted/hosted';
import type { Replacer } from '../hosted/replace';
import { changeOf, type Change, type Shortfalls } from './lacking';
import { openListeners, type ListenFailure, type ListenKeys, type OpenedSockets } from './open-listeners';
import { openBeside, type RebindParts } from './rebind';
import type { RetiredListeners } from './retired';
import { isIdle, isSame, versionsOf, type Version } from './versions';

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

/** What has to be there for a configuration to be taken: every address, anything at all, or nothing. */
export type Need = 'all' | 'any' | 'none';

export type Applied =
  | {
      readonly ok: true;
      readonly diff: ServiceDiff;
      readonly fresh: readonly HostedListener[];
      readonly change: Change;
    }
  | { readonly ok: false; readonly failures: readonly ListenFailure[] };

export type Retried = Pick<Applied & { ok: true }, 'fresh' | 'change'>;

export class Roster {
  readonly #parts: RosterParts;
  /** Those that are in force, and those that are wanted and cannot be served. */
  #services: readonly Service[] = [];
  readonly #hosted = new Map<string, Hosted>();
  /** See `leaving`; a service that comes back under the name goes on counting. */
  readonly #leaving = new Map<string, Hosted>();
  #shortfalls: Shortfalls = new Map();

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

  /** Who is not served as the file wants. */
  get shortfalls(): Shortfalls {
    return this.#shortfalls;
  }

  apply({ services, lacks, limits }: Configuration, need: Need = 'none'): Applied {
    const enabled = services.filter((service) => service.enabled);
    const scope = [...this.#hosted.values()];
    const [opened, versions] = this.#settle(enabled, lacks, scope);
    const isRefused = need === 'all' ? opened.failures.length > 0 : need === 'any' && isIdle(versions);
    if (isRefused) return this.#giveBack(opened);
    const diff = diffServices(
      this.#services,
      versions.map(({ service }) => service),
    );
    this.#retireUnused(versions, scope);
    this.#forgetIdle();
    for (const { name } of diff.removed) this.#remove(name);
    const kept = new Set(diff.kept);
    for (const version of versions) this.#install(version, kept.has(version.service));
    this.#services = versions.map(({ service }) => service);
    this.#parts.slots.server.limit = limits.maxConnections;
    this.#parts.pauses.retryAll();
    return { ok: true, diff, fresh: opened.fresh, change: this.#learn(versions) };
  }

  /**
   * Tries those again that are not served as the file wants.
   * @param found the same configuration as in force, with what the machine says about it now
   */
  retry({ services, lacks }: Configuration): Retried {
    const scope = [...this.#shortfalls.keys()].flatMap((name) => this.#hosted.get(name) ?? []);
    const wanted = services.filter(({ name }) => this.#shortfalls.has(name)).map((service) => this.#inForce(service));
    const [opened, versions] = this.#settle(wanted, lacks, scope);
    const byName = new Map(versions.map((version) => [version.service.name, version]));
    this.#retireUnused(versions, scope);
    for (const version of versions) this.#install(version, isSame(version));
    this.#services = this.#services.map((service) => byName.get(service.name)?.service ?? service);
    return { fresh: opened.fresh, change: this.#learn(versions) };
  }

  /** Accepts no more: every listener is retired, and none comes in its place. */
  close(): void {
    for (const hosted of this.#hosted.values()) {
      for (const listener of hosted.listeners) this.#parts.retired.retire(listener);
      hosted.listeners = [];
    }
  }

  /** Of one that is served in part the other part is wanted, and no other service. */
  #inForce(service: Service): Service {
    const hosted = this.#hosted.get(service.name);
    const isPart = this.#shortfalls.get(service.name)?.served === 'partly';
    return isPart && hosted !== undefined ? hosted.service : service;
  }

  /** Opens what is wanted and can be had, and says what becomes of each. Nothing else has changed yet. */
  #settle(
    services: readonly Service[],
    lacks: readonly Lack[],
    scope: readonly Hosted[],
  ): readonly [OpenedSockets, readonly Version[]] {
    const lacking = new Map(lacks.map(({ name, reason }) => [name, reason]));
    const possible = services.filter(({ name }) => !lacking.has(name));
    const wanted = new Map(possible.map((service) => [service, this.#hostedFor(service)]));
    const opened = this.#open(wanted, scope);
    return [opened, versionsOf(services, { lacking, wanted, opened, before: this.#hosted })];
  }

  #giveBack({ fresh, failures }: OpenedSockets): Applied & { ok: false } {
    for (const listener of fresh) this.#parts.listeners.close(listener);
    return { ok: false, failures };
  }

  /** @param versions of all services that may lack anything */
  #learn(versions: readonly Version[]): Change {
    const before = this.#shortfalls;
    const entries = versions.flatMap(({ service: { name }, shortfall }) =>
      shortfall === null ? [] : [[name, shortfall] as const],
    );
    this.#shortfalls = new Map(entries);
    return changeOf(before, this.#shortfalls, new Set(versions.map(({ service }) => service.name)));
  }

  #hostedFor(service: Service): Hosted {
    const known = this.#hosted.get(service.name) ?? this.#leaving.get(service.name);
    if (known !== undefined) return known;
    return {
      service,
      ...this.#parts.roles.of(service),
      gate: serviceGate(service.maxConnections),
      listeners: [],
      keys: [],
    };
  }

  #open(wanted: ReadonlyMap<Service, Hosted>, scope: readonly Hosted[]): OpenedSockets {
    const { listeners, keys } = this.#parts;
    const existing = this.#existing(scope);
    const find = (key: string): HostedListener | null => existing.get(key) ?? null;
    const parts: RebindParts = { listeners, keys, find, optionsOf: ({ socket }) => socket };
    const opened = openListeners(wanted, parts);
    if (opened.failures.length === 0) return opened;
    return openBeside(this.#goers(wanted, existing), opened, wanted, parts);
  }

  /**
   * Our listeners by key, those on their way out included: they are put back into service when they are wanted. One whose path or
   * interface was taken from it is no listener of that address any more: it is bound anew, and this one retired.
   */
  #existing(scope: readonly Hosted[]): Map<string, HostedListener> {
    const { keys, retired, listeners: all } = this.#parts;
    const revivable = [...retired].filter((listener) => !hasLostPath(listener) && all.isInPlace(listener));
    const found = new Map(revivable.map((listener) => [keys.ofAddress(namedBy(listener)), listener]));
    for (const hosted of scope) {
      hosted.keys.forEach((key, at) => {
        const listener = hosted.listeners[at];
        if (listener?.phase === 'open' && all.isInPlace(listener)) found.set(key, listener);
      });
    }
    return found;
  }

  #goers(wanted: ReadonlyMap<Service, Hosted>, existing: ReadonlyMap<string, HostedListener>): HostedListener[] {
    const keys = new Set([...wanted.keys()].flatMap((service) => this.#parts.keys.ofService(service)));
    return [...existing].filter(([key]) => !keys.has(key)).map(([, listener]) => listener);
  }

  #retireUnused(versions: readonly Version[], scope: readonly Hosted[]): void {
    const used = new Set(versions.flatMap(({ listeners }) => listeners));
    for (const { listeners } of scope) {
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
    hosted.keys = [];
    this.#leaving.set(name, hosted);
  }

  /**
   * What was made for a service before may still serve what it has begun. An address may go from one service to another; its
   * socket, with the clients in its queue, stays.
   */
  #install({ service, hosted, listeners, keys }: Version, isKept: boolean): void {
    if (hosted === null) {
      this.#remove(service.name);
      return;
    }
    const isServed = this.#hosted.has(service.name);
    this.#leaving.delete(service.name);
    this.#hosted.set(service.name, hosted);
    if (hosted.service !== service && !(isKept && isServed))
      Object.assign(hosted, this.#parts.roles.of(service), { service });
    hosted.gate.limit = service.maxConnections;
    hosted.keys = keys;
    hosted.listeners = [...listeners];
    for (const listener of [...hosted.listeners]) this.#adopt(listener, hosted, service);
  }

  #adopt(listener: HostedListener, hosted: Hosted, service: Service): void {
    const { pauses, listeners, retired, replacer } = this.#parts;
    retired.revive(listener);
    // What it rests from is its service's lending.
    if (listener.owner !== hosted || !service.wait) listeners.letGo(listener, 'resting');
    if (listener.owner !== hosted) {
      pauses.forget(listener);
      listener.owner = hosted;
    }
    listeners.letGo(listener, 'new');
    // One that is still lent is seen to afterwards.
    if (isForeign(listener) && !isHeld(listener, 'lent')) replacer.replace(listener);
    else if (!isDeepStrictEqual(listener.socket.options, service.socket)) this.#setOptions(listener, service);
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

/** A child may have left it in a state in which our accept would wait, or which is no affair of the service that has it now. */
function isForeign(listener: HostedListener): boolean {
  return (wasLent(listener) && !listener.owner.service.wait) || hasChangedHands(listener);
}

/** A Unix socket gave its path up when it was retired. */
function hasLostPath({ socket }: HostedListener): boolean {
  return socket.origin.kind === 'path';
}

/** A passed socket is wanted by its name, any other by what it is bound to. */
function namedBy({ socket }: HostedListener): HostedListener['address'] {
  return socket.origin.kind === 'passed' ? socket.configured : socket.address;
}
