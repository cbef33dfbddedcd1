/**
 * Which services are hosted, and the step from one configuration to the next. New sockets are bound first, then services change
 * hands, and what is no longer wanted is retired. A service that cannot be had leaves in force what was served under its name.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Slots } from '../../admission/slots';
import { isHeld, wasLent, type Listeners } from '../../listener/listener';
import type { Sandboxes } from '../../child/sandboxes';
import type { Emit } from '../../log/events';
import type { Work } from '../../native/slices';
import { asSystemError, describeSystemError } from '../../native/system-error';
import { formatAddress } from '../../service/address';
import { diffServices, type ServiceDiff } from '../../service/diff';
import type { Configuration, Service } from '../../service/service';
import type { Pauses } from '../accept/pauses';
import { hasChangedHands } from '../hosted/borrower';
import type { Hosted, HostedListener } from '../hosted/hosted';
import { logListening } from '../hosted/listening';
import type { Replacer } from '../hosted/replace';
import { Candidate, type CandidateParts, type Wish } from './candidate';
import { changeOf, type Change, type Shortfalls } from './lacking';
import type { ListenFailure } from './open-listeners';
import type { RetiredListeners } from './retired';
import { isIdle, type Version } from './versions';

export interface RosterParts extends CandidateParts {
  readonly emit: Emit;
  readonly slots: Pick<Slots, 'server'>;
  readonly listeners: CandidateParts['listeners'] & Pick<Listeners<Hosted>, 'hold' | 'letGo' | 'change' | 'welcome'>;
  readonly pauses: Pick<Pauses, 'forget' | 'retryAll'>;
  readonly retired: Pick<RetiredListeners, 'retire' | 'revive'> & Iterable<HostedListener>;
  readonly replacer: Pick<Replacer, 'replace'>;
  readonly sandboxes: Pick<Sandboxes, 'keep'>;
}

/** What has to be there for a configuration to be taken: every address, anything at all, or nothing. */
export type Need = 'all' | 'any' | 'none';

export type Applied =
  | { readonly ok: true; readonly diff: ServiceDiff; readonly change: Change }
  | { readonly ok: false; readonly failures: readonly ListenFailure[] };

