/**
 * How an entry of `listen` is written, and which sockets it stands for:
 * `PORT`, `ADDRESS:PORT`, `[V6]:PORT` or `*:PORT`, each with an optional `/tcp`, `/tcp4` or `/tcp6`.
 * Pure: the names of /etc/services and whether the kernel has IPv6 are passed in. Called by the configuration.
 */
import { SocketAddress as NodeSocketAddress, isIPv4, isIPv6 } from 'node:net';
import type { AddressFamily, ListenAddress, SocketAddress } from './address';
import { nearestWord } from './nearest';

/** An entry as written, understood but not yet spread over ports and families. */
export interface ListenEntry {
  /** A numeric address in canonical form; `*`: every address of the families. */
  readonly host: string;
  readonly families: readonly AddressFamily[];
  readonly firstPort: number;
  readonly lastPort: number;
}

export interface ListenFault {
  readonly message: string;
  readonly remedy: string | null;
}

export type PortNames = ReadonlyMap<string, number>;

/** Thrown inside this file only, and caught by `parseListen`. */
class Malformed extends Error {
  constructor(
    message: string,
    readonly remedy: string | null,
  ) {
    super(message);
  }
}

export function parseListen(text: string, portNames: PortNames): ListenEntry | ListenFault {
  try {
    return parseEntry(text, portNames);
  } catch (error) {
    if (error instanceof Malformed) return { message: error.message, remedy: error.remedy };
    throw error;
  }
}

/** One `ListenAddress` for each port of the range. */
export function expandListen(entry: ListenEntry, hasIpv6: boolean): ListenAddress[] {
  const families = entry.families.filter((family) => family === 'ipv4' || hasIpv6);
  const addresses: ListenAddress[] = [];
  for (let port = entry.firstPort; port <= entry.lastPort; port += 1) {
    addresses.push({ sockets: families.map((family) => socketAddress(entry.host, family, port)) });
  }
  return addresses;
}

/** The canonical spelling: it parses to the same entry again. */
export function formatListen({ host, families, firstPort, lastPort }: ListenEntry): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  const ports = firstPort === lastPort ? String(firstPort) : `${firstPort}-${lastPort}`;
  if (host !== '*' || families.length > 1) return `${shown}:${ports}`;
  return `${shown}:${ports}/${families[0] === 'ipv6' ? 'tcp6' : 'tcp4'}`;
}

function socketAddress(host: string, family: AddressFamily, port: number): SocketAddress {
  const wildcard = family === 'ipv6' ? '::' : '0.0.0.0';
  return { family, address: host === '*' ? wildcard : host, port };
}

function parseEntry(text: string, portNames: PortNames): ListenEntry {
  refuseOtherSockets(text);
  const { rest, allowed } = splitProtocol(text);
  const { hostText, portText } = splitHost(rest);
  const { host, families } = parseHost(hostText, portText);
  const [firstPort, lastPort] = parsePorts(portText, portNames);
  const common = families.filter((family) => allowed.includes(family));
  if (common.length === 0) throw new Malformed(`${host} is not an address of that protocol`, `write ${rest}`);
  return { host, families: common, firstPort, lastPort };
}

function refuseOtherSockets(text: string): void {
  if (text.trim() !== text || text === '') {
    throw new Malformed(`${quote(text)} is not an address`, 'write a port, or ADDRESS:PORT');
  }
  const scheme = /^(unix|unix-dgram|unix-seqpacket|vsock|fd):/.exec(text)?.[1];
  if (scheme !== undefined) throw unsupported(`${scheme}: addresses`);
  if (text.startsWith('/') || text.startsWith('@')) throw unsupported('Unix sockets');
}

function unsupported(what: string): Malformed {
  return new Malformed(`${what} are not supported in this version`, 'listen on a TCP port: PORT or ADDRESS:PORT');
}

const PROTOCOLS: ReadonlyMap<string, readonly AddressFamily[]> = new Map<string, readonly AddressFamily[]>([
  ['tcp', ['ipv4', 'ipv6']],
  ['tcp4', ['ipv4']],
  ['tcp6', ['ipv6']],
]);

function splitProtocol(text: string): { rest: string; allowed: readonly AddressFamily[] } {
  const slash = text.indexOf('/');
  const protocol = slash < 0 ? 'tcp' : text.slice(slash + 1);
  const allowed = PROTOCOLS.get(protocol);
  if (allowed !== undefined) return { rest: slash < 0 ? text : text.slice(0, slash), allowed };
  if (/^udp[46]?$/i.test(protocol)) throw unsupported('UDP addresses');
  const remedy = isIPv4(text.slice(0, slash))
    ? 'a network is no address: write ADDRESS:PORT'
    : 'write /tcp, /tcp4 or /tcp6';
  throw new Malformed(`unknown protocol ${quote(protocol)}`, remedy);
}

