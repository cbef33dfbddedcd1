/**
 * Unix sockets with a path. A live socket is never stolen, what is no socket is never touched, and at the end the path is removed
 * only while it is still ours. A path is not a file: the folder may belong to somebody who puts another file there at any
 * moment, so what is to be changed is opened once, compared, and changed by its descriptor. Nor is it a folder: that is opened
 * once, and everything but the bind itself names the file in it. And whoever may list a folder can hold its lock: no call here is one
 * of node:fs, which would wait for that.
 */
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { addon, type Fd, type FileFacts } from '../native/addon';
import { errnoName } from '../native/system-error';
import type { UnixAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { optionsFor } from './options';
import type { ListeningSocket, Origin } from './socket';

/** To chown(2). */
const UNCHANGED = 0xffffffff;
const ALL_PERMISSIONS = 0o777;
const ALL_MODE_BITS = 0o7777;
/** Of what stat(2) calls a mode. */
const KIND = 0o170000;
const SOCKET = 0o140000;

type Identity = Pick<FileFacts, 'dev' | 'ino'>;

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
function statBound(socket: Fd, place: Place): FileFacts {
  return factsOf(addon.fileOf(socket) ?? addon.openFile(place.folder, place.name));
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

/** Whether whoever connects there comes to us, as far as we are told: whoever holds up its folder takes nothing from us. */
export function hasPath({ address, origin }: ListeningSocket): boolean {
  if (!('path' in address) || origin.kind !== 'path') return false;
  try {
    const place = { folder: addon.openFolder(dirname(address.path)), name: basename(address.path) };
    try {
      return isOurs(statIfThere(place), origin);
    } finally {
      addon.close(place.folder);
    }
  } catch (error) {
    return codeOf(error) === 'ETIMEDOUT';
  }
}

/** The path goes while it is still ours, and the name under which it stepped aside: now, or when nobody holds up its folder. */
export function removePath(socket: ListeningSocket): void {
  const { origin } = socket;
  const place = placeOf(socket);
  if (place === null || origin.kind !== 'path') return;
  for (const { folder, name } of [place, ownAsideOf(place, origin)])
    addon.removeOurs(folder, name, origin.device, origin.inode);
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
    if (mode !== null) addon.setMode(file, mode & addon.factsOf(file).mode & ALL_MODE_BITS);
    if (owner !== null || group !== null) addon.setOwner(file, owner ?? UNCHANGED, group ?? UNCHANGED);
    if (mode !== null) addon.setMode(file, mode);
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
  if (!isSocket(there)) throw systemError('EEXIST', 'bind');
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
  if (file === null) return constants.errno.ENOENT;
  try {
    return addon.whoListens({ ...address, path: `/proc/self/fd/${file}` });
  } finally {
    addon.close(file);
  }
}

/** Not over somebody who has come meanwhile. Some file systems have no links, and some users may make none of a socket. */
function putBack(aside: Place, place: Place): void {
  try {
    addon.linkIn(place.folder, aside.name, place.name);
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
    addon.setOwner(file, owner ?? UNCHANGED, group ?? UNCHANGED);
  });
}

/** What is opened is that very file, whatever stands at the path meanwhile. */
function withOurFile(place: Place, origin: Origin, change: (file: Fd) => void): void {
  const file = addon.openFile(place.folder, place.name);
  try {
    const there = addon.factsOf(file);
    if (isSocket(there) && isOurs(there, origin)) change(file);
  } finally {
    addon.close(file);
  }
}

function openIfThere({ folder, name }: Place): Fd | null {
  try {
    return addon.openFile(folder, name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function isSocket({ mode }: FileFacts): boolean {
  return (mode & KIND) === SOCKET;
}

function isOurs(there: Identity | null, origin: Origin): boolean {
  return origin.kind === 'path' && there !== null && isSame(there, { dev: origin.device, ino: origin.inode });
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** null: nobody is there, or we may not know. @throws SystemError, ETIMEDOUT, when somebody holds up the folder */
function statIfThere({ folder, name }: Place): FileFacts | null {
  try {
    return factsOf(addon.openFile(folder, name));
  } catch (error) {
    if (codeOf(error) === 'ETIMEDOUT') throw error;
    return null;
  }
}

function factsOf(file: Fd): FileFacts {
  try {
    return addon.factsOf(file);
  } finally {
    addon.close(file);
  }
}

function renameIfThere(from: Place, to: Place): void {
  try {
    addon.renameIn(from.folder, from.name, to.name);
  } catch {
    // Gone already, or not ours to move: bind tells.
  }
}

function removeIfThere({ folder, name }: Place): void {
  try {
    addon.removeIn(folder, name);
  } catch {
    // It is gone already, or not ours to remove: a later bind tells.
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });
}
