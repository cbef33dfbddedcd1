/**
 * Unix sockets with a path. A stream socket is bound under a temporary name and renamed into place when it listens: nobody
 * ever finds it half made, and a stale one is replaced in one step. A datagram socket is bound to its path itself, because
 * that is the address that its answers come from. A live socket is never stolen, what is no socket is never touched, and at
 * the end the path is removed only while it is still ours.
 */
import { chmodSync, lchownSync, lstatSync, renameSync, unlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { addon, type Fd } from '../native/addon';
import { errnoName } from '../native/system-error';
import type { UnixAddress } from '../service/address';
import type { SocketOptions } from '../service/service';
import { optionsFor } from './options';
import type { ListeningSocket, Origin } from './socket';

/** Longer paths do not fit into sun_path with their NUL. */
const LONGEST_PATH = 107;
/** To chown(2). */
const UNCHANGED = 0xffffffff;
const NUMBER_BASE = 36;

/** @throws SystemError; EADDRINUSE: somebody listens there; EEXIST: there is something else */
export function bindUnixPath(address: UnixAddress, options: SocketOptions): ListeningSocket {
  const isStale = isTakenByStale(address);
  const fd = bindInPlace(address, optionsFor(address, options), isStale);
  const { dev: device, ino: inode } = lstatSync(address.path);
  return { fd, address, configured: address, origin: { kind: 'path', device, inode }, options };
}

/** The path goes while it is still ours. */
export function removePath({ address, origin }: ListeningSocket): void {
  if ('path' in address && isOurs(address.path, origin)) removeIfThere(address.path);
}

/** Mode and owner of the path, while it is still ours. @throws SystemError of chmod or chown */
export function setPathAccess({ address, origin }: ListeningSocket, options: SocketOptions): void {
  if ('path' in address && isOurs(address.path, origin)) setAccess(address.path, options);
}

function isTakenByStale(address: UnixAddress): boolean {
  const there = statIfThere(address.path);
  if (there === null) return false;
  if (!there.isSocket()) throw systemError('EEXIST', 'bind');
  const error = addon.whoListens(address);
  if (error === 0) throw systemError('EADDRINUSE', 'bind');
  const code = errnoName(error);
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw systemError(code, 'connect');
  return true;
}

function bindInPlace(address: UnixAddress, options: SocketOptions, isStale: boolean): Fd {
  const temporary = join(dirname(address.path), `.${process.pid.toString(NUMBER_BASE)}`);
  if (address.type !== 'datagram' && Buffer.byteLength(temporary) <= LONGEST_PATH) {
    return bindAndRename(address, temporary, options);
  }
  if (isStale) removeIfThere(address.path);
  return bindWithAccess(address, options, () => undefined);
}

function bindAndRename(address: UnixAddress, temporary: string, options: SocketOptions): Fd {
  removeIfThere(temporary);
  return bindWithAccess({ ...address, path: temporary }, options, () => {
    renameSync(temporary, address.path);
  });
}

/** It has its mode from birth (native/socket.cc); where nobody may connect before it has its owner, `publish` comes last. */
function bindWithAccess(address: UnixAddress, options: SocketOptions, publish: () => void): Fd {
  const fd = bindWithMode(address, options);
  try {
    setOwner(address.path, options);
    publish();
    return fd;
  } catch (error) {
    addon.close(fd);
    removeIfThere(address.path);
    throw error;
  }
}

function bindWithMode(address: UnixAddress, options: SocketOptions): Fd {
  if (options.mode === null) return addon.openListener(address, options).fd;
  const umask = process.umask(0);
  try {
    return addon.openListener(address, options).fd;
  } finally {
    process.umask(umask);
  }
}

/** Not through a symbolic link: the folder may belong to somebody who would put one there. */
function setOwner(path: string, { owner, group }: SocketOptions): void {
  if (owner !== null || group !== null) lchownSync(path, owner ?? UNCHANGED, group ?? UNCHANGED);
}

function setAccess(path: string, options: SocketOptions): void {
  if (options.mode !== null) chmodSync(path, options.mode);
  setOwner(path, options);
}

function isOurs(path: string, origin: Origin): boolean {
  const there = statIfThere(path);
  return origin.kind === 'path' && there?.ino === origin.inode && there.dev === origin.device;
}

function statIfThere(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
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
