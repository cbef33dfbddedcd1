/**
 * What this machine lets a test do, and the `test` to use for it: one that cannot run here is skipped and says why.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { addon, type Fd } from '../../src/native/addon';
import { atEnd } from './endings';
import { main } from './fixtures';

export const isRoot = process.getuid?.() === 0;
export const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

/** Of a version that keeps files from being emptied. */
export const hasLandlock = addon.landlockVersion() >= 3;
export const testLandlock = hasLandlock ? test : test.skip;

/** Taskstats: not in every kernel, and not for a pid or network namespace of its own. */
export const testPeaks = tells(() => addon.openExits()) ? test : test.skip;

export const testAsRoot = isRoot ? test : test.skip;
export const testIpv6 = hasIpv6 ? test : test.skip;
/** A core is written into the folder of the program. */
export const testCore = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim() === 'core' ? test : test.skip;
export const testNamed = namedPorts().length > 0 ? test : test.skip;

/** An id without an account, for a daemon that is not root. */
export const OTHER_ID = 54321;
/** A command that runs the rest as that id; as an ordinary user one is that already. */
export const asOther: readonly string[] = isRoot
  ? ['setpriv', `--reuid=${OTHER_ID}`, `--regid=${OTHER_ID}`, '--clear-groups']
  : [];
/** Where the id cannot reach Node or the checkout there is no daemon of its own. */
export const testAsOther = isRoot && !worksAsOther() ? test.skip : test;

function tells(open: () => Fd): boolean {
  try {
    addon.close(open());
    return true;
  } catch {
    return false;
  }
}

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

/** Ports side by side that nobody has, below those that the kernel gives to clients. They are this test's until it ends. */
export async function findFreePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    const first = 10_000 + Math.floor(Math.random() * 22_000);
    if (await take(Array.from({ length: count }, (_, index) => first + index))) return first;
  }
  throw new Error(`no ${count} free ports from 10000 to 32000`);
}

/** One of /etc/services that anybody may bind and nobody has. */
export async function findFreeName(): Promise<[name: string, port: number]> {
  for (const [name, port] of namedPorts()) if (await take([port])) return [name, port];
  throw new Error('every port that has a name is in use');
}

/** A name for each port keeps tests beside this one away from ports that are free until a daemon has them. */
async function take(ports: readonly number[]): Promise<boolean> {
  const names = await Promise.all(ports.map((port) => listen({ path: `\0stdiod-test-port-${port}` })));
  const release = (): void => {
    for (const name of names) name?.close();
  };
  atEnd(release);
  const isOurs = !names.includes(null) && (await Promise.all(ports.map(isFree))).every(Boolean);
  if (!isOurs) release();
  return isOurs;
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port });
  if (server === null) return false;
  await new Promise((resolve) => server.close(resolve));
  const socket = createSocket('udp4');
  const isBound = new Promise<boolean>((resolve) => {
    socket.once('error', () => {
      resolve(false);
    });
    socket.bind(port, () => {
      resolve(true);
    });
  });
  return isBound.finally(() => {
    socket.close();
  });
}

/** @returns null: somebody has it */
function listen(where: ListenOptions): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(null);
    });
    server.listen(where, () => {
      resolve(server);
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
