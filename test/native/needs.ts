/**
 * What a test needs of the machine, said in its own name when it is skipped for the want of it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { findOwnCgroup } from '../../src/native/own-cgroup';

const REACHES_ITSELF = `
server = socket.socket(socket.AF_VSOCK)
server.bind((socket.VMADDR_CID_ANY, 0xffffffff))
server.listen()
client = socket.socket(socket.AF_VSOCK)
client.settimeout(0.5)
client.connect((1, server.getsockname()[1]))`;

export interface Need {
  readonly name: string;
  readonly isMet: boolean;
}

export const ROOT: Need = { name: 'root', isMet: process.getuid?.() === 0 };
/** Where a test has numbers of system calls. */
export const X64: Need = { name: 'x86-64', isMet: process.arch === 'x64' };
export const VSOCK: Need = { name: 'vsock', isMet: runsInPython('socket.socket(socket.AF_VSOCK)') };
/** A machine that can reach itself through vsock: VMADDR_CID_LOCAL (Linux 5.6, vsock_loopback). */
export const VSOCK_LOOPBACK: Need = { name: 'vsock loopback', isMet: runsInPython(REACHES_ITSELF) };
/** Of a version that keeps files from being emptied. */
export const LANDLOCK: Need = {
  name: 'Landlock',
  isMet: runsInPython('import ctypes\nassert ctypes.CDLL(None).syscall(444, None, 0, 1) >= 3'),
};
/** A file system of whoever opens it. */
export const FUSE: Need = { name: '/dev/fuse', isMet: existsSync('/dev/fuse') };
export const IPV6: Need = { name: 'IPv6', isMet: hasAddress('::1') };

/** A folder in the tree of cgroup v2 in which groups can be made, with or without controllers. */
export const CGROUP: Need = { name: 'a cgroup v2 of its own', isMet: canMakeGroups() };

function canMakeGroups(): boolean {
  const folder = findOwnCgroup()?.folder;
  if (folder === undefined) return false;
  const probe = join(folder, `stdiod-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    const hasKill = existsSync(join(probe, 'cgroup.kill'));
    rmdirSync(probe);
    return hasKill;
  } catch {
    return false;
  }
}

export function tool(name: string): Need {
  return { name, isMet: spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined };
}

/** `test`, or a skipped one whose title says what is missing. */
export function testWith(...needs: readonly Need[]): (title: string, body: () => Promise<void>) => void {
  const missing = needs.filter(({ isMet }) => !isMet).map(({ name }) => name);
  return (title, body) => {
    if (missing.length === 0) test(title, body);
    else test.skip(`${title} (needs ${missing.join(' and ')})`, body);
  };
}

function runsInPython(script: string): boolean {
  return spawnSync('python3', ['-c', `import socket\n${script}`], { stdio: 'ignore' }).status === 0;
}

/** An address that exists on one link only, with its interface: `fe80::1%eth0`. */
export function linkLocalAddress(): string | null {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const found = addresses?.find(({ address }) => address.startsWith('fe80:'));
    if (found !== undefined) return `${found.address}%${name}`;
  }
  return null;
}

function hasAddress(wanted: string): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === wanted));
}
