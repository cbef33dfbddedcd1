/**
 * Unix sockets with a path. A live socket is never stolen, what is no socket is never touched, and at the end the path is removed
 * only while it is still ours. A path is not a file: the folder may belong to somebody who puts another file there at any
 * moment, so what is to be changed is opened once, compared, and changed by its descriptor. Nor is it a folder: that is opened
 * once, and everything but the bind itself names the file in it.
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
  statSync,
  unlinkSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { constants as system } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { addon, type Fd } from '../native/addon';
import { asSystemError, errnoName } from '../native/system-error';
import type { UnixAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { optionsFor } from './options';
import type { ListeningSocket, Origin } from './socket';

/** To chown(2). */
const UNCHANGED = 0xffffffff;
const ALL_PERMISSIONS = 0o777;
/** Not among Node's constants; the same on every architecture of Linux that we run on. */
const O_PATH = 0o10000000;

type Identity = Pick<Stats, 'dev' | 'ino'>;

/** Where a socket's file is: the folder stays the same one, whatever its path leads to meanwhile. */
interface Place {
  readonly folder: Fd;
  readonly name: string;
}

/** @throws SystemError; EADDRINUSE: somebody listens there; EEXIST: there is something else */
export function bindUnixPath(address: UnixAddress, options: SocketOptions): ListeningSocket {
  const place = { folder: addon.openFolder(dirname(address.path)), name: basename(address.path) };
  try {
    const stale = findStale(address, place);
    if (stale !== null) removeStale(address, place, stale);
    return bindAt(place, address, options);
  } catch (error) {
    addon.close(place.folder);
    throw error;
  }
}

