/**
 * What a service's children find in place of what everybody else has. All of them have it together.
 */
import type { CallGroup } from './system-calls';

export interface Sandbox {
  /** A network of their own, with a loopback and nothing else; the connection is what it was. */
  readonly privateNetwork: boolean;
  /** System V IPC and POSIX message queues of their own. */
  readonly privateIpc: boolean;
  /** A host name of their own: they may change it where they have the right, and nobody else sees that. */
  readonly privateHostname: boolean;
  /** System calls that fail, by group, in the order of the groups. */
  readonly deniedCalls: readonly CallGroup[];
}

export const NO_SANDBOX: Sandbox = {
  privateNetwork: false,
  privateIpc: false,
  privateHostname: false,
  deniedCalls: [],
};

/** Whether the kernel takes it only from those who gain no rights by an exec, or from root with CAP_SYS_ADMIN. */
export function needsNoNewPrivileges({ deniedCalls }: Sandbox): boolean {
  return deniedCalls.length > 0;
}
