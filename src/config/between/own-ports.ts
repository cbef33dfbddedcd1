/**
 * A datagram may carry a forged sender: two services that answer each other would never stop. So each built-in that answers
 * datagrams is told all UDP ports of the configuration, and answers none of them.
 */
import type { Run, Service } from '../../service/service';
import type { Resolved } from '../resolve/resolve';

export function tellOwnPorts(all: readonly Resolved[]): readonly Service[] {
  const ports = formatPorts(ownPorts(all.map(({ service }) => service)));
  return all.map(({ service, isDatagramBuiltin }) => {
    return isDatagramBuiltin && ports !== '' ? { ...service, run: withPorts(service.run, ports) } : service;
  });
}

function withPorts(run: Run, ports: string): Run {
  if (run.kind !== 'exec') return run;
  const { path, argv } = run.command;
  const [name = '', ...rest] = argv;
  return { ...run, command: { path, argv: [name, '--ports', ports, ...rest] } };
}

/** Those that are known before the sockets are bound, sorted. */
function ownPorts(services: readonly Service[]): number[] {
  const enabled = services.filter((service) => service.enabled);
  const sockets = enabled.flatMap(({ listen }) => listen.flatMap((address) => address.sockets));
  const ports = sockets.flatMap((socket) => ('address' in socket && socket.type === 'datagram' ? [socket.port] : []));
  return [...new Set(ports)].filter((port) => port !== 0).sort((a, b) => a - b);
}

/** `7,19,10000-10099`. */
function formatPorts(sorted: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const port of sorted) {
    const current = ranges.at(-1);
    if (current?.last === port - 1) current.last = port;
    else ranges.push({ first: port, last: port });
  }
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
