// How stdiod and the bare C loop are started, each with any number of services. Used by every benchmark.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Launch } from './daemon';
import type { Programs } from './programs';

/** Of a service, as the configuration has them. */
export type Keys = Readonly<Record<string, unknown>>;

export interface Served {
  readonly name: string;
  readonly port: number;
  readonly program: string;
  /** More of them; the bare loop knows none. */
  readonly keys?: Keys;
}

export const runsAsRoot = process.getuid?.() === 0;

const ownCheckout = path.join(__dirname, '..', '..');

export function launchLoop(programs: Programs, services: readonly Served[]): Launch {
  return { argv: [programs.loop, ...services.flatMap((service) => [String(service.port), service.program])] };
}

/**
 * Logs each connection, as JSON lines to a file. `user`: nothing leaves it to stdiod's default.
 * `idle`: more addresses to listen on, where nobody calls. `checkout`: whose build runs.
 */
export function launchStdiod(
  folder: string,
  name: string,
  services: readonly Served[],
  user?: string,
  idle?: string,
  checkout = ownCheckout,
): Launch {
  const file = path.join(folder, `${name}.yaml`);
  const described = Object.fromEntries(services.map((each) => describe(each, user)));
  const more = idle === undefined ? {} : { idle: { listen: idle, exec: ['true'] } };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ services: { ...described, ...more } }));
  return { argv: [process.execPath, path.join(checkout, 'dist/src/main.js'), 'run', '-c', file] };
}

/** As root the peers run a service as root when they are told so; stdiod must be told so too to do the same work. */
export function sameUser(): string | undefined {
  return runsAsRoot ? 'root' : undefined;
}

function describe(service: Served, user: string | undefined): [string, object] {
  const { name, port, program, keys } = service;
  const common = { listen: `127.0.0.1:${port}`, exec: [program], max_connections: 10_000, max_per_peer: 10_000 };
  return [name, { ...common, ...(user === undefined ? {} : { user }), ...keys }];
}
