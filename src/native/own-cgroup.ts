/**
 * Where this process stands in the tree of control groups, version 2 (cgroups(7)), as a folder. Asked while a configuration is
 * loaded, and once before the first group is made; it needs no addon.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/**
 * The group that stdiod moves itself to: one with groups below it may have no processes of its own (the rule of "no internal
 * processes"). Whoever finds stdiod there, or starts it there, means the one above it.
 */
export const MAIN_GROUP = 'stdiod-main';

export interface OwnCgroup {
  /** In which stdiod is, or was before it moved: groups are made in it. */
  readonly folder: string;
  readonly hasMoved: boolean;
  /** The root of the tree, as far as it is visible from here. */
  readonly root: string;
}

/** null: there is no such tree here, or we stand outside of what is mounted of it. */
export function findOwnCgroup(mounts = readProc('mountinfo'), membership = readProc('cgroup')): OwnCgroup | null {
  const [, own] = /^0::(\/.*)$/m.exec(membership) ?? [];
  const mounted = findMount(mounts);
  if (own === undefined || mounted === null) return null;
  const below = relative(mounted.of, own);
  if (below.startsWith('..')) return null;
  const folder = join(mounted.at, below);
  const hasMoved = basename(folder) === MAIN_GROUP;
  return { folder: hasMoved ? dirname(folder) : folder, hasMoved, root: mounted.at };
}

/** proc_pid_mountinfo(5): the fields are id, parent, device, root, mount point, options, …, "-", type. */
function findMount(mounts: string): { of: string; at: string } | null {
  for (const line of mounts.split('\n')) {
    const [, of, at] = /^\d+ \d+ \S+ (\S+) (\S+) .* - cgroup2 /.exec(line) ?? [];
    if (of !== undefined && at !== undefined) return { of: unescapeOctal(of), at: unescapeOctal(at) };
  }
  return null;
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Empty where it cannot be read. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8');
  } catch {
    return '';
  }
}
