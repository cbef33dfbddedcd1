/**
 * Unix sockets with a path. A live socket is never stolen, what is no socket is never touched, and at the end the path is removed
 * only while it is still ours. A path is not a file: the folder may belong to somebody who puts another file there at any
 * moment, so what is to be changed is opened once, compared, and changed by its descriptor.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { addon, type Fd } from '../native/addon';
import { errnoName } from '../native/system-error';
import type { UnixAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { optionsFor } from './options';
import type { ListeningSocket, Origin } from './socket';

/** To chown(2). */
const UNCHANGED = 0xffffffff;
/** Not among Node's constants; the same on every architecture of Linux that we run on. */
const O_PATH = 0o10000000;

type Identity = Pick<Stats, 'dev' | 'ino'>;

/** @throws SystemError; EADDRINUSE: somebody listens there; EEXIST: there is something else */
export function bindUnixPath(address: UnixAddress, options: SocketOptions): ListeningSocket {
  const stale = findStale(address);
  if (stale !== null) removeStale(address, stale);
  const fd = bindWithMode(address, optionsFor(address, options));
  const { dev: device, ino: inode } = lstatSync(address.path);
  const socket: ListeningSocket = {
    fd,
    address,
    configured: address,
    origin: { kind: 'path', device, inode },
    options,
    past: { borrower: null },
  };
  try {
    publish(socket, address.path);
    return socket;
  } catch (error) {
    removePath(socket);
    addon.close(fd);
    throw error;
  }
}

/** Nobody can connect before the socket has its owner. Whoever took it for a stale one until now may have moved it away. */
function publish({ fd, address, origin, options }: ListeningSocket, path: string): void {
  setOwner(path, origin, options);
  addon.setListenerOptions(fd, optionsFor(address, options));
  if (!isOurs(statIfThere(path), origin)) throw systemError('EADDRINUSE', 'bind');
}

/** Whether whoever connects there comes to us. */
export function hasPath({ address, origin }: ListeningSocket): boolean {
  return 'path' in address && isOurs(statIfThere(address.path), origin);
}

/** The path goes while it is still ours. */
export function removePath(socket: ListeningSocket): void {
  if ('path' in socket.address && hasPath(socket)) removeIfThere(socket.address.path);
}

/** Leaves the path to another one of ours for the moment, and stays in the folder under a name of its own. */
export function stepAside(socket: ListeningSocket): void {
  const { address, origin } = socket;
  if (!('path' in address) || !hasPath(socket)) return;
  const aside = ownAsideOf(address.path, origin);
  renameIfThere(address.path, aside);
  const moved = statIfThere(aside);
  if (moved !== null && !isOurs(moved, origin)) putBack(aside, address.path);
}

/** Has its path again, unless the other one has stayed there. */
export function stepBack({ address, origin }: ListeningSocket): void {
  if (!('path' in address)) return;
  const aside = ownAsideOf(address.path, origin);
  if (isOurs(statIfThere(aside), origin)) putBack(aside, address.path);
}

/** Mode and owner of the path, while it is still ours. @throws SystemError of chmod or chown */
export function setPathAccess({ address, origin }: ListeningSocket, options: SocketOptions): void {
  if (!('path' in address)) return;
  const { mode } = options;
  if (mode !== null)
    withOurFile(address.path, origin, (file) => {
      chmodSync(file, mode);
    });
  setOwner(address.path, origin, options);
}

/** Who was there and listens no more; null: nobody. @throws SystemError when somebody does */
function findStale(address: UnixAddress): Identity | null {
  const there = statIfThere(address.path);
  if (there === null) return null;
  if (!there.isSocket()) throw systemError('EEXIST', 'bind');
  const error = addon.whoListens(address);
  if (error === 0) throw systemError('EADDRINUSE', 'bind');
  const code = errnoName(error);
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw systemError(code, 'connect');
  return there;
}

/**
 * Another server may have replaced it since it was asked, or may not have begun to listen. So it is moved away first and looked at
 * then; what is not the stale one goes back. bind(2) itself decides who is first at an empty path.
 */
function removeStale(address: UnixAddress, stale: Identity): void {
  const { path } = address;
  const aside = asideOf(path);
  removeIfThere(aside);
  renameIfThere(path, aside);
  const moved = statIfThere(aside);
  if (moved !== null && (!isSame(moved, stale) || addon.whoListens({ ...address, path: aside }) === 0)) {
    putBack(aside, path);
    throw systemError('EADDRINUSE', 'bind');
  }
  removeIfThere(aside);
}

/** Not over somebody who has come meanwhile. */
function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path);
  } catch {
    // Whoever is there now has the path.
  }
  removeIfThere(aside);
}

function asideOf(path: string): string {
  return join(dirname(path), `.stdiod-${process.pid}`);
}

/** Several may have to step aside in one folder. */
function ownAsideOf(path: string, origin: Origin): string {
  return origin.kind === 'path' ? `${asideOf(path)}-${origin.inode}` : asideOf(path);
}

/** The kernel gives the path the permissions that the socket has when it is bound, less the umask. */
function bindWithMode(address: UnixAddress, options: SocketOptions): Fd {
  const bindOnly = { ...options, bindOnly: true };
  if (options.mode === null) return addon.openListener(address, bindOnly).fd;
  const umask = process.umask(0);
  try {
    return addon.openListener(address, bindOnly).fd;
  } finally {
    process.umask(umask);
  }
}

function setOwner(path: string, origin: Origin, { owner, group }: SocketOptions): void {
  if (owner === null && group === null) return;
  withOurFile(path, origin, (file) => {
    chownSync(file, owner ?? UNCHANGED, group ?? UNCHANGED);
  });
}

/** Opened without following a link; `/proc/self/fd` then leads to that very file, whatever stands at the path meanwhile. */
function withOurFile(path: string, origin: Origin, change: (file: string) => void): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const there = fstatSync(fd);
    if (there.isSocket() && isOurs(there, origin)) change(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

function isOurs(there: Identity | null, origin: Origin): boolean {
  return origin.kind === 'path' && there !== null && isSame(there, { dev: origin.device, ino: origin.inode });
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function statIfThere(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // Gone already, or not ours to move: bind tells.
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already, or not ours to remove: a later bind tells.
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });
}