function splitHost(text: string): { hostText: string; portText: string } {
  if (text.startsWith('[')) return splitBracketed(text);
  const colon = text.lastIndexOf(':');
  if (colon < 0) return splitPortAlone(text);
  const hostText = text.slice(0, colon);
  if (hostText.includes(':')) throw tooManyColons(text, hostText, text.slice(colon + 1));
  if (hostText === '')
    throw new Malformed('there is no address before the colon', `write ${text.slice(1)} or *${text}`);
  return { hostText, portText: text.slice(colon + 1) };
}

function splitBracketed(text: string): { hostText: string; portText: string } {
  const [, hostText, portText] = /^\[([^\]]*)\]:([^:]+)$/.exec(text) ?? [];
  if (hostText === undefined || portText === undefined) {
    throw new Malformed(`${quote(text)} is not an address`, 'write [ADDRESS]:PORT');
  }
  if (isIPv4(hostText)) throw new Malformed('brackets are for IPv6 addresses', `write ${hostText}:${portText}`);
  if (!isIPv6(hostText)) throw new Malformed(`${quote(hostText)} is not an IPv6 address`, 'write [ADDRESS]:PORT');
  return { hostText, portText };
}

function splitPortAlone(text: string): { hostText: string; portText: string } {
  if (isIPv4(text)) throw new Malformed(`${text} has no port`, `write ${text}:PORT`);
  return { hostText: '*', portText: text };
}

function tooManyColons(text: string, host: string, port: string): Malformed {
  if (isIPv6(host) && port !== '') {
    return new Malformed('an IPv6 address stands in brackets', `write [${host}]:${port}`);
  }
  if (isIPv6(text)) return new Malformed('an IPv6 address stands in brackets', `write [${text}]:PORT`);
  return new Malformed(`${quote(text)} has too many colons`, 'write one address and one port: ADDRESS:PORT');
}

function parseHost(text: string, portText: string): { host: string; families: readonly AddressFamily[] } {
  if (text === '*') return { host: '*', families: ['ipv4', 'ipv6'] };
  if (isIPv4(text)) return { host: text, families: ['ipv4'] };
  if (isIPv6(text)) return { host: parseIpv6(text, portText), families: ['ipv6'] };
  if (text === 'localhost') throw notAnAddress(text, `write 127.0.0.1:${portText} or [::1]:${portText}`);
  if (/^\d+$/.test(text)) throw notAnAddress(text, `there is only one port, our own: write ${portText}`);
  throw notAnAddress(text, 'names are not looked up: write the IP address');
}

function notAnAddress(text: string, remedy: string): Malformed {
  return new Malformed(`${quote(text)} is not an IP address`, remedy);
}

function parseIpv6(text: string, portText: string): string {
  const [bare = '', zone] = text.split('%');
  const address = new NodeSocketAddress({ address: bare, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (mapped !== undefined) throw new Malformed(`${address} is an IPv4 address`, `write ${mapped}:${portText}`);
  if (zone !== undefined) return `${address}%${zone}`;
  if (!/^fe[89ab]/.test(address)) return address;
  throw new Malformed(`${address} exists on every interface`, `name one: [${address}%INTERFACE]:${portText}`);
}

function parsePorts(text: string, portNames: PortNames): [number, number] {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (first === undefined || last === undefined) {
    const port = parsePort(text, portNames);
    return [port, port];
  }
  const range: [number, number] = [parsePort(first, portNames), parsePort(last, portNames)];
  if (range[0] > range[1]) throw new Malformed(`the range ${text} runs backwards`, `write ${last}-${first}`);
  if (range[0] === 0) throw new Malformed('port 0 lets the kernel choose and begins no range', 'begin at 1');
  return range;
}

function parsePort(text: string, portNames: PortNames): number {
  if (!/^[-+]?\d+$/.test(text)) return findPort(text, portNames);
  const port = Number(text);
  if (!(port >= 0 && port <= 65535)) throw new Malformed(`port must be 0-65535, got ${clip(text)}`, null);
  if (String(port) !== text) throw new Malformed(`port ${clip(text)} is not a plain number`, `write ${port}`);
  return port;
}

function findPort(name: string, portNames: PortNames): number {
  const port = portNames.get(name);
  if (port !== undefined) return port;
  if (portNames.size === 0) {
    throw new Malformed(`unknown port name ${quote(name)}: this machine has no /etc/services`, 'write the number');
  }
  const nearest = nearestWord(name, portNames.keys());
  const guess = nearest === undefined ? '' : `; did you mean ${quote(nearest)}?`;
  throw new Malformed(`unknown port name ${quote(name)}${guess}`, 'write the number, or a TCP name from /etc/services');
}

function quote(text: string): string {
  return `"${clip(text)}"`;
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
