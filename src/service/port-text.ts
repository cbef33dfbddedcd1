/**
 * How a port is written: a plain number, or a name of /etc/services.
 */
import { Malformed, clip, quote } from './malformed';
import { nearestWord } from './nearest';

export type Protocol = 'tcp' | 'udp';

export type PortNames = ReadonlyMap<string, number>;

/** /etc/services may give a name to one protocol only, or two ports to one name. */
export type PortNamesOf = (protocol: Protocol) => PortNames;

/** @throws Malformed */
export function parsePort(text: string, protocol: Protocol, namesOf: PortNamesOf): number {
  if (!/^[-+]?\d+$/.test(text)) return findPort(text, protocol, namesOf(protocol));
  const port = Number(text);
  if (!(port >= 0 && port <= 65535)) throw new Malformed(`port must be 0-65535, got ${clip(text)}`, null);
  if (String(port) !== text) throw new Malformed(`port ${clip(text)} is not a plain number`, `write ${port}`);
  return port;
}

function findPort(name: string, protocol: Protocol, names: PortNames): number {
  const port = names.get(name);
  if (port !== undefined) return port;
  if (names.size === 0) {
    throw new Malformed(`unknown port name ${quote(name)}: this machine has no /etc/services`, 'write the number');
  }
  const nearest = nearestWord(name, names.keys());
  const guess = nearest === undefined ? '' : `; did you mean ${quote(nearest)}?`;
  const remedy = `write the number, or a ${protocol.toUpperCase()} name from /etc/services`;
  throw new Malformed(`unknown port name ${quote(name)}${guess}`, remedy);
}
