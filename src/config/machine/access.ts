/**
 * Why a file or a folder is out of reach: it is not there, or somebody is kept out, and where on the way to it.
 */
import { dirname } from 'node:path';
import type { Identity } from '../../service/service';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import type { Machine } from './machine';

export function explainAbsent(path: string, error: string): Problem {
  if (error === 'ENOENT' || error === 'ENOTDIR')
    return { message: `${path} does not exist`, remedy: 'correct the path' };
  return { message: `${path} cannot be used: ${error}`, remedy: null };
}

/** The machine is short of something, which says nothing about anybody's rights. */
export function isShortage(error: string): boolean {
  return ['EAGAIN', 'EINTR', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(error);
}

/** The first folder on the way that is closed to the identity, or the file itself. */
export function explainClosed(path: string, identity: Identity | null, machine: Machine, error: string): Problem {
  const who = identity === null ? 'stdiod' : `user ${identity.user}`;
  if (isShortage(error))
    return { message: `whether ${who} may use ${path} cannot be told now: ${error}`, remedy: null };
  const folder = firstClosedFolder(path, identity, machine);
  if (folder === undefined) {
    const remedy = `chmod +x ${shellQuoted(path)}, unless an ACL or a noexec mount forbids it`;
    return { message: `${who} may not execute ${path} (${error})`, remedy };
  }
  const remedy = remedyClosed(folder);
  const what = folder === path ? `enter ${path}` : `reach ${path}: the folder ${folder}`;
  return { message: `${who} cannot ${what}${folder === path ? '' : ' is closed to it'} (${error})`, remedy };
}

/** A home was closed for more reasons than this one. */
function remedyClosed(folder: string): string {
  if (/^\/(root|home\/[^/]+)$/.test(folder))
    return `move what is needed out of ${folder} (to /srv or /opt), or choose another "user"`;
  return `chmod o+x ${shellQuoted(folder)}, move what is needed elsewhere, or choose another "user"`;
}

/** On the way to the path, from the root: the first folder that the identity may not enter. */
export function firstClosedFolder(path: string, identity: Identity | null, machine: Machine): string | undefined {
  const itself = isFolder(path, machine) ? [path] : [];
  const folders = [...foldersOf(path), ...foldersOf(machine.realPath(path)), ...itself];
  return folders.find((folder) => machine.whyNotExecutable(folder, identity) !== null);
}

function isFolder(path: string, machine: Machine): boolean {
  const facts = machine.file(path);
  return typeof facts !== 'string' && facts.kind === 'folder';
}

function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) folders.unshift(folder);
  return ['/', ...folders];
}
