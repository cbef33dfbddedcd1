/**
 * What a service's children find in place of what everybody else has. All of them have it together.
 */
export interface Sandbox {
  /** A network of their own, with a loopback and nothing else; the connection is what it was. */
  readonly privateNetwork: boolean;
  /** System V IPC and POSIX message queues of their own. */
  readonly privateIpc: boolean;
  /** A host name of their own: they may change it where they have the right, and nobody else sees that. */
  readonly privateHostname: boolean;
}

export const NO_SANDBOX: Sandbox = { privateNetwork: false, privateIpc: false, privateHostname: false };
