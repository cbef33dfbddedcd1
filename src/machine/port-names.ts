/**
 * Which port a name such as `http` stands for: the TCP or the UDP lines of /etc/services (services(5)).
 */
import { readFileSync } from 'node:fs';
import type { PortNames, Protocol } from '../service/port-text';

/** Empty when there is no such file: small containers come without one. */
export function readPortNames(protocol: Protocol, file = '/etc/services'): PortNames {
  try {
    return parsePortNames(readFileSync(file, 'latin1'), protocol);
  } catch {
    return new Map();
  }
}

/** Names and aliases; the first line that has a name wins, as with getservbyname(3). */
export function parsePortNames(text: string, protocol: Protocol): PortNames {
  const ports = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name, portAndProtocol = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const [, port, ofProtocol] = /^(\d+)\/(\w+)$/.exec(portAndProtocol) ?? [];
    if (port === undefined || ofProtocol !== protocol) continue;
    for (const each of [name, ...aliases]) {
      if (each !== undefined && !ports.has(each)) ports.set(each, Number(port));
    }
  }
  return ports;
}
