/**
 * Which services cannot be served as the file wants, why, and what is served of them: told when that changes, and not each time
 * that it is found so again. Pure.
 */
import { formatAddress } from '../../service/address';
import { describeError, type ListenFailure } from './open-listeners';

export interface Shortfall {
  readonly reason: string;
  /** no: nothing of it. partly: at its other addresses. before: as it was before the reload that changed it. */
  readonly served: 'no' | 'partly' | 'before';
}

/** By the name of the service. */
export type Shortfalls = ReadonlyMap<string, Shortfall>;

export interface Change {
  /** Those that lack nothing any more. */
  readonly available: readonly string[];
  readonly unavailable: readonly (readonly [service: string, Shortfall])[];
}

/** @param names of all services that are wanted: one that nobody wants any more does not become available */
export function changeOf(before: Shortfalls, after: Shortfalls, names: ReadonlySet<string>): Change {
  const isNew = ([name, { reason, served }]: readonly [string, Shortfall]): boolean => {
    const known = before.get(name);
    return known?.reason !== reason || known.served !== served;
  };
  return {
    available: [...before.keys()].filter((name) => !after.has(name) && names.has(name)),
    unavailable: [...after].filter(isNew),
  };
}

/** null: nothing has failed. */
export function reasonOf(failures: readonly ListenFailure[]): string | null {
  const [first] = failures;
  if (first === undefined) return null;
  const reason = `listen ${formatAddress(first.address)}: ${describeError(first)}`;
  return failures.length === 1 ? reason : `${reason}; and ${failures.length - 1} more`;
}
