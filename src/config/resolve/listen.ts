/**
 * From `listen` to the entries that it means, each checked against this machine.
 */
import { dirname, resolve } from 'node:path';
import type { ListenAddress, SocketAddress } from '../../service/address';
import type { InternetEntry } from '../../service/listen-internet';
import { type ListenEntry, expandListen, findPassed, parseListen, sampleSockets } from '../../service/listen-text';
import { isAbstractName, whyTooLong } from '../../service/unix-text';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import { whyNoZone } from './interface';

/** An entry and where it was written. */
export interface WrittenEntry {
  readonly entry: ListenEntry;
  readonly path: Path;
  readonly addresses: readonly ListenAddress[];
  /** One socket of each kind that it stands for, also where this machine has none of it. */
  readonly samples: readonly SocketAddress[];
}

/** Of all services together; the limit on a process's descriptors is of this order (fs.nr_open). */
export const MOST_SOCKETS = 262_144;

export function tooManySockets(what: string): Problem {
  const message = `${what} would have more than ${MOST_SOCKETS} sockets`;
  return { message, remedy: 'listen on fewer ports, or on every address (PORT) in place of many' };
}

export function readListen(listen: ServiceSettings['listen'], machine: Machine, layers: Layers): WrittenEntry[] {
  if (listen === undefined) return [];
  const written = Array.isArray(listen) ? listen : [listen];
  const read: WrittenEntry[] = [];
  let sockets = 0;
  for (const [index, text] of written.entries()) {
    const path = Array.isArray(listen) ? ['listen', index] : ['listen'];
    const entry = readEntry(String(text), machine, layers);
    sockets += 'message' in entry ? 0 : countSockets(entry);
    if (sockets > MOST_SOCKETS) {
      layers.report(path, tooManySockets('the service'));
      break;
    }
    if ('message' in entry) (mayLackNames(String(text), machine) ? layers.onMachine : layers).report(path, entry);
    else read.push(writtenEntry(entry, path, machine));
  }
  return read;
}

/** At the most. */
function countSockets(entry: ListenEntry): number {
  return entry.kind === 'internet' ? (entry.lastPort - entry.firstPort + 1) * entry.families.length : 1;
}

/** A package that goes (netbase) takes every name of a port along. */
export function mayLackNames(text: string, machine: Machine): boolean {
  const port = /:?([^:/]*)(\/[^/]*)?$/.exec(text)?.[1] ?? '';
  return /^[a-z]/i.test(port) && machine.portNames('tcp').size === 0 && machine.portNames('udp').size === 0;
}

function readEntry(text: string, machine: Machine, layers: Layers): ListenEntry | Problem {
  const entry = parseListen(text, (protocol) => machine.portNames(protocol));
  if ('message' in entry || entry.kind !== 'unix') return entry;
  const path = absoluteUnixPath(entry.path, layers.folderOf(['listen']));
  return whyTooLong(path) ?? { ...entry, path };
}

/** `@name` stays as it is. */
export function absoluteUnixPath(path: string, folder: string): string {
  return isAbstractName(path) ? path : resolve(folder, path);
}

function writtenEntry(entry: ListenEntry, path: Path, machine: Machine): WrittenEntry {
  const passed = machine.passedSockets();
  const addresses = expandListen(entry, { hasIpv6: machine.hasIpv6, passed });
  return { entry, path, addresses, samples: sampleSockets(entry, passed) };
}

/** What keeps this machine from binding the entry. @param mayBeAbsent an address need not be there yet */
export function whyNotBindable(entry: ListenEntry, mayBeAbsent: boolean, machine: Machine): Problem | null {
  switch (entry.kind) {
    case 'internet':
      return whyNotInternet(entry, machine) ?? (mayBeAbsent ? null : whyNoAddress(entry, machine));
    case 'unix':
      return isAbstractName(entry.path) ? null : whyNotUnix(entry.path, machine);
    case 'vsock':
      return whyNotVsock(entry.port, machine);
    case 'passed':
      return whyNotPassed(entry.name, machine);
  }
}

function whyNotInternet({ host, families, firstPort, lastPort }: InternetEntry, machine: Machine): Problem | null {
  if (!machine.hasIpv6 && !families.includes('ipv4')) {
    return { message: 'this machine has no IPv6', remedy: 'listen on an IPv4 address' };
  }
  for (let port = firstPort; port <= lastPort; port += 1) {
    if (port !== 0 && !machine.mayBindPort(port)) return privileged(`port ${port}`);
  }
  return whyNoZone(host, machine);
}

/** Many come with a network that is not up yet. */
function whyNoAddress({ host }: InternetEntry, machine: Machine): Problem | null {
  if (host === '*' || machine.hasAddress(host)) return null;
  const remedy = `its addresses are ${machine.addresses().join(', ')}; for one that comes later: "socket: {freebind: true}"`;
  return { message: `this machine has no address ${host}`, remedy };
}

function privileged(what: string): Problem {
  const remedy = 'run as root, give the capability CAP_NET_BIND_SERVICE, or use a port from 1024 up';
  return { message: `stdiod has no right to bind ${what}`, remedy };
}

/** A socket that is there already may be a stale one, which the listener finds out. */
function whyNotUnix(path: string, machine: Machine): Problem | null {
  const folder = machine.file(dirname(path));
  if (folder === 'ENOENT') return { message: `the folder ${dirname(path)} does not exist`, remedy: 'create it' };
  if (typeof folder === 'string') return explainAbsent(dirname(path), folder);
  if (folder.kind !== 'folder') return { message: `${dirname(path)} is not a folder`, remedy: 'correct the path' };
  const facts = machine.file(path);
  if (typeof facts === 'string' || facts.kind === 'other') return null;
  const what = facts.kind === 'folder' ? 'a folder' : 'a file';
  return { message: `${path} is ${what}, and only a socket is replaced`, remedy: 'remove it, or choose another path' };
}

/** LAST_RESERVED_PORT of vsock(7). */
const LAST_RESERVED_VSOCK_PORT = 1023;

function whyNotVsock(port: number, machine: Machine): Problem | null {
  const isFree = port > LAST_RESERVED_VSOCK_PORT || machine.hasCapability('CAP_NET_BIND_SERVICE');
  return isFree ? null : privileged(`vsock port ${port}`);
}

function whyNotPassed(name: string, machine: Machine): Problem | null {
  const passed = machine.passedSockets();
  if (findPassed(name, passed).length > 0) return null;
  const message = `no socket "${name}" was passed to stdiod`;
  if (passed.length === 0) return { message, remedy: 'start stdiod by a socket unit of systemd, or bind an address' };
  const names = passed.map((socket) => (socket.name === '' ? socket.number : `${socket.name} (${socket.number})`));
  return { message, remedy: `the sockets that were passed are ${names.join(', ')}` };
}
