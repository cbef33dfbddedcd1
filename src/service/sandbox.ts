/**
 * What a service's children find in place of what everybody else has. All of them have it together.
 */
export interface Sandbox {
  /** A network of their own, with a loopback and nothing else; the connection is what it was. */
  readonly privateNetwork: boolean;
}

export const NO_SANDBOX: Sandbox = { privateNetwork: false };
