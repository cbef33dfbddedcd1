/**
 * Services that forward to each other: A to B and B to A. A client of one of them would make connections until the limit.
 */
import { type RedirectTarget, parseRedirect } from '../../service/redirect-text';
import type { Machine } from '../machine/machine';
import type { Resolved } from '../resolve/resolve';
import { isOneOf } from '../resolve/redirect';

interface Forwarder {
  readonly resolved: Resolved;
  readonly target: RedirectTarget;
}

/** A service that forwards to itself has been reported with it. */
export function reportCircles(all: readonly Resolved[], machine: Machine): void {
  const forwarders = all.filter(({ service }) => service.enabled).flatMap(forwarderOf);
  const byPlace = byPlaceOf(forwarders);
  const next = ({ target }: Forwarder): Forwarder | undefined =>
    byPlace.get(placeOf(target))?.find(({ resolved }) => isOneOf(resolved.service.listen, target, machine));
  for (const first of forwarders) {
    const circle = circleFrom(first, next);
    if (circle.length < 2) continue;
    const names = [...circle, first].map(({ resolved }) => resolved.service.name);
    const message = `connections would go round for ever: ${names.join(' -> ')}`;
    first.resolved.layers.report(['redirect'], { message, remedy: 'name another target' });
  }
}

/** Effective settings spell the target canonically. */
function forwarderOf(resolved: Resolved): Forwarder[] {
  const target = parseRedirect(resolved.effective.redirect ?? '', () => new Map());
  return 'message' in target ? [] : [{ resolved, target }];
}

/** So that a target is compared with few: its port, or its path. */
function placeOf(target: RedirectTarget): string {
  return 'path' in target ? target.path : String(target.port);
}

function byPlaceOf(forwarders: readonly Forwarder[]): Map<string, Forwarder[]> {
  const found = new Map<string, Forwarder[]>();
  for (const forwarder of forwarders) {
    for (const place of placesOf(forwarder)) found.set(place, [...(found.get(place) ?? []), forwarder]);
  }
  return found;
}

function placesOf({ resolved }: Forwarder): Set<string> {
  const sockets = resolved.service.listen.flatMap((address) => address.sockets);
  return new Set(
    sockets.map((socket) => ('path' in socket ? socket.path : 'port' in socket ? String(socket.port) : '')),
  );
}

/** From the first one until the way comes back to it; empty when it does not. */
function circleFrom(first: Forwarder, next: (from: Forwarder) => Forwarder | undefined): Forwarder[] {
  const seen = new Set([first]);
  for (let at = next(first); at !== undefined; at = next(at)) {
    if (at === first) return [...seen];
    if (seen.has(at)) return [];
    seen.add(at);
  }
  return [];
}
