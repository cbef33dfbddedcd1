/**
 * What `check` and `print` can tell of this machine where nothing was compiled: accounts from the files in /etc, interfaces from
 * /proc, and of what other users may do, only what is plain to see. UNCHECKED says what that leaves out.
 */
import { accessSync, constants as files, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import type { Addon, Fd } from '../native/addon';

/** The questions that the addon answers better. */
export type NativeAnswers = Pick<
  Addon,
  | 'findUser'
  | 'findGroup'
  | 'groupsOf'
  | 'interfaces'
  | 'hasInterface'
  | 'landlockVersion'
  | 'whyNoAccess'
  | 'openListener'
  | 'close'
  | 'attributeOf'
>;

export const UNCHECKED =
  'the addresses of this machine, accounts outside of /etc/passwd and /etc/group, and what the users of services may run, read and write';

export const withoutAddon: NativeAnswers = {
  findUser: (nameOrId) => users().find(({ name, uid }) => nameOrId === name || nameOrId === uid),
  findGroup,
  groupsOf: (name, gid) => [gid, ...groups().flatMap((group) => (isOther(group, name, gid) ? [group.gid] : []))],
  interfaces: () => interfaces(),
  hasInterface: (name) => interfaces().includes(name),
  openListener: () => ({ fd: NO_FD, port: 0 }),
  close: () => undefined,
  landlockVersion: () => ANY_LANDLOCK,
  // Every unit of systemd's is taken for one with Delegate=yes.
  attributeOf: () => '1',
  whyNoAccess: (path, access, identity) =>
    identity === null ? whyNotOurselves(path, access) : whyNobody(path, access),
};

/** What is needed is taken to be there. */
const ANY_LANDLOCK = 3;

/** Every address is taken for one of this machine's. */
const NO_FD = -1 as Fd;

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

function users(): { name: string; uid: number; gid: number; home: string; shell: string }[] {
  return fieldsOf('/etc/passwd').map(([name = '', , uid, gid, , home = '/', shell = '']) => {
    return { name, uid: Number(uid), gid: Number(gid), home, shell };
  });
}

function findGroup(nameOrId: string | number): { name: string; gid: number } | undefined {
  const found = groups().find(({ name, gid }) => nameOrId === name || nameOrId === gid);
  return found && { name: found.name, gid: found.gid };
}

function groups(): GroupEntry[] {
  return fieldsOf('/etc/group').map(([name = '', , gid, members = '']) => {
    return { name, gid: Number(gid), members: members.split(',') };
  });
}

function isOther({ gid, members }: GroupEntry, name: string, ownGid: number): boolean {
  return gid !== ownGid && members.includes(name);
}

function interfaces(): string[] {
  const lines = textOf('/proc/net/dev').split('\n');
  return lines.flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
}

function fieldsOf(path: string): string[][] {
  const lines = textOf(path).split('\n');
  return lines.filter((line) => /^[^#:+-][^:]*:/.test(line)).map((line) => line.split(':'));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

type Access = Parameters<Addon['whyNoAccess']>[1];

const ASKED: Readonly<Record<Access, number>> = { execute: files.X_OK, read: files.R_OK, write: files.W_OK };
/** All three bits of each. */
const BITS: Readonly<Record<Access, number>> = { execute: 0o111, read: 0o444, write: 0o222 };

function whyNotOurselves(path: string, access: Access): number {
  return errorOf(() => {
    accessSync(path, ASKED[access]);
  });
}

/** Permission bits that are on for nobody at all keep everybody out. */
function whyNobody(path: string, access: Access): number {
  let mode = 0;
  const error = errorOf(() => (mode = statSync(path).mode));
  if (error !== 0) return error;
  return (mode & BITS[access]) === 0 ? constants.errno.EACCES : 0;
}

function errorOf(attempt: () => void): number {
  try {
    attempt();
    return 0;
  } catch (error) {
    return Math.abs((error as NodeJS.ErrnoException).errno ?? constants.errno.EACCES);
  }
}
