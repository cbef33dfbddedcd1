/**
 * Whether the configuration, and what it runs as root, are the operator's alone: who may write them, or put something else in their
 * place, decides what runs as root. Asked of every folder from the root down, and of every link on the way.
 */
import { dirname, join } from 'node:path';
import type { Identity } from '../../service/service';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import type { Entry, Machine } from './machine';

/** null: not everybody may change it, or stdiod can do no more than they. */
export function whyNotTrusted(file: string, machine: Machine): Problem | null {
  if (machine.uid !== 0) return null;
  const gap = findGap(file, machine);
  if (gap === null) return null;
  if (gap.kind !== 'written') return explainFolder(gap, 'file');
  const message = 'everybody may write the file, and what it says runs as root or as whom it likes';
  return { message, remedy: `chmod o-w ${shellQuoted(gap.path)}` };
}

/** The same for a file that says who may come. */
export function whyNotForRules(file: string, machine: Machine): Problem | null {
  const gap = machine.uid === 0 ? findGap(file, machine) : null;
  if (gap === null) return null;
  if (gap.kind !== 'written') return explainFolder(gap, 'file');
  const message = `everybody may write ${file}, and it says who may come`;
  return { message, remedy: `chmod o-w ${shellQuoted(gap.path)}` };
}

/** The same for what runs as root. */
export function whyNotForRoot(program: string, machine: Machine): Problem | null {
  const gap = machine.uid === 0 ? findGap(program, machine) : null;
  if (gap === null) return null;
  if (gap.kind !== 'written') {
    const { message, remedy } = explainFolder(gap, 'program');
    return { message: `${program} would run as root, and ${message}`, remedy };
  }
  return {
    message: `${program} would run as root, and everybody may write it`,
    remedy: `chmod o-w ${shellQuoted(gap.path)}`,
  };
}

/**
 * The same for a folder that is `/` for a program which is root, or may become root by a set-user-ID file: whose library or list of accounts
 * it finds there, gains that too. Neither everybody nor its own user may write it, or put another in its place.
 * @param identity as whom it starts
 */
export function whyNotForRights(root: string, identity: Identity | null, machine: Machine): Problem | null {
  for (let [path, below] = [machine.realPath(root), null as Entry | null]; ; path = dirname(path)) {
    const entry = machine.entry(path);
    if (typeof entry === 'string') return null;
    // Whose the folder is may take away what is another's all the same.
    const isTheirs = entry.uid !== 0 && entry.uid === identity?.uid;
    const isKept = below?.uid === 0 && (entry.mode & STICKY) !== 0 && !isTheirs;
    const who = isKept ? null : whoMayWrite(path, entry, identity, machine);
    if (who !== null) return explainRights(root, path, who);
    if (path === '/') return null;
    below = entry;
  }
}

/** Everybody, or this user, by what stands at the path. Whose it is may give themselves the permission. null: neither. */
export function whoMayWrite(path: string, entry: Entry, identity: Identity | null, machine: Machine): string | null {
  if ((entry.mode & OTHERS_WRITE) !== 0) return 'everybody';
  if (identity === null || identity.uid === 0) return null;
  const { uid, gid, groups } = identity;
  const error = machine.whyNotWritable(path, identity);
  const isShared = (entry.mode & GROUP_WRITES) !== 0 && [gid, ...groups].includes(entry.gid);
  // Inside of another root folder they may be where they do not come to from outside.
  const mayAllTheSame = (entry.uid === uid || isShared) && error !== 'EROFS' && error !== 'EPERM';
  return error === null || mayAllTheSame ? `user ${uid}` : null;
}

function explainRights(root: string, path: string, who: string): Problem {
  const way = path === root ? 'may write it' : `may put another in its place: ${path}`;
  return {
    message: `${root} would be "/" for a program that is root or may gain rights, and ${who} ${way}`,
    remedy: `chown root ${shellQuoted(path)} && chmod go-w ${shellQuoted(path)}`,
  };
}

/** Who else than root may change what runs as root: whom the operator has chosen, so that it is told and no more. null: nobody. */
export function whoElseForRoot(program: string, machine: Machine): Problem | null {
  if (machine.uid !== 0) return null;
  const top = machine.entry('/');
  const owners = [0, typeof top === 'string' ? 0 : top.uid];
  return onTheWay(program, machine, (_folder, path, entry) => {
    if (!owners.includes(entry.uid)) return elseForRoot(program, path, `user ${entry.uid}`, 'chown -h root');
    const isShared = entry.kind !== 'link' && entry.gid !== 0 && (entry.mode & GROUP_WRITES) !== 0;
    return isShared ? elseForRoot(program, path, `the group ${entry.gid}`, 'chmod g-w') : null;
  });
}

