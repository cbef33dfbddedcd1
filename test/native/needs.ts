/**
 * What a test needs of the machine, said in its own name when it is skipped for the want of it.
 */
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';

export interface Need {
  readonly name: string;
  readonly isMet: boolean;
}

export const ROOT: Need = { name: 'root', isMet: process.getuid?.() === 0 };
export const IPV6: Need = { name: 'IPv6', isMet: hasAddress('::1') };

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
