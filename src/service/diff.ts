/**
 * What a reload changes, as data: services by name, compared as a whole. Pure; `server/reload.ts` applies it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Service } from './service';

export interface ServiceDiff {
  readonly added: readonly Service[];
  readonly changed: readonly { readonly before: Service; readonly after: Service }[];
  readonly removed: readonly Service[];
  readonly kept: readonly Service[];
}

export type IsSame = (before: Service, after: Service) => boolean;

/**
 * A service that is not enabled does not exist here: to disable one is to remove it.
 * @param isSame for a caller who has compared them already
 */
export function diffServices(
  before: readonly Service[],
  after: readonly Service[],
  isSame: IsSame = isDeepStrictEqual,
): ServiceDiff {
  const old = byName(before);
  const next = byName(after);
  const both = [...next.values()].flatMap((service) => {
    const previous = old.get(service.name);
    return previous === undefined ? [] : [{ before: previous, after: service }];
  });
  const keptPairs = new Set(both.filter((pair) => isSame(pair.before, pair.after)));
  return {
    added: [...next.values()].filter(({ name }) => !old.has(name)),
    changed: both.filter((pair) => !keptPairs.has(pair)),
    removed: [...old.values()].filter(({ name }) => !next.has(name)),
    kept: [...keptPairs].map((pair) => pair.after),
  };
}

function byName(services: readonly Service[]): Map<string, Service> {
  return new Map(services.filter(({ enabled }) => enabled).map((service) => [service.name, service]));
}
