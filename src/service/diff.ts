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

/** A service that is not enabled does not exist here: to disable one is to remove it. */
export function diffServices(before: readonly Service[], after: readonly Service[]): ServiceDiff {
  const old = byName(before);
  const next = byName(after);
  const both = [...next.values()].flatMap((service) => {
    const previous = old.get(service.name);
    return previous === undefined ? [] : [{ before: previous, after: service }];
  });
  // The dearest part of a reload of thousands: once for each.
  const keptPairs = new Set(both.filter((pair) => isDeepStrictEqual(pair.before, pair.after)));
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
