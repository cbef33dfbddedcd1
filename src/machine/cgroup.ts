/**
 * What stdiod may do with the control group that it runs in: where groups of services would be made.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CgroupFacts } from '../config/machine/machine';
import type { Addon } from '../native/addon';
import { findOwnCgroup, MAIN_GROUP } from '../native/own-cgroup';
import { readProc } from './files';

/** As systemd.unit(5) names what it manages. */
const UNIT = /\.(service|scope|slice)$/;
/** systemd writes them on what it has delegated. */
const MARKS = ['trusted.delegate', 'user.delegate'];

/** null: there is no cgroup v2 here. */
export function readCgroupFacts(native: Pick<Addon, 'attributeOf'>): CgroupFacts | null {
  const own = findOwnCgroup();
  if (own === null) return null;
  const { folder, root } = own;
  return {
    folder,
    isDelegated: !UNIT.test(basename(folder)) || MARKS.some((mark) => native.attributeOf(folder, mark) === '1'),
    isWritable: ['', 'cgroup.procs', 'cgroup.subtree_control'].every((name) => isWritable(join(folder, name))),
    strangers: [folder, join(folder, MAIN_GROUP)].flatMap(strangersIn),
    controllers: wordsOf(join(folder, 'cgroup.controllers')),
    known: wordsOf(join(root, 'cgroup.controllers')),
    hasKill: existsSync(join(folder, 'cgroup.kill')) || folder === root,
    hasFile: (name) => existsSync(join(folder, name)) || folder === root,
  };
}

function strangersIn(folder: string): number[] {
  const pids = (readProc(join(folder, 'cgroup.procs')) ?? '').split('\n').filter((line) => line !== '');
  return pids.map(Number).filter((pid) => pid !== process.pid);
}

function wordsOf(file: string): string[] {
  return (readProc(file) ?? '').split(/\s+/).filter((word) => word !== '');
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
