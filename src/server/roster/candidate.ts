/**
 * What a configuration would come to, made in slices beside what is in force, of which nobody hears: who would serve, by which plans,
 * at which sockets. It is taken as a whole, or given back as if it had never been.
 */
import { isDeepStrictEqual } from 'node:util';
import { serviceGate } from '../../admission/slots';
import { SandboxError } from '../../child/sandboxes';
import type { Listeners } from '../../listener/listener';
import type { Work } from '../../native/slices';
import type { Lack, Service } from '../../service/service';
import type { Hosted, HostedListener } from '../hosted/hosted';
import { Existing } from './existing';
import { Opening, type ListenKeys } from './open-listeners';
import { Rebinder } from './rebind';
import type { RetiredListeners } from './retired';
import { versionsOf, type Version } from './versions';

/** What is made anew with a service. */
export type Roles = Pick<Hosted, 'intake' | 'handler' | 'admission'>;

export interface CandidateParts {
  readonly listeners: Pick<Listeners<Hosted>, 'open' | 'close' | 'sharePort' | 'giveWay' | 'isInPlace'>;
  readonly retired: Pick<RetiredListeners, 'retire'> & Iterable<HostedListener>;
  readonly keys: ListenKeys;
  readonly roles: { readonly of: (service: Service) => Roles };
}

/** What it is compared with, which changes with nothing but a candidate. */
export interface InForce {
  readonly hosted: ReadonlyMap<string, Hosted>;
  readonly leaving: ReadonlyMap<string, Hosted>;
  /** Of those that are wanted and not served: by name. */
  readonly services: ReadonlyMap<string, Service>;
}

export interface Wish {
  readonly services: readonly Service[];
  readonly lacks: readonly Lack[];
  /** Whose listeners may be used. */
  readonly scope: readonly Hosted[];
}

export class Candidate {
  readonly opening: Opening;
  readonly rebinder: Rebinder;
  readonly #parts: CandidateParts;
  readonly #inForce: InForce;
  readonly #services: readonly Service[];
  readonly #lacking: Map<string, string>;
  /** Who would serve those for which nothing is lacking. */
  readonly #wanted = new Map<Service, Hosted>();
  /** Their addresses. */
  readonly #keys = new Set<string>();
  /** In place of those of before. */
  readonly #roles = new Map<Service, Roles>();
  readonly #same = new Map<Service, boolean>();
  #isTaken = false;

  constructor({ services, lacks, scope }: Wish, inForce: InForce, parts: CandidateParts) {
    const { listeners, retired, keys } = parts;
    const existing = new Existing(scope, retired, keys, listeners);
    this.rebinder = new Rebinder(listeners, () => existing.besides(this.#keys));
    this.opening = new Opening({ listeners, keys, find: (key) => existing.find(key), rebinder: this.rebinder });
    this.#parts = parts;
    this.#inForce = inForce;
    this.#services = services;
    this.#lacking = new Map(lacks.map(({ name, reason }) => [name, reason]));
  }

  /** What may fail comes before the first socket is bound. */
  *prepare(): Work<readonly Version[]> {
    for (const service of this.#services) {
      this.#compare(service);
      yield 'revocable';
    }
    for (const service of this.#services) {
      if (!this.#lacking.has(service.name)) this.#plan(service);
      yield 'revocable';
    }
    for (const [service, hosted] of this.#wanted) yield* this.opening.open(service, hosted);
    for (const [service, hosted] of this.#wanted) this.opening.renew(service, hosted);
    const [lacking, wanted, opened] = [this.#lacking, this.#wanted, this.opening];
    return versionsOf(this.#services, { lacking, wanted, opened, before: this.#inForce.hosted });
  }

  /** Whether two versions of a service say the same. */
  isSame(before: Service, after: Service): boolean {
    return before === after || (this.#same.get(after) ?? isDeepStrictEqual(before, after));
  }

  /** undefined: those that there are go on. */
  rolesOf(service: Service): Roles | undefined {
    return this.#roles.get(service);
  }

  /** From here on it is in force. */
  take(): void {
    this.#isTaken = true;
  }

  /** Unless it was taken, all is as it was before. */
  giveBack(): void {
    if (this.#isTaken) return;
    for (const listener of this.opening.fresh) this.#undo(listener);
    this.rebinder.restore();
  }

  /** Where an address of a service in force is bound beside the one that it has, clients may have come to the new one. */
  #undo(listener: HostedListener): void {
    const { owner, address } = listener;
    const isServed = this.#inForce.hosted.get(owner.service.name) === owner && address.type !== 'datagram';
    if (isServed) this.#parts.retired.retire(listener);
    else this.#parts.listeners.close(listener);
  }

  /** With the version before, where there is one: the dearest part of a reload of thousands, and done once for each. */
  #compare(service: Service): void {
    const { hosted, services } = this.#inForce;
    const before = hosted.get(service.name)?.service ?? services.get(service.name);
    if (before !== undefined) this.#same.set(service, isDeepStrictEqual(before, service));
  }

  /** One whose sandbox cannot be made is not served without it, and the others are served. */
  #plan(service: Service): void {
    try {
      this.#wanted.set(service, this.#hostedFor(service));
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      this.#lacking.set(service.name, error.message);
      return;
    }
    for (const key of this.#parts.keys.ofService(service)) this.#keys.add(key);
  }

  #hostedFor(service: Service): Hosted {
    const { hosted, leaving } = this.#inForce;
    const served = hosted.get(service.name);
    if (served !== undefined && this.isSame(served.service, service)) return served;
    const roles = this.#parts.roles.of(service);
    const known = served ?? leaving.get(service.name);
    if (known === undefined) return newHosted(service, roles);
    this.#roles.set(service, roles);
    return known;
  }
}

function newHosted(service: Service, roles: Roles): Hosted {
  return { service, ...roles, gate: serviceGate(service.maxConnections), listeners: [], keys: [] };
}
