/**
 * What the configuration loader asks of this machine (config/host.ts), answered by the addon and /proc.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Host } from '../config/host';
import { readTcpPortNames } from '../config/port-names';
import { addon } from '../native/addon';
import { errnoName } from '../native/system-error';

const CAP_NET_BIND_SERVICE = 10n;
const FIRST_UNPRIVILEGED = 1024;

export function systemHost(): Host {
  const firstUnprivileged = readFirstUnprivilegedPort();
  const mayBindAll = hasCapability(CAP_NET_BIND_SERVICE);
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    hasIpv6: existsSync('/proc/net/if_inet6'),
    environment: process.env,
    findUser: (nameOrId) => addon.findUser(nameOrId),
    findGroup: (nameOrId) => addon.findGroup(nameOrId),
    groupsOf: ({ name, gid }) => addon.groupsOf(name, gid),
    whyNotExecutable: (path, identity) => {
      const error = addon.whyNotExecutable(path, identity);
      return error === 0 ? null : errnoName(error);
    },
    tcpPortNames: () => readTcpPortNames(),
    mayBindPort: (port) => port === 0 || mayBindAll || port >= firstUnprivileged,
  };
}

function readFirstUnprivilegedPort(): number {
  const text = readProc('/proc/sys/net/ipv4/ip_unprivileged_port_start');
  return text === null ? FIRST_UNPRIVILEGED : Number(text);
}

function hasCapability(number: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readProc('/proc/self/status') ?? '')?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> number) & 1n) === 1n;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
