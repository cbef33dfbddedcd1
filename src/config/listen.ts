/**
 * From `listen` to the entries that it means, each checked against this machine. Called by `resolve`.
 */
import { type ListenEntry, parseListen } from '../service/listen-text';
import type { Layers } from './layers';
import type { Machine } from './machine';
import type { Path } from './path';
import type { Problem } from './problems';
import type { ServiceSettings } from './schema';

/** An entry and where it was written. */
export interface WrittenEntry {
  readonly entry: ListenEntry;
  readonly path: Path;
}

export function readListen(listen: ServiceSettings['listen'], machine: Machine, layers: Layers): WrittenEntry[] {
  if (listen === undefined) return [];
  const written = Array.isArray(listen) ? listen : [listen];
  const read: WrittenEntry[] = [];
  for (const [index, text] of written.entries()) {
    const path = Array.isArray(listen) ? ['listen', index] : ['listen'];
    const entry = parseListen(String(text), machine.portNames());
    if ('message' in entry) layers.report(path, entry);
    else read.push({ entry, path });
  }
  return read;
}

/** What keeps this machine from binding the entry. */
export function whyNotBindable(entry: ListenEntry, machine: Machine): Problem | null {
  if (!machine.host.hasIpv6 && !entry.families.includes('ipv4')) {
    return { message: 'this machine has no IPv6', remedy: 'listen on an IPv4 address' };
  }
  for (let port = entry.firstPort; port <= entry.lastPort; port += 1) {
    if (port !== 0 && !machine.mayBindPort(port)) return privileged(port);
  }
  return null;
}

function privileged(port: number): Problem {
  const remedy = 'run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up';
  return { message: `stdiod has no right to bind port ${port}`, remedy };
}
