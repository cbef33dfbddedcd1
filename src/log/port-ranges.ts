/**
 * Many addresses as few words: `0.0.0.0:10000-10999` for a thousand of them. Pure.
 */

/** In the order of the first of each; what has no port, or stands alone, stays as it is. */
export function withRanges(addresses: readonly string[]): string[] {
  const groups = new Map<string, number[]>();
  for (const address of addresses) {
    const [key, port] = splitPort(address);
    const ports = groups.get(key) ?? [];
    if (port !== null) ports.push(port);
    groups.set(key, ports);
  }
  return [...groups].flatMap(([key, ports]) => (ports.length === 0 ? [key] : portRuns(ports).map(insertInto(key))));
}

/** Stands for the port. */
const GAP = '\0';

/** `10.0.0.5:80/udp` → `10.0.0.5:\0/udp` and 80. */
function splitPort(address: string): [key: string, port: number | null] {
  const [, host, port, protocol = ''] = /^(\[[^\]]*\]|[\d.]+):(\d+)(\/udp)?$/.exec(address) ?? [];
  return host === undefined ? [address, null] : [`${host}:${GAP}${protocol}`, Number(port)];
}

function insertInto(key: string): (ports: string) => string {
  return (ports) => key.replace(GAP, ports);
}

function portRuns(ports: readonly number[]): string[] {
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  const runs: [first: number, last: number][] = [];
  for (const port of sorted) {
    const run = runs.at(-1);
    if (run?.[1] === port - 1) run[1] = port;
    else runs.push([port, port]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
}
