/**
 * Which of a service's socket options one of its sockets gets.
 */
import type { SocketAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { valuesInScope } from '../service/socket-options';

/** A service may have sockets of several kinds; each gets the options that mean something to it. */
export function optionsFor(address: SocketAddress, options: SocketOptions): SocketOptions {
  return { ...options, extra: valuesInScope(address, options.extra) };
}

/** For one that is bound beside another one of ours, which shares its port as well. */
export function withSharedPort(options: SocketOptions): SocketOptions {
  return { ...options, extra: { ...options.extra, SO_REUSEPORT: 1 } };
}