/** What root reads in somebody's stead, who could have it read any other file by a link in its place. null: the way is root's alone. */
export function whyNotForOthers(file: string, machine: Machine): Problem | null {
  if (machine.uid !== 0) return null;
  const gap = findGap(file, machine);
  if (gap !== null && gap.kind !== 'written') return explainFolder(gap, 'file');
  const top = machine.entry('/');
  const owners = [0, typeof top === 'string' ? 0 : top.uid];
  return onTheWay(file, machine, (_folder, path, entry) => {
    if (path === file && entry.kind === 'file') return null;
    const isShared = entry.kind !== 'link' && entry.gid !== 0 && (entry.mode & GROUP_WRITES) !== 0;
    if (owners.includes(entry.uid) && !isShared) return null;
    const who = isShared ? `the group ${entry.gid}` : `user ${entry.uid}`;
    const message = `${who} may put a link to any file of root's in its place: ${path} is not root's alone`;
    return { message, remedy: 'put it in a folder that is, such as /etc/stdiod' };
  });
}

function elseForRoot(program: string, path: string, who: string, remedy: string): Problem {
  const way = path === program ? 'may write it' : `may put another in its place: ${path}`;
  return {
    message: `${program} runs as root, and ${who} ${way}`,
    remedy: `${remedy} ${shellQuoted(path)}, unless ${who} is to be trusted as root is`,
  };
}

/** Where everybody gets in. */
interface Gap {
  /** written: the file itself; replaced: what is in the folder; placed: what is there belongs to one who may have put it there. */
  readonly kind: 'written' | 'replaced' | 'placed';
  readonly path: string;
}

function explainFolder({ kind, path }: Gap, what: string): Problem {
  if (kind === 'replaced') {
    const message = `everybody may put another ${what} in its place: ${path} is writable for all`;
    return { message, remedy: `chmod o-w ${shellQuoted(path)}` };
  }
  const message = `everybody may have put it there: ${dirname(path)} is writable for all, and ${path} is not root's`;
  return { message, remedy: `move it to a folder that is root's, or chown -h root ${shellQuoted(path)}` };
}

const [OTHERS_WRITE, GROUP_WRITES, STICKY] = [0o002, 0o020, 0o1000];

/** As the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

function findGap(file: string, machine: Machine): Gap | null {
  return onTheWay(file, machine, (folder, path, entry) => gapAt(folder, path, entry, machine));
}

/**
 * As the kernel goes to the file; what is not there, or leads nowhere, is for others to tell.
 * @param file absolute, or from our own folder
 * @param ask about what stands at the path in the folder; what it says first is the answer
 */
export function onTheWay<Answer>(
  file: string,
  machine: Machine,
  ask: (folder: string, path: string, entry: Entry) => Answer | null,
): Answer | null {
  const steps = stepsOf(machine.absolute(file));
  let folder = '/';
  let links = 0;
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const path = join(folder, step);
    const entry = step === '..' ? null : machine.entry(path);
    if (typeof entry === 'string') return null;
    const answer = entry === null ? null : ask(folder, path, entry);
    if (answer !== null) return answer;
    const target = entry?.target ?? null;
    folder = nextFolder(folder, path, target);
    steps.unshift(...stepsOf(target ?? ''));
    links += target === null ? 0 : 1;
    if (links > MOST_LINKS) return null;
  }
  return null;
}

/** @param target of the link at the path; null: it is none */
function nextFolder(folder: string, path: string, target: string | null): string {
  if (target === null) return path;
  return target.startsWith('/') ? '/' : folder;
}

function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}

/** A folder that everybody may write is told with what is in it; the permissions of a link mean nothing. */
function gapAt(folder: string, path: string, entry: Entry, machine: Machine): Gap | null {
  const above = machine.entry(folder);
  if (typeof above !== 'string' && (above.mode & OTHERS_WRITE) !== 0) {
    if ((above.mode & STICKY) === 0) return { kind: 'replaced', path: folder };
    if (![0, above.uid].includes(entry.uid)) return { kind: 'placed', path };
  }
  return entry.kind === 'file' && (entry.mode & OTHERS_WRITE) !== 0 ? { kind: 'written', path } : null;
}
