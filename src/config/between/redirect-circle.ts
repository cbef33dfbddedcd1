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

/** More names than these say nothing more. */
const MOST_NAMED = 10;

/** A service that forwards to itself has been reported with it. */
export function reportCircles(all: readonly Resolved[], machine: Machine): void {
  const forwarders = all.filter(({ service }) => service.enabled).flatMap(forwarderOf);
  const targets = new Targets(forwarders, machine);
  const seen = new Set<Forwarder>();
  for (const first of forwarders) {
    const circle = circleFrom(first, seen, (from) => targets.next(from));
    if (circle.length > 1) report(circle);
  }
}

/** To each of them, with itself in front. */
function report(circle: readonly Forwarder[]): void {
  for (const [index, { resolved }] of circle.entries()) {
    if (resolved.layers.isFull) return;
    const named = Math.min(circle.length, MOST_NAMED);
    const names = Array.from({ length: named }, (_, step) => nameOf(circle[(index + step) % circle.length]));
    const rest = circle.length > named ? ['…'] : [];
    const message = `connections would go round for ever: ${[...names, ...rest, resolved.service.name].join(' -> ')}`;
    resolved.layers.report(['redirect'], { message, remedy: 'name another target' });
  }
}

function nameOf(forwarder: Forwarder | undefined): string {
  return forwarder?.resolved.service.name ?? '';
}

/** Effective settings spell the target canonically. */
function forwarderOf(resolved: Resolved): Forwarder[] {
  const target = parseRedirect(resolved.effective.redirect ?? '', () => new Map());
  return 'message' in target ? [] : [{ resolved, target }];
}

/** Who is reached through a target: the service at its port and address, or at its port on every address. */
class Targets {
  private readonly byPlace = new Map<string, Forwarder>();

  constructor(
    forwarders: readonly Forwarder[],
    private readonly machine: Machine,
  ) {
    for (const forwarder of forwarders) {
      for (const place of placesOf(forwarder)) if (!this.byPlace.has(place)) this.byPlace.set(place, forwarder);
    }
  }

  next({ target }: Forwarder): Forwarder | undefined {
    const places =
      'path' in target ? [target.path] : ['0.0.0.0', '::', target.host].map((at) => `${target.port} ${at}`);
    const near = places.map((place) => this.byPlace.get(place)).filter((each) => each !== undefined);
    return near.find(({ resolved }) => isOneOf(resolved.service.listen, target, this.machine));
  }
}

function placesOf({ resolved }: Forwarder): string[] {
  const sockets = resolved.service.listen.flatMap((address) => address.sockets);
  return sockets.flatMap((socket) => {
    if ('path' in socket) return [socket.path];
    return 'address' in socket && socket.type === 'stream' ? [`${socket.port} ${socket.address}`] : [];
  });
}

/** From the first one until the way comes back to where it was; empty when it does not, or was walked before. */
function circleFrom(
  first: Forwarder,
  seen: Set<Forwarder>,
  next: (from: Forwarder) => Forwarder | undefined,
): readonly Forwarder[] {
  const way: Forwarder[] = [];
  let at: Forwarder | undefined = first;
  while (at !== undefined && !seen.has(at)) {
    seen.add(at);
    way.push(at);
    at = next(at);
  }
  const back = at === undefined ? -1 : way.indexOf(at);
  return back < 0 ? [] : way.slice(back);
}
