/**
 * Whether what a program with more rights than its user takes on inside of another root folder is root's: itself, who loads it, its
 * libraries and the accounts. Asked of each of them, and of every folder and link on the way, as they lead inside.
 */
import { isAbsolute, join } from 'node:path';
import type { Identity } from '../../service/service';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import { loaderOf } from './elf';
import { inside } from './inside';
import type { Machine } from './machine';
import { onTheWay, whoMayWrite } from './trusted';

/** As the kernel looks for libraries without being told where, and those who read their own lists of folders. */
const LIBRARIES = ['/lib', '/lib32', '/lib64', '/libx32', '/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libx32'];
const BY_PROCESSOR = ['x86_64-linux-gnu', 'i386-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf'];
const LOADER_FILES = ['ld.so.preload', 'ld.so.cache', 'ld.so.conf', 'ld-musl-x86_64.path', 'ld-musl-aarch64.path'];
const ACCOUNT_FILES = ['passwd', 'shadow', 'group', 'gshadow', 'nsswitch.conf', 'sudoers', 'pam.conf', 'pam.d'];
const TRUSTED = [
  ...LIBRARIES,
  ...['/lib', '/usr/lib'].flatMap((folder) => BY_PROCESSOR.map((name) => `${folder}/${name}`)),
  '/usr/local/lib',
  ...[...LOADER_FILES, ...ACCOUNT_FILES].map((name) => `/etc/${name}`),
];

/** A script's interpreter may be another script; the kernel follows four. */
const MOST_INTERPRETERS = 5;
/** Of a program, in which the name of its loader is looked for. */
const MOST_BYTES = 1 << 20;

/** null: neither everybody nor its user may write any of it. @param programs as they are named inside; who is not there is told elsewhere */
export function whyNotForRightsInside(
  root: string,
  programs: readonly string[],
  identity: Identity | null,
  outside: Machine,
): Problem | null {
  const machine = inside(root, outside);
  const named = programs.filter(isAbsolute).flatMap((program) => [program, ...startersOf(program, machine)]);
  for (const path of new Set([...named, ...TRUSTED])) {
    const problem = whyNotOne(path, root, identity, machine, outside);
    if (problem !== null) return problem;
  }
  return null;
}

/** Whoever may write a folder may also put there what is not there yet: no sticky bit keeps them from that. */
function whyNotOne(
  path: string,
  root: string,
  identity: Identity | null,
  machine: Machine,
  outside: Machine,
): Problem | null {
  return onTheWay(path, machine, (_folder, found, entry) => {
    const at = join(root, found);
    const who = entry.kind === 'link' ? null : whoMayWrite(at, entry, identity, outside);
    return who === null ? null : explain(root, path, at, who);
  });
}

function explain(root: string, path: string, at: string, who: string): Problem {
  return {
    message: `inside ${root} a program that is root or may gain rights takes ${path} on, and ${who} may write ${at}`,
    remedy: `chown root ${shellQuoted(at)} && chmod go-w ${shellQuoted(at)}`,
  };
}

/** Whom the kernel starts in a program's place, one after the other: the interpreters of scripts, and who loads the last. */
function startersOf(program: string, machine: Machine): string[] {
  const found: string[] = [];
  for (let next: string | null = program; next !== null && found.length < MOST_INTERPRETERS;) {
    const head = machine.contents(next, MOST_BYTES);
    next = typeof head === 'string' ? null : (scriptedBy(head) ?? loaderOf(head));
    if (next !== null) found.push(next);
  }
  return found.filter(isAbsolute);
}

function scriptedBy(head: Buffer): string | null {
  if (head.toString('latin1', 0, 2) !== '#!') return null;
  const [line = ''] = head.toString('utf8', 2, 256).split('\n');
  return line.trim().split(/[ \t]+/)[0] ?? null;
}