/** What is left to be done after a switch; each of them may be closed before it is. */
interface Aftermath {
  readonly used: ReadonlySet<HostedListener>;
  readonly revived: readonly HostedListener[];
  /** Nobody has them any more. */
  readonly gone: readonly HostedListener[];
}

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

  *apply({ services, lacks, limits }: Configuration, need: Need = 'none'): Work<Applied> {
    const enabled = services.filter((service) => service.enabled);
    const scope = [...this.#hosted.values()];
    const candidate = this.#candidate({ services: enabled, lacks, scope });
    try {
      const versions = yield* candidate.prepare();
      const { failures } = candidate.opening;
      const isRefused = need === 'all' ? failures.length > 0 : need === 'any' && isIdle(versions);
      if (isRefused) return { ok: false, failures };
      candidate.take();
      const wanted = versions.map(({ service }) => service);
      const diff = diffServices(this.#services, wanted, (before, after) => candidate.isSame(before, after));
      const left = this.#switchTo(versions, candidate, scope, diff.removed);
      this.#services = versions.map(inForce);
      this.#parts.slots.server.limit = limits.maxConnections;
      const change = this.#learn(versions);
      yield* this.#settle(left, candidate);
      yield* this.#parts.pauses.retryAll();
      return { ok: true, diff, change };
    } finally {
      candidate.giveBack();
      this.#keepSandboxes();
    }
  }

  /**
   * Tries those again that are not served as the file wants.
   * @param found the same configuration as in force, with what the machine says about it now
   */
  *retry({ services, lacks }: Configuration): Work<Change> {
    const scope = [...this.#shortfalls.keys()].flatMap((name) => this.#hosted.get(name) ?? []);
    const wanted = services.filter(({ name }) => this.#shortfalls.has(name)).map((service) => this.#wish(service));
    const candidate = this.#candidate({ services: wanted, lacks, scope });
    try {
      const versions = yield* candidate.prepare();
      candidate.take();
      const byName = new Map(versions.map((version) => [version.service.name, inForce(version)]));
      const left = this.#switchTo(versions, candidate, scope, []);
      this.#services = this.#services.map((service) => byName.get(service.name) ?? service);
      const change = this.#learn(versions);
      yield* this.#settle(left, candidate);
      return change;
    } finally {
      candidate.giveBack();
      this.#keepSandboxes();
    }
  }

  /** Accepts no more: every listener is retired, and none comes in its place. */
  close(): void {
    for (const hosted of this.#hosted.values()) {
      for (const listener of hosted.listeners) this.#parts.retired.retire(listener);
      hosted.listeners = [];
    }
  }

  /** Of one that is served in part the other part is wanted, and no other service. */
  #wish(service: Service): Service {
    const hosted = this.#hosted.get(service.name);
    const isPart = this.#shortfalls.get(service.name)?.served === 'partly';
    return isPart && hosted !== undefined ? hosted.service : service;
  }

  #candidate(wish: Wish): Candidate {
    const services = new Map(this.#services.map((service) => [service.name, service]));
    return new Candidate(wish, { hosted: this.#hosted, leaving: this.#leaving, services }, this.#parts);
  }

  /**
   * From one version of each service to the next, in one turn, and without a system call for a service that stays where it is.
   * @returns the listeners for which something is left to be done
   */
  #switchTo(
    versions: readonly Version[],
    candidate: Candidate,
    scope: readonly Hosted[],
    removed: readonly Service[],
  ): Aftermath {
    const used = new Set(versions.flatMap(({ listeners }) => listeners));
    const gone = scope.flatMap(({ listeners }) => listeners.filter((listener) => !used.has(listener)));
    this.#forgetIdle();
    for (const { name } of removed) this.#remove(name);
    for (const version of versions) this.#install(version, candidate);
    const owned = versions.flatMap(({ hosted, listeners }) => (hosted === null ? [] : [{ hosted, listeners }]));
    const revived = owned.flatMap(({ hosted, listeners }) =>
      listeners.filter((listener) => this.#adopt(listener, hosted)),
    );
    return { used, revived, gone };
  }

  /** @param versions of all services that may lack anything */
  #learn(versions: readonly Version[]): Change {
    const before = this.#shortfalls;
    const entries = versions.flatMap(({ service: { name }, shortfall }) =>
      shortfall === null ? [] : [[name, shortfall] as const],
    );
    this.#shortfalls = new Map(entries);
    const change = changeOf(before, this.#shortfalls, new Set(versions.map(({ service }) => service.name)));
    // Before its new sockets listen.
    for (const service of change.available) this.#parts.emit({ event: 'available', service });
    return change;
  }

  /** Of those who may still start a child; what was made for a version that is not in force goes as well. */
  #keepSandboxes(): void {
    const served = [...this.#hosted.values(), ...this.#leaving.values()];
    this.#parts.sandboxes.keep(served.map(({ service }) => service));
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

  /** What was made for a service before may still serve what it has begun. */
  #install({ service, hosted, listeners, keys }: Version, candidate: Candidate): void {
    if (hosted === null) {
      this.#remove(service.name);
      return;
    }
    this.#leaving.delete(service.name);
    this.#hosted.set(service.name, hosted);
    const roles = candidate.rolesOf(service);
    if (roles !== undefined) Object.assign(hosted, roles, { service });
    hosted.gate.limit = service.maxConnections;
    hosted.keys = keys;
    hosted.listeners = [...listeners];
  }

  /**
   * An address may go from one service to another; its socket, with the clients in its queue, stays.
   * @returns whether it was on its way out
   */
  #adopt(listener: HostedListener, hosted: Hosted): boolean {
    const { pauses, listeners, retired } = this.#parts;
    const isRevived = retired.revive(listener);
    const isMoved = listener.owner !== hosted;
    if (isMoved) {
      pauses.forget(listener);
      listener.owner = hosted;
    }
    // Nobody accepts from it before it is bound anew.
    if (isForeign(listener)) listeners.hold(listener, 'new');
    // What it rests from is its service's lending.
    if (isMoved || !hosted.service.wait) listeners.letGo(listener, 'resting');
    return isRevived;
  }

  /** What each socket needs for that which is in force by now. It is brought to its end, whatever becomes of one of them. */
  *#settle({ used, revived, gone }: Aftermath, { opening, rebinder }: Candidate): Work<void> {
    const { listeners, retired } = this.#parts;
    const actions: readonly (readonly [Iterable<HostedListener>, (listener: HostedListener) => void])[] = [
      [
        revived,
        (listener) => {
          listeners.welcome(listener);
        },
      ],
      [
        used,
        (listener) => {
          this.#settleIn(listener, opening.fresh.has(listener));
        },
      ],
      [
        gone,
        (listener) => {
          rebinder.restoreOne(listener);
          retired.retire(listener);
        },
      ],
    ];
    const faults: unknown[] = [];
    for (const [concerned, action] of actions) {
      for (const listener of concerned) {
        if (listener.phase === 'open')
          attempt(faults, () => {
            action(listener);
          });
        yield 'binding';
      }
    }
    if (faults.length > 0) throw faults[0];
  }

  #settleIn(listener: HostedListener, isFresh: boolean): void {
    const { emit, listeners, replacer } = this.#parts;
    const { service } = listener.owner;
    const mustReplace = isForeign(listener);
    listeners.letGo(listener, 'new');
    if (mustReplace) replacer.replace(listener);
    else if (!isDeepStrictEqual(listener.socket.options, service.socket)) this.#setOptions(listener, service);
    if (isFresh) logListening(emit, listener);
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

/**
 * A child may have left it in a state in which our accept would wait, or which is no affair of the service that has it now. One that
 * is still lent is seen to afterwards.
 */
function isForeign(listener: HostedListener): boolean {
  const isStrange = (wasLent(listener) && !listener.owner.service.wait) || hasChangedHands(listener);
  return isStrange && !isHeld(listener, 'lent');
}

/** One that is served goes on under the object that it was installed with, so that the next one is compared with that. */
function inForce({ service, hosted }: Version): Service {
  return hosted?.service ?? service;
}

function attempt(faults: unknown[], action: () => void): void {
  try {
    action();
  } catch (error) {
    faults.push(error);
  }
}
