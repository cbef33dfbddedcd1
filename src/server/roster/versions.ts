/**
 * What becomes of each service that the file wants: served as it is wanted, as far as its addresses can be had; or, where nothing of
 * that can be had, as it was before; or not at all.
 */
import type { Service } from '../../service/service';
import type { Hosted, HostedListener } from '../hosted/hosted';
import { reasonOf, type Shortfall } from './lacking';
import type { ListenFailure, OpenedSockets } from './open-listeners';

export interface Version extends Sockets {
  /** The one that is in force from now on; where nothing is, the one that is wanted. */
  readonly service: Service;
  /** null: it is not served. */
  readonly hosted: Hosted | null;
  readonly shortfall: Shortfall | null;
}

interface Sockets {
  readonly listeners: readonly HostedListener[];
  readonly keys: readonly string[];
}

export interface Findings {
  /** What the machine lacks, by the name of the service. */
  readonly lacking: ReadonlyMap<string, string>;
  /** Who would serve those for which nothing is lacking. */
  readonly wanted: ReadonlyMap<Service, Hosted>;
  readonly opened: OpenedSockets;
  /** What is served until now, by name. */
  readonly before: ReadonlyMap<string, Hosted>;
}

export function versionsOf(services: readonly Service[], findings: Findings): Version[] {
  const { lacking, opened } = findings;
  const taken = new Set([...opened.byService.values()].flat());
  const failures = groupByService(opened.failures);
  return services.map((service) => {
    const reason = lacking.get(service.name) ?? reasonOf(failures.get(service.name) ?? []);
    return versionWanted(service, reason, findings) ?? versionBefore(service, reason ?? '', taken, findings);
  });
}

/** There are services, and none of them can be served. */
export function isIdle(versions: readonly Version[]): boolean {
  return versions.length > 0 && versions.every(({ hosted }) => hosted === null);
}

/** null: nothing of it can be had. */
function versionWanted(service: Service, reason: string | null, { wanted, opened }: Findings): Version | null {
  const hosted = wanted.get(service) ?? null;
  const [listeners, keys] = [opened.byService.get(service.name) ?? [], opened.keysOf.get(service.name) ?? []];
  if (hosted === null || !isReachable(service, listeners)) return null;
  return { service, hosted, listeners, keys, shortfall: reason === null ? null : { reason, served: 'partly' } };
}

/** What was served stays in force, but for the addresses that others have by now. */
function versionBefore(
  service: Service,
  reason: string,
  taken: ReadonlySet<HostedListener>,
  { before }: Findings,
): Version {
  const hosted = before.get(service.name) ?? null;
  const left = hosted === null ? NOTHING : socketsLeft(hosted, taken);
  if (hosted === null || !isReachable(hosted.service, left.listeners))
    return { service, hosted: null, ...NOTHING, shortfall: { reason, served: 'no' } };
  return { service: hosted.service, hosted, ...left, shortfall: { reason, served: 'before' } };
}

const NOTHING: Sockets = { listeners: [], keys: [] };

/** At one of its addresses, or by name through tcpmux. */
function isReachable({ tcpmux }: Service, listeners: readonly HostedListener[]): boolean {
  return listeners.length > 0 || tcpmux !== null;
}

/** Nobody else wants them, and none has lost its path to another one. */
function socketsLeft({ listeners, keys }: Hosted, taken: ReadonlySet<HostedListener>): Sockets {
  const paths = new Set([...taken].flatMap(({ address }) => ('path' in address ? [address.path] : [])));
  const isLeft = (listener: HostedListener): boolean => {
    const hasLostPath = 'path' in listener.address && paths.has(listener.address.path);
    return listener.phase === 'open' && !taken.has(listener) && !hasLostPath;
  };
  const left = listeners.flatMap((listener, at) => (isLeft(listener) ? [{ listener, key: keys[at] ?? '' }] : []));
  return { listeners: left.map(({ listener }) => listener), keys: left.map(({ key }) => key) };
}

function groupByService(failures: readonly ListenFailure[]): ReadonlyMap<string, readonly ListenFailure[]> {
  const groups = new Map<string, ListenFailure[]>();
  for (const failure of failures) {
    const group = groups.get(failure.service);
    if (group === undefined) groups.set(failure.service, [failure]);
    else group.push(failure);
  }
  return groups;
}
