/**
 * What can be done with a listening socket, in a table with a row for each way in which we came by it.
 */
import { addon } from '../native/addon';
import { asSystemError } from '../native/system-error';
import type { SocketAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { resetsOf, type SocketOption } from '../service/socket-options';
import { optionsFor } from './options';
import type { PassedSockets } from './passed';
import type { ListeningSocket, Origin } from './socket';
import { bindUnixPath, closeFolder, hasPath, removePath, setPathAccess, stepAside, stepBack } from './unix-path';

interface Verbs {
  /** New clients are kept away. */
  readonly holdOff: (socket: ListeningSocket) => void;
  /** Takes `holdOff` back. */
  readonly welcome: (socket: ListeningSocket) => void;
  /** Whether clients of its address still come to it. */
  readonly isInPlace: (socket: ListeningSocket) => boolean;
  readonly change: (socket: ListeningSocket, options: SocketOptions) => void;
  readonly close: (socket: ListeningSocket) => void;
}

const NOTHING = (): void => undefined;

const VERBS: Readonly<Record<Origin['kind'], Verbs>> = {
  bound: {
    holdOff: (socket) => {
      dropNewClients(socket, true);
    },
    welcome: (socket) => {
      dropNewClients(socket, false);
    },
    isInPlace: hasInterface,
    change: NOTHING,
    close: closeOwn,
  },
  path: {
    holdOff: removePath,
    // Once removed the name may belong to somebody else: a reload that wants the address binds it anew.
    welcome: NOTHING,
    isInPlace: hasPath,
    change: setPathAccess,
    close: (socket) => {
      removePath(socket);
      closeOwn(socket);
      closeFolder(socket);
    },
  },
  // Whoever has bound it knows where.
  passed: { holdOff: NOTHING, welcome: NOTHING, isInPlace: () => true, change: NOTHING, close: NOTHING },
};

export class Sockets {
  readonly #passed: PassedSockets;

  constructor(passed: PassedSockets) {
    this.#passed = passed;
  }

  /** @throws SystemError of socket, setsockopt, bind, listen, chmod, chown or rename */
  open(address: SocketAddress, options: SocketOptions): ListeningSocket {
    if (address.family === 'passed') return this.#passed.take(address, options);
    if (address.family === 'unix' && !address.path.startsWith('@')) return bindUnixPath(address, options);
    const { fd, port } = addon.openListener(address, optionsFor(address, options));
    const bound = 'port' in address ? { ...address, port } : address;
    return { fd, address: bound, configured: address, origin: { kind: 'bound' }, options, past: { borrower: null } };
  }

  holdOff(socket: ListeningSocket): void {
    VERBS[socket.origin.kind].holdOff(socket);
  }

  welcome(socket: ListeningSocket): void {
    VERBS[socket.origin.kind].welcome(socket);
  }

  isInPlace(socket: ListeningSocket): boolean {
    return VERBS[socket.origin.kind].isInPlace(socket);
  }

  /** @returns what the kernel has no way to take back. @throws SystemError; some of the options may have been set */
  change(socket: ListeningSocket, options: SocketOptions): readonly SocketOption[] {
    const { values, stuck } = resetsOf(socket.options.extra, options.extra);
    const changed = { ...options, extra: { ...values, ...options.extra } };
    addon.setListenerOptions(socket.fd, optionsFor(socket.address, changed));
    VERBS[socket.origin.kind].change(socket, options);
    socket.options = options;
    return stuck;
  }

  /** Whether another socket of ours may be bound beside it for a moment; afterwards it is as `options` say. */
  sharePort(socket: ListeningSocket, options: SocketOptions, isShared: boolean): void {
    const isOwn = options.extra.SO_REUSEPORT === 1;
    if ('address' in socket.address) addon.sharePort(socket.fd, isShared || isOwn);
    socket.options = options;
  }

  /** Whether it lets another socket of ours be bound where it is. Taken back, it has its place again unless the other has it. */
  giveWay(socket: ListeningSocket, isGiven: boolean): void {
    if (socket.origin.kind !== 'path') this.sharePort(socket, socket.options, isGiven);
    else if (isGiven) stepAside(socket);
    else stepBack(socket);
  }

  close(socket: ListeningSocket): void {
    VERBS[socket.origin.kind].close(socket);
  }
}

/**
 * Whoever a child has left behind with it would go on listening, and keep its port from whoever binds that next, which may be the
 * next stdiod. A datagram socket keeps its port all the same.
 */
function closeOwn({ fd, address, past }: ListeningSocket): void {
  if (past.borrower !== null && address.type !== 'datagram') addon.stopListening(fd);
  addon.close(fd);
}

/** One that went and came back is another one to the kernel, whatever its name. */
function hasInterface({ fd, address, options }: ListeningSocket): boolean {
  const scope = 'address' in address ? address.address.split('%')[1] : undefined;
  const name = optionsFor(address, options).extra.SO_BINDTODEVICE ?? scope ?? '';
  return name === '' || addon.isOnInterface(fd, String(name));
}

/** TCP alone has handshakes that could be ignored. Some kernels want CAP_NET_ADMIN for a socket filter; without it clients go on coming. */
function dropNewClients({ fd, address: { family, type } }: ListeningSocket, isOn: boolean): void {
  if (type !== 'stream' || (family !== 'ipv4' && family !== 'ipv6')) return;
  try {
    addon.holdOff(fd, isOn);
  } catch (error) {
    asSystemError(error);
  }
}
