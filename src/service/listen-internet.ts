/**
 * How a TCP or UDP address is written: `PORT`, `ADDRESS:PORT`, `[V6]:PORT` or `*:PORT`, each with an optional `/tcp`, `/udp`,
 * `/tcp4`, `/tcp6`, `/udp4` or `/udp6`.
 */
import { SocketAddress as NodeSocketAddress, isIPv4, isIPv6 } from 'node:net';
import type { AddressFamily, InternetAddress, ListenAddress } from './address';
import { Malformed, quote } from './malformed';
import { type PortNamesOf, type Protocol, parsePort } from './port-text';

export interface InternetEntry {
  readonly kind: 'internet';
  readonly type: InternetAddress['type'];
  /** A numeric address in canonical form; `*`: every address of the families. */
  readonly host: string;
  readonly families: readonly AddressFamily[];
  readonly firstPort: number;
  readonly lastPort: number;
}

/** @throws Malformed */
export function parseInternet(text: string, namesOf: PortNamesOf): InternetEntry {
  const { rest, protocol, allowed } = splitProtocol(text);
  const { hostText, portText } = splitHost(rest);
  const { host, families } = parseHost(hostText, portText);
  const [firstPort, lastPort] = parsePorts(portText, protocol, namesOf);
  const common = families.filter((family) => allowed.includes(family));
  if (common.length === 0) {
    const remedy = `write ${rest}${protocol === 'udp' ? '/udp' : ''}`;
    throw new Malformed(`${host} is not an address of that protocol`, remedy);
  }
  const type = protocol === 'udp' ? 'datagram' : 'stream';
  return { kind: 'internet', type, host, families: common, firstPort, lastPort };
}

/** One `ListenAddress` for each port of the range. IPv6 is left out where there is none, unless nothing else is asked for. */
export function expandInternet(entry: InternetEntry, hasIpv6: boolean): ListenAddress[] {
  const usable = entry.families.filter((family) => family === 'ipv4' || hasIpv6);
  const families = usable.length === 0 ? entry.families : usable;
  const addresses: ListenAddress[] = [];
  for (let port = entry.firstPort; port <= entry.lastPort; port += 1) {
    addresses.push({ sockets: families.map((family) => socketAddress(entry, family, port)) });
  }
  return addresses;
}

/** The canonical spelling: it parses to the same entry again. */
export function formatInternet({ type, host, families, firstPort, lastPort }: InternetEntry): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  const ports = firstPort === lastPort ? String(firstPort) : `${firstPort}-${lastPort}`;
  const protocol = type === 'datagram' ? 'udp' : 'tcp';
  if (host === '*' && families.length === 1) return `*:${ports}/${protocol}${families[0] === 'ipv6' ? 6 : 4}`;
  return `${shown}:${ports}${protocol === 'udp' ? '/udp' : ''}`;
}

function socketAddress({ host, type }: InternetEntry, family: AddressFamily, port: number): InternetAddress {
  const wildcard = family === 'ipv6' ? '::' : '0.0.0.0';
  return { family, type, address: host === '*' ? wildcard : host, port };
}

const BOTH_FAMILIES: readonly AddressFamily[] = ['ipv4', 'ipv6'];

function splitProtocol(text: string): { rest: string; protocol: Protocol; allowed: readonly AddressFamily[] } {
  const slash = text.indexOf('/');
  if (slash < 0) return { rest: text, protocol: 'tcp', allowed: BOTH_FAMILIES };
  const [, protocol, version] = /^(tcp|udp)([46]?)$/.exec(text.slice(slash + 1)) ?? [];
  if (protocol === undefined) throw unknownProtocol(text.slice(0, slash), text.slice(slash + 1));
  const allowed = BOTH_FAMILIES.filter((family) => family.endsWith(version ?? ''));
  return { rest: text.slice(0, slash), protocol: protocol === 'udp' ? 'udp' : 'tcp', allowed };
}

function unknownProtocol(before: string, protocol: string): Malformed {
  const remedy = isIPv4(before)
    ? 'a network is no address: write ADDRESS:PORT'
    : 'write /tcp, /udp, /tcp4, /tcp6, /udp4 or /udp6';
  return new Malformed(`unknown protocol ${quote(protocol)}`, remedy);
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

/** `[V6]:PORT`. @throws Malformed */
export function splitBracketed(text: string): { hostText: string; portText: string } {
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

/** @returns the error for a text in which an IPv6 address may stand without brackets */
export function tooManyColons(text: string, host: string, port: string): Malformed {
  if (isIPv6(host) && port !== '') {
    return new Malformed('an IPv6 address stands in brackets', `write [${host}]:${port}`);
  }
  if (isIPv6(text)) return new Malformed('an IPv6 address stands in brackets', `write [${text}]:PORT`);
  return new Malformed(`${quote(text)} has too many colons`, 'write one address and one port: ADDRESS:PORT');
}

function parseHost(text: string, portText: string): { host: string; families: readonly AddressFamily[] } {
  if (text === '*') return { host: '*', families: BOTH_FAMILIES };
  if (isIPv4(text)) return { host: text, families: ['ipv4'] };
  if (isIPv6(text)) return { host: parseIpv6(text, portText), families: ['ipv6'] };
  if (text === 'localhost') throw notAnAddress(text, `write 127.0.0.1:${portText} or [::1]:${portText}`);
  if (/^\d+$/.test(text)) throw notAnAddress(text, `there is only one port, our own: write ${portText}`);
  throw notAnAddress(text, 'names are not looked up: write the IP address');
}

function notAnAddress(text: string, remedy: string): Malformed {
  return new Malformed(`${quote(text)} is not an IP address`, remedy);
}

/** The canonical spelling. @throws Malformed */
export function parseIpv6(text: string, portText: string): string {
  const [bare = '', zone] = text.split('%');
  const address = new NodeSocketAddress({ address: bare, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (mapped !== undefined) throw new Malformed(`${address} is an IPv4 address`, `write ${mapped}:${portText}`);
  if (zone !== undefined) return `${address}%${zone}`;
  if (!/^fe[89ab]/.test(address)) return address;
  throw new Malformed(`${address} exists on every interface`, `name one: [${address}%INTERFACE]:${portText}`);
}

function parsePorts(text: string, protocol: Protocol, namesOf: PortNamesOf): [number, number] {
  if (protocol === 'tcp' && !namesOf('tcp').has(text) && namesOf('udp').has(text)) {
    throw new Malformed(`${quote(text)} is a port of UDP alone`, `write ${text}/udp`);
  }
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  if (first === undefined || last === undefined) {
    const port = parsePort(text, protocol, namesOf);
    return [port, port];
  }
  const range: [number, number] = [parsePort(first, protocol, namesOf), parsePort(last, protocol, namesOf)];
  if (range[0] > range[1]) throw new Malformed(`the range ${text} runs backwards`, `write ${last}-${first}`);
  if (range[0] === 0) throw new Malformed('port 0 lets the kernel choose and begins no range', 'begin at 1');
  return range;
}
