/**
 * How the target of `redirect` is written: `HOST:PORT`, `[V6]:PORT`, `unix:/path`, or `unix:@name`.
 * Pure: a host name stays a name, which is resolved for each connection.
 */
import { isIPv4 } from 'node:net';
import { formatHostPort } from './address';
import { parseIpv6, splitBracketed, tooManyColons } from './listen-internet';
import { Malformed, type TextFault, orFault, quote } from './malformed';
import { type PortNamesOf, parsePort } from './port-text';
import { parseUnixName } from './unix-text';

/** A path, or `@name`. */
export type RedirectTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** A path stays as it is written, relative or not. */
export function parseRedirect(text: string, namesOf: PortNamesOf): RedirectTarget | TextFault {
  return orFault(() => parseTarget(text, namesOf));
}

/** The canonical spelling: it parses to the same target again. */
export function formatRedirect(target: RedirectTarget): string {
  return 'path' in target ? `unix:${target.path}` : formatHostPort(target.host, target.port);
}

function parseTarget(text: string, namesOf: PortNamesOf): RedirectTarget {
  if (text.startsWith('unix:')) return { path: parseUnixName(text.slice('unix:'.length), 'unix') };
  refuseForeign(text);
  const { hostText, portText } = text.startsWith('[') ? splitBracketed(text) : splitHost(text);
  const host = hostText.includes(':') ? parseIpv6(hostText, portText) : parseHost(hostText, portText);
  const port = parsePort(portText, 'tcp', namesOf);
  if (port === 0) throw new Malformed('nobody listens on port 0', 'write the port of the target');
  return { host, port };
}

/** Other programs' ways to write it. */
function refuseForeign(text: string): void {
  if (/^(\.{0,2}\/|@)/.test(text)) {
    throw new Malformed(`${quote(text)} is not a target`, `for a Unix socket write unix:${text}`);
  }
  const [, host, port] = /^\s*(\S+)\s+(\S+)\s*$/.exec(text) ?? [];
  if (host !== undefined && port !== undefined) {
    throw new Malformed(`${quote(text)} has a blank in it`, `write ${formatHostPort(host, 0).slice(0, -1)}${port}`);
  }
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme !== undefined) throw new Malformed(`"${scheme}" is no part of a target`, 'write HOST:PORT');
  if (/\/\w*$/.test(text)) throw new Malformed('only TCP is redirected', `write ${text.replace(/\/.*/s, '')}`);
}

function splitHost(text: string): { hostText: string; portText: string } {
  const colon = text.lastIndexOf(':');
  if (colon < 0 && /^\d+$/.test(text)) throw new Malformed(`${text} names no host`, `write 127.0.0.1:${text}`);
  if (colon < 0) throw new Malformed(`${quote(text)} has no port`, 'write HOST:PORT');
  const hostText = text.slice(0, colon);
  if (hostText.includes(':')) throw tooManyColons(text, hostText, text.slice(colon + 1));
  return { hostText, portText: text.slice(colon + 1) };
}

/** A label may begin with "_" in practice; a name that ends with a number would be a wrong IPv4 address. */
const HOST_NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?!\d+\.?$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.?$/i;

function parseHost(text: string, portText: string): string {
  if (isIPv4(text) || HOST_NAME.test(text)) return text;
  if (text === '' || text === '*') throw new Malformed('the target has no host', `write 127.0.0.1:${portText}`);
  throw new Malformed(`${quote(text)} is neither an IP address nor a host name`, 'write HOST:PORT');
}
