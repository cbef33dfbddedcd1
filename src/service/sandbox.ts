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
  /** `/tmp` and `/var/tmp` of their own, the same folder under both names. */
  readonly privateTmp: boolean;
  /** No device works but `null`, `zero`, `full`, `random` and `urandom`. */
  readonly privateDevices: boolean;
  /** `/proc` shows them the processes of their own user, unless that is root. */
  readonly privateProcesses: boolean;
  /** Absolute paths of files and folders in whose place there is nothing to see. */
  readonly hidden: readonly string[];
  /** null: whatever their user may. */
  readonly files: FileRules | null;
  /** System calls that fail, by group, in the order of the groups. */
  readonly deniedCalls: readonly CallGroup[];
}

/** Absolute paths, each with all that is beneath it. What is in none of them cannot be opened. */
export interface FileRules {
  /** What may be read, listed and executed. */
  readonly readOnly: readonly string[];
  /** What may also be written, made and removed. */
  readonly readWrite: readonly string[];
}

export const NO_SANDBOX: Sandbox = {
  privateNetwork: false,
  privateIpc: false,
  privateHostname: false,
  privateTmp: false,
  privateDevices: false,
  privateProcesses: false,
  hidden: [],
  files: null,
  deniedCalls: [],
};

/** Whether the kernel takes it only from those who gain no rights by an exec, or from root with CAP_SYS_ADMIN. */
export function needsNoNewPrivileges({ deniedCalls, files }: Sandbox): boolean {
  return deniedCalls.length > 0 || files !== null;
}
