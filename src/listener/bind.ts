/**
 * From an address to a socket that listens (or, for datagrams, is bound), and how to let go of it: one way for each family.
 * Called by listener.ts.
 */
import { addon, type Fd } from '../native/addon';
import { asSystemError } from '../native/system-error';
import type { SocketAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { takePassedSocket } from './passed';
import { optionsFor } from './options';
import { bindUnixPath } from './unix-path';

export interface BoundSocket {
  readonly fd: Fd;
  /** With the port that the kernel chose, where the configuration left it open. */
  readonly address: SocketAddress;
  /** No new client can reach it from now on; those in the queue still can be accepted. May be undone by `welcome`. */
  readonly holdOff: () => void;
  readonly welcome: () => void;
  readonly release: () => void;
  /** Gives it other options while it serves. @throws SystemError */
  readonly change: (options: SocketOptions) => void;
}

/** @throws SystemError of socket, setsockopt, bind, listen, chmod, chown or rename */
export function bindSocket(address: SocketAddress, options: SocketOptions): BoundSocket {
  if (address.family === 'passed') return takePassedSocket(address, options);
  if (address.family === 'unix' && !address.path.startsWith('@')) return bindUnixPath(address, options);
  const { fd, port } = addon.openListener(address, optionsFor(address, options));
  const isTcp = (address.family === 'ipv4' || address.family === 'ipv6') && address.type === 'stream';
  return {
    fd,
    address: 'port' in address ? { ...address, port } : address,
    holdOff: () => {
      if (isTcp) tryHoldOff(fd, true);
    },
    welcome: () => {
      if (isTcp) tryHoldOff(fd, false);
    },
    release: () => {
      addon.close(fd);
    },
    change: (changed) => {
      addon.setListenerOptions(fd, optionsFor(address, changed));
    },
  };
}

/** Some kernels want CAP_NET_ADMIN for a socket filter. Without it clients go on coming until the close. */
function tryHoldOff(fd: Fd, isOn: boolean): void {
  try {
    addon.holdOff(fd, isOn);
  } catch (error) {
    asSystemError(error);
  }
}
