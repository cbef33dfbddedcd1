/**
 * The machine as a program sees it whose `/` is another folder (chroot(2)): files are asked for where they are there, and links lead
 * where they lead inside.
 */
import { dirname, join, relative } from 'node:path';
import type { Problem } from '../report/problems';
import type { Machine } from './machine';

/** As the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/** @param root absolute; null: nothing changes */
export function inside(root: string | null, machine: Machine): Machine {
  if (root === null) return machine;
  const at = <Answer>(path: string, ask: (outside: string) => Answer, lost: Answer): Answer => {
    const found = resolveIn(root, path, machine);
    return found === null ? lost : ask(join(root, found));
  };
  // Whoever may not even reach the folder from outside stands in it all the same: then only the kernel can tell.
  const asked =
    (ask: Question): Question =>
    (path, identity) => {
      const isReached = machine.whyNotExecutable(dirname(root), identity) === null;
      return isReached ? at(path, (outside) => ask(outside, identity), 'ELOOP') : null;
    };
  return {
    ...machine,
    file: (path) => at(path, (outside) => machine.file(outside), 'ELOOP'),
    entry: (path) => machine.entry(join(root, path)),
    head: (path) => at(path, (outside) => machine.head(outside), undefined),
    contents: (path, mostBytes) => at(path, (outside) => machine.contents(outside, mostBytes), 'ELOOP'),
    realPath: (path) => at(path, (outside) => `/${relative(root, outside)}`, path),
    whyNotExecutable: asked((path, identity) => machine.whyNotExecutable(path, identity)),
    whyNotReadable: asked((path, identity) => machine.whyNotReadable(path, identity)),
    whyNotWritable: asked((path, identity) => machine.whyNotWritable(path, identity)),
  };
}

/** What is said of paths inside, for those who read it outside. */
export function saidInside(root: string | null, { message, remedy }: Problem): Problem {
  if (root === null) return { message, remedy };
  return { message: `inside ${root}: ${message}`, remedy: remedy === null ? null : `inside ${root}: ${remedy}` };
}

type Question = Machine['whyNotExecutable'];

/** Without links, as seen from inside; null: they go round. */
function resolveIn(root: string, path: string, machine: Machine): string | null {
  const steps = stepsOf(path);
  let [folder, links] = ['/', 0];
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const next = join(folder, step);
    const entry = step === '..' ? 'ENOENT' : machine.entry(join(root, next));
    const target = typeof entry === 'string' ? null : entry.target;
    if (target === null) folder = next;
    else if (target.startsWith('/')) folder = '/';
    steps.unshift(...stepsOf(target ?? ''));
    links += target === null ? 0 : 1;
    if (links > MOST_LINKS) return null;
  }
  return folder;
}

function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}
