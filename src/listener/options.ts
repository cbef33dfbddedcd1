/**
 * Which of a service's socket options one of its sockets gets. Called by those who bind (bind.ts, unix-path.ts, passed.ts).
 */
import type { SocketAddress } from '../service/address';
import { isInScope, OPTION_SCOPES } from '../service/socket-options';
import type { SocketOption, SocketOptions } from '../service/service';

/** A service may have sockets of several kinds; each gets the options that mean something to it. */
export function optionsFor(address: SocketAddress, options: SocketOptions): SocketOptions {
  const given = Object.entries(options.extra) as [SocketOption, number | string][];
  const extra = Object.fromEntries(given.filter(([name]) => isInScope(address, OPTION_SCOPES[name])));
  return { ...options, extra };
}