function bindAt(place: Place, address: UnixAddress, options: SocketOptions): ListeningSocket {
  const fd = bindWithMode(address, optionsFor(address, options));
  try {
    const { dev: device, ino: inode } = statBound(fd, place);
    const origin = { kind: 'path', folder: place.folder, device, inode } as const;
    const past = { borrower: null };
    const socket: ListeningSocket = { fd, address, configured: address, origin, options, past };
    publish(socket, place);
    return socket;
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}

/** The kernel knows which file it has made; what its name leads to may be another by now. */
function statBound(socket: Fd, place: Place): Stats {
  const file = addon.fileOf(socket);
  if (file === null) return lstatSync(pathIn(place));
  try {
    return fstatSync(file);
  } finally {
    closeSync(file);
  }
}

/** Nobody can connect before the socket has its owner. Whoever took it for a stale one until now may have moved it away. */
function publish(socket: ListeningSocket, place: Place): void {
  const { fd, address, origin, options } = socket;
  try {
    setOwner(place, origin, options);
    addon.setListenerOptions(fd, optionsFor(address, options));
    if (!isOurs(statIfThere(place), origin)) throw systemError('EADDRINUSE', 'bind');
  } catch (error) {
    removePath(socket);
    throw error;
  }
}

export function closeFolder({ origin }: ListeningSocket): void {
  if (origin.kind === 'path') addon.close(origin.folder);
}

/** Whether whoever connects there comes to us. */
export function hasPath({ address, origin }: ListeningSocket): boolean {
  return 'path' in address && isOurs(statOrNull(address.path), origin);
}

/** The path goes while it is still ours, and the name under which it stepped aside. */
export function removePath(socket: ListeningSocket): void {
  const place = placeOf(socket);
  if (place === null) return;
  for (const own of [place, ownAsideOf(place, socket.origin)])
    if (isOurs(statIfThere(own), socket.origin)) removeIfThere(own);
}

/** Leaves the path to another one of ours for the moment, and stays in the folder under a name of its own. */
export function stepAside(socket: ListeningSocket): void {
  const { origin } = socket;
  const place = placeOf(socket);
  if (place === null || !isOurs(statIfThere(place), origin)) return;
  const aside = ownAsideOf(place, origin);
  renameIfThere(place, aside);
  const moved = statIfThere(aside);
  if (moved !== null && !isOurs(moved, origin)) putBack(aside, place);
}

/** Has its path again, unless the other one has stayed there. */
export function stepBack(socket: ListeningSocket): void {
  const place = placeOf(socket);
  if (place === null) return;
  const aside = ownAsideOf(place, socket.origin);
  if (isOurs(statIfThere(aside), socket.origin)) putBack(aside, place);
}

/**
 * Mode and owner of the path, while it is still ours. What is no longer said is as it comes by itself. In between it is open to
 * nobody to whom it is not open either before or afterwards. @throws SystemError of chmod or chown
 */
export function setPathAccess(socket: ListeningSocket, options: SocketOptions): void {
  const { origin, options: before } = socket;
  const place = placeOf(socket);
  if (place === null) return;
  const mode = options.mode ?? (before.mode === null ? null : ordinaryMode());
  const owner = options.owner ?? (before.owner === null ? null : (process.geteuid?.() ?? null));
  const group = options.group ?? (before.group === null ? null : (process.getegid?.() ?? null));
  withOurFile(place, origin, (file) => {
    if (mode !== null) chmodSync(file, mode & statSync(file).mode);
    if (owner !== null || group !== null) chownSync(file, owner ?? UNCHANGED, group ?? UNCHANGED);
    if (mode !== null) chmodSync(file, mode);
  });
}

/** What the umask leaves of all permissions. */
function ordinaryMode(): number {
  const umask = process.umask(0);
  process.umask(umask);
  return ALL_PERMISSIONS & ~umask;
}

/** Who was there and listens no more; null: nobody. @throws SystemError when somebody does */
function findStale(address: UnixAddress, place: Place): Identity | null {
  const there = statIfThere(place);
  if (there === null) return null;
  if (!there.isSocket()) throw systemError('EEXIST', 'bind');
  const error = whoListens(address, place);
  if (error === 0) throw systemError('EADDRINUSE', 'bind');
  const code = errnoName(error);
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw systemError(code, 'connect');
  return there;
}

/**
 * Another server may have replaced it since it was asked, or may not have begun to listen. So it is moved away first and looked at
 * then; what is not the stale one goes back. bind(2) itself decides who is first at an empty path.
 */
function removeStale(address: UnixAddress, place: Place, stale: Identity): void {
  const aside = asideOf(place);
  removeIfThere(aside);
  renameIfThere(place, aside);
  const moved = statIfThere(aside);
  if (moved !== null && (!isSame(moved, stale) || whoListens(address, aside) === 0)) {
    putBack(aside, place);
    throw systemError('EADDRINUSE', 'bind');
  }
  removeIfThere(aside);
}

/** By a descriptor of the file, whose name is short enough for an address. @returns as `addon.whoListens` */
function whoListens(address: UnixAddress, place: Place): number {
  const file = openIfThere(place);
  if (file === null) return system.errno.ENOENT;
  try {
    return addon.whoListens({ ...address, path: pathOf(file) });
  } finally {
    closeSync(file);
  }
}

/** Not over somebody who has come meanwhile. Some file systems have no links, and some users may make none of a socket. */
function putBack(aside: Place, place: Place): void {
  try {
    linkSync(pathIn(aside), pathIn(place));
  } catch {
    // Whoever is there now has the path.
    if (statIfThere(place) === null) renameIfThere(aside, place);
  }
  removeIfThere(aside);
}

function placeOf({ address, origin }: ListeningSocket): Place | null {
  if (origin.kind !== 'path' || !('path' in address)) return null;
  return { folder: origin.folder, name: basename(address.path) };
}

function asideOf({ folder }: Place): Place {
  return { folder, name: `.stdiod-${process.pid}` };
}

/** Several may have to step aside in one folder. */
function ownAsideOf(place: Place, origin: Origin): Place {
  const { folder, name } = asideOf(place);
  return origin.kind === 'path' ? { folder, name: `${name}-${origin.inode}` } : { folder, name };
}

/** What an open descriptor leads to, also one that was opened with O_PATH. */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function pathIn({ folder, name }: Place): string {
  return join(pathOf(folder), name);
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

function setOwner(place: Place, origin: Origin, { owner, group }: SocketOptions): void {
  if (owner === null && group === null) return;
  withOurFile(place, origin, (file) => {
    chownSync(file, owner ?? UNCHANGED, group ?? UNCHANGED);
  });
}

/** Opened without following a link; `/proc/self/fd` then leads to that very file, whatever stands at the path meanwhile. */
function withOurFile(place: Place, origin: Origin, change: (file: string) => void): void {
  const fd = openSync(pathIn(place), O_PATH | constants.O_NOFOLLOW);
  try {
    const there = fstatSync(fd);
    if (there.isSocket() && isOurs(there, origin)) change(pathOf(fd));
  } finally {
    closeSync(fd);
  }
}

function openIfThere(place: Place): number | null {
  try {
    return openSync(pathIn(place), O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (asSystemError(error).code === 'ENOENT') return null;
    throw error;
  }
}

function isOurs(there: Identity | null, origin: Origin): boolean {
  return origin.kind === 'path' && there !== null && isSame(there, { dev: origin.device, ino: origin.inode });
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function statIfThere(place: Place): Stats | null {
  return statOrNull(pathIn(place));
}

function statOrNull(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function renameIfThere(from: Place, to: Place): void {
  try {
    renameSync(pathIn(from), pathIn(to));
  } catch {
    // Gone already, or not ours to move: bind tells.
  }
}

function removeIfThere(place: Place): void {
  try {
    unlinkSync(pathIn(place));
  } catch {
    // It is gone already, or not ours to remove: a later bind tells.
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });
}
