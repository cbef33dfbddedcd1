/**
 * Who a service's program runs as: `user`, `group` and `groups` resolved to ids, or the problems with them.
 */
import type { Identity } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { type Account, type Machine, NotNow } from '../machine/machine';
import type { Problem } from '../report/problems';

export interface Person {
  /** null: as stdiod itself, with nothing to change. */
  readonly identity: Identity | null;
  /** Whose home and shell the program is told. */
  readonly account: Account;
}

type Wanted = Pick<ServiceSettings, 'user' | 'group' | 'groups'>;
type Report = (key: keyof Wanted, problem: Problem, index?: number) => void;

/** `user: www-data:www-data` is no user on any machine. */
export function whyNoName(user: string | number): Problem | null {
  const [, name, group] = /^([\w.-]+):([\w.-]+)$/.exec(String(user)) ?? [];
  if (name === undefined || group === undefined) return null;
  return { message: `"${user}" is no user`, remedy: `write "user: ${name}" and "group: ${group}"` };
}

/** undefined: the problems are reported. */
export function resolvePerson(wanted: Wanted, machine: Machine, layers: Layers): Person | undefined {
  const report: Report = (key, problem, index) => {
    layers.onMachine.report(index === undefined ? [key] : [key, index], problem);
  };
  const misspelt = wanted.user === undefined ? null : whyNoName(wanted.user);
  if (misspelt !== null) layers.report(['user'], misspelt);
  if (misspelt !== null) return undefined;
  const find = machine.uid === 0 ? asRoot : asOneself;
  return orNow(
    () => find(wanted, machine, report),
    (problem) => {
      report('user', problem);
    },
  );
}

/** @param report hears why it cannot be told now */
export function orNow<Answer>(ask: () => Answer, report: (problem: Problem) => void): Answer | undefined {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof NotNow)) throw error;
    report({ message: `accounts cannot be looked up at the moment: ${error.code}`, remedy: null });
    return undefined;
  }
}

/** Nothing runs as root unless the file says so. */
function asRoot(wanted: Wanted, machine: Machine, report: Report): Person | undefined {
  const account = findAccount(wanted.user ?? 'nobody', machine);
  if (account === undefined) report('user', unknownAccount(wanted.user), undefined);
  const gid = resolveGroup(wanted, account, machine, report);
  const groups = resolveGroups(wanted, account, machine, report);
  if (account === undefined || gid === undefined || groups === undefined) return undefined;
  return { identity: { user: account.name, uid: account.uid, gid, groups }, account: { ...account, gid } };
}

/** Without root's rights there is only one identity, and to ask for it is no mistake. */
function asOneself(wanted: Wanted, machine: Machine, report: Report): Person | undefined {
  const { uid, gid } = machine;
  const own = findAccount(uid, machine) ?? bareAccount(uid, gid);
  const account = wanted.user === undefined ? own : findAccount(wanted.user, machine);
  if (account === undefined) {
    report('user', unknownAccount(wanted.user));
    return undefined;
  }
  const isUserOwn = account.uid === uid;
  const isGroupOwn = wanted.group === undefined || findGid(wanted.group, machine) === gid;
  if (!isUserOwn) report('user', onlyRoot(`user ${account.name}`, 'user'));
  if (!isGroupOwn) report('group', explainOwnGroup(wanted.group, machine));
  if (wanted.groups !== undefined) report('groups', onlyRoot('the groups', 'groups'));
  return isUserOwn && isGroupOwn && wanted.groups === undefined ? { identity: null, account: own } : undefined;
}

/** As chown(1) does: digits in quotes are a name first, then an id. An id needs no account. */
export function findAccount(nameOrId: string | number, machine: Machine): Account | undefined {
  const found = machine.user(nameOrId);
  if (found !== undefined) return found;
  const uid = idOf(nameOrId);
  return uid === undefined ? undefined : (machine.user(uid) ?? bareAccount(uid, NO_GROUP));
}

/** An account of its own group does not say which: `group` must. */
const NO_GROUP = -1;

function bareAccount(uid: number, gid: number): Account {
  return { name: String(uid), uid, gid, home: '/', shell: '/bin/sh' };
}

function idOf(nameOrId: string | number): number | undefined {
  if (typeof nameOrId === 'number') return nameOrId;
  if (!/^\d{1,10}$/.test(nameOrId)) return undefined;
  const id = Number(nameOrId);
  return id < 0xffffffff ? id : undefined;
}

export function unknownAccount(user: string | number | undefined): Problem {
  if (user === undefined) {
    return {
      message: 'there is no user "nobody" to run as',
      remedy: 'add "user: NAME"; "user: root" if it must be root',
    };
  }
  return { message: `unknown user "${user}"`, remedy: `create it (useradd --system ${user}), or name another one` };
}

function resolveGroup(
  wanted: Wanted,
  account: Account | undefined,
  machine: Machine,
  report: Report,
): number | undefined {
  if (wanted.group !== undefined) {
    const gid = findGid(wanted.group, machine);
    if (gid === undefined) report('group', unknownGroup(wanted.group));
    return gid;
  }
  if (account?.gid !== NO_GROUP) return account?.gid;
  report('user', { message: `user id ${account.uid} has no account, and so no group`, remedy: 'add "group: ID"' });
  return undefined;
}

export function findGid(nameOrId: string | number, machine: Machine): number | undefined {
  return machine.group(nameOrId)?.gid ?? idOf(nameOrId);
}

export function unknownGroup(group: string | number): Problem {
  return { message: `unknown group "${group}"`, remedy: `create it (groupadd --system ${group}), or name another one` };
}

function resolveGroups(
  wanted: Wanted,
  account: Account | undefined,
  machine: Machine,
  report: Report,
): readonly number[] | undefined {
  if (wanted.groups !== undefined) return listedGroups(wanted.groups, machine, report);
  if (wanted.group !== undefined) return [];
  return account === undefined || account.gid === NO_GROUP ? undefined : machine.groupsOf(account);
}

function listedGroups(groups: readonly (string | number)[], machine: Machine, report: Report): number[] | undefined {
  const gids = groups.map((group, index) => {
    const gid = findGid(group, machine);
    if (gid === undefined) report('groups', unknownGroup(group), index);
    return gid;
  });
  const known = gids.filter((gid) => gid !== undefined);
  return known.length === gids.length ? known : undefined;
}

function explainOwnGroup(group: string | number | undefined, machine: Machine): Problem {
  if (group !== undefined && findGid(group, machine) === undefined) return unknownGroup(group);
  return onlyRoot(`group ${group ?? ''}`, 'group');
}

function onlyRoot(what: string, key: string): Problem {
  return { message: `only root can start a program as ${what}`, remedy: `run stdiod as root, or remove "${key}"` };
}
