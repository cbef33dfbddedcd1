/**
 * What this machine lets a test do, and the `test` to use for it: one that cannot run here is skipped and says why.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { main } from './fixtures';

export const isRoot = process.getuid?.() === 0;
export const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

export const testAsRoot = isRoot ? test : test.skip;
export const testIpv6 = hasIpv6 ? test : test.skip;
export const testNamed = namedPorts().length > 0 ? test : test.skip;

/** An id without an account, for a daemon that is not root. */
export const OTHER_ID = 54321;
/** A command that runs the rest as that id; as an ordinary user one is that already. */
export const asOther: readonly string[] = isRoot
  ? ['setpriv', `--reuid=${OTHER_ID}`, `--regid=${OTHER_ID}`, '--clear-groups']
  : [];
/** Where the id cannot reach Node or the checkout there is no daemon of its own. */
export const testAsOther = isRoot && !worksAsOther() ? test.skip : test;

function worksAsOther(): boolean {
  return spawnSync('env', [...asOther, process.execPath, main, 'version']).status === 0;
}

/** Where the system keeps it: the first of a PATH may be one of root's own. */
export function findProgram(name: string): string {
  const folders = ['/usr/bin', '/bin', '/usr/local/bin', ...(process.env['PATH'] ?? '').split(':')];
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (found === undefined) throw new Error(`${name} is not installed`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Ports side by side that nobody listens on, below those that the kernel gives to clients. */
export async function findFreePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const first = 10_000 + Math.floor(Math.random() * 22_000);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports from 10000 to 32000`);
}

/** One of /etc/services that anybody may bind and nobody has. */
export async function findFreeName(): Promise<[name: string, port: number]> {
  for (const [name, port] of namedPorts()) if (await isFree(port)) return [name, port];
  throw new Error('every port that has a name is in use');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** TCP ports by name. */
function namedPorts(): [string, number][] {
  try {
    const lines = readFileSync('/etc/services', 'utf8').matchAll(/^([\w-]+)\s+(\d+)\/tcp/gm);
    return [...lines]
      .map(([, name = '', port]): [string, number] => [name, Number(port)])
      .filter(([, port]) => port > 1023);
  } catch {
    return [];
  }
}

/**
 * prlimit(2) on a process that runs already; the hard limit stays.
 * @param as a command that runs the rest as the owner of the process: root in a container may lack CAP_SYS_RESOURCE
 */
export function setSoftLimit(
  pid: number,
  name: 'nofile' | 'nproc',
  soft: number | string,
  as: readonly string[] = [],
): void {
  execFileSync('env', [...as, 'prlimit', '--pid', String(pid), `--${name}=${soft}:`]);
}
