/**
 * How an entry of `listen` is written, and which sockets it stands for: a TCP or UDP address (`listen-internet`),
 * `unix:/path`, `unix:@name` and the same with `unix-dgram` and `unix-seqpacket`, `vsock:PORT`, `fd:NAME`.
 * Pure: port names, what was passed to us and whether the kernel has IPv6 are given.
 */
import type { ListenAddress, SocketAddress, SocketType } from './address';
import { type InternetEntry, expandInternet, formatInternet, parseInternet } from './listen-internet';
import { Malformed, type TextFault, orFault, quote } from './malformed';
import type { PortNamesOf } from './port-text';
import { parseUnixName } from './unix-text';

/** An entry as written, understood but not yet spread over ports, families and passed sockets. */
export type ListenEntry = InternetEntry | UnixEntry | VsockEntry | PassedEntry;

export interface UnixEntry {
  readonly kind: 'unix';
  readonly type: SocketType;
  /** A path, relative or not, or `@name`. */
  readonly path: string;
}

export interface VsockEntry {
  readonly kind: 'vsock';
  readonly port: number;
}

export interface PassedEntry {
  readonly kind: 'passed';
  readonly name: string;
}

/** One socket that somebody else has bound and passed to us (sd_listen_fds(3)). */
export interface PassedSocket {
  /** Several may have one name; systemd calls all sockets of a unit alike. */
  readonly name: string;
  /** Its descriptor when we were started, 3 or more. */
  readonly number: number;
  readonly type: SocketType;
}

export interface ListenContext {
  readonly hasIpv6: boolean;
  readonly passed: readonly PassedSocket[];
}

export function parseListen(text: string, namesOf: PortNamesOf): ListenEntry | TextFault {
  return orFault(() => parseEntry(text, namesOf));
}

export function expandListen(entry: ListenEntry, { hasIpv6, passed }: ListenContext): ListenAddress[] {
  if (entry.kind === 'internet') return expandInternet(entry, hasIpv6);
  return expandOther(entry, passed).map((socket) => ({ sockets: [socket] }));
}

/** One socket for each kind that the entry stands for: of a range the first port, and IPv6 even where there is none. */
export function sampleSockets(entry: ListenEntry, passed: readonly PassedSocket[]): readonly SocketAddress[] {
  const first = entry.kind === 'internet' ? { ...entry, lastPort: entry.firstPort } : entry;
  return expandListen(first, { hasIpv6: true, passed }).flatMap(({ sockets }) => sockets);
}

/** All with the name; else, as the word may be a number, the one with the number. */
export function findPassed(name: string, passed: readonly PassedSocket[]): readonly PassedSocket[] {
  const named = passed.filter((socket) => socket.name === name);
  return named.length > 0 ? named : passed.filter(({ number }) => String(number) === name);
}

/** The canonical spelling: it parses to the same entry again. */
export function formatListen(entry: ListenEntry): string {
  switch (entry.kind) {
    case 'internet':
      return formatInternet(entry);
    case 'unix':
      return `${UNIX_SCHEMES[entry.type]}:${entry.path}`;
    case 'vsock':
      return `vsock:${entry.port}`;
    case 'passed':
      return `fd:${entry.name}`;
  }
}

const UNIX_SCHEMES = { stream: 'unix', datagram: 'unix-dgram', seqpacket: 'unix-seqpacket' } as const;

function expandOther(entry: Exclude<ListenEntry, InternetEntry>, passed: readonly PassedSocket[]): SocketAddress[] {
  if (entry.kind === 'unix') return [{ family: 'unix', type: entry.type, path: entry.path }];
  if (entry.kind === 'vsock') return [{ family: 'vsock', type: 'stream', port: entry.port }];
  const found = findPassed(entry.name, passed);
  if (found.length === 0) return [{ family: 'passed', type: 'stream', name: entry.name }];
  const name = (number: number): string => (found.length === 1 ? entry.name : String(number));
  return found.map(({ number, type }) => ({ family: 'passed', type, name: name(number) }));
}

function parseEntry(text: string, namesOf: PortNamesOf): ListenEntry {
  if (text.trim() !== text || text === '') {
    throw new Malformed(`${quote(text)} is not an address`, 'write a port, or ADDRESS:PORT');
  }
  if (/^(\.{0,2}\/|@)/.test(text)) {
    throw new Malformed(`${quote(text)} is not an address`, `for a Unix socket write unix:${text}`);
  }
  refuseScheme(text);
  const [, scheme, rest = ''] = /^(unix|unix-dgram|unix-seqpacket|vsock|fd):(.*)$/s.exec(text) ?? [];
  return scheme === undefined ? parseInternet(text, namesOf) : parseOther(scheme, rest);
}

/** `tcp://127.0.0.1:80`, `udp:53`, as in the configuration of other programs. */
function refuseScheme(text: string): void {
  const [, begin = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:\/\/)([^/]*)/i.exec(text) ?? /^((?:tcp|udp)[46]?:)(.*)$/i.exec(text) ?? [];
  if (begin === '') return;
  const address = rest === '' ? 'ADDRESS:PORT' : rest;
  const protocol = /^udp[46]?/i.exec(begin)?.[0] ?? '';
  const end = protocol === '' ? '' : `/${protocol.toLowerCase()}`;
  throw new Malformed(`"${begin}" is no part of an address`, `write ${address}${end}`);
}

function parseOther(scheme: string, rest: string): ListenEntry {
  if (scheme === 'vsock') return { kind: 'vsock', port: parseVsockPort(rest) };
  if (scheme === 'fd') return { kind: 'passed', name: parsePassedName(rest) };
  const type = scheme === 'unix-dgram' ? 'datagram' : scheme === 'unix-seqpacket' ? 'seqpacket' : 'stream';
  return { kind: 'unix', type, path: parseUnixName(rest, scheme) };
}

/** VMADDR_PORT_ANY, the largest number of 32 bits, names no port (vsock(7)). */
const LARGEST_VSOCK_PORT = 0xfffffffe;

function parseVsockPort(text: string): number {
  const port = Number(text);
  if (/^[1-9]\d*$/.test(text) && port <= LARGEST_VSOCK_PORT) return port;
  const remedy = text.includes(':') ? 'the context is our own: write vsock:PORT' : null;
  throw new Malformed(`a vsock port is a number from 1 to ${LARGEST_VSOCK_PORT}, got ${quote(text)}`, remedy);
}

/** systemd allows printable ASCII without colons (FileDescriptorName=, systemd.socket(5)). */
function parsePassedName(text: string): string {
  if (/^[!-9;-~]+$/.test(text)) return text;
  const remedy = 'write fd:NAME, with the FileDescriptorName= of the socket unit, or fd:3 for the first socket';
  throw new Malformed(`${quote(text)} is not the name of a passed socket`, remedy);
}
