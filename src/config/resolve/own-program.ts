/**
 * The programs that come with stdiod, for the services that name none: where they are, and whether they can be run.
 */
import type { Layers } from '../keys/layers';
import type { Machine, OwnProgram } from '../machine/machine';
import { whyNotRunnable } from '../machine/program';
import type { Runner } from '../machine/search-path';
import type { Problem } from '../report/problems';

const COMPILE = 'compile it: "npm run install" in the folder of stdiod';

/** @param key what the service says in place of a program */
export function locateOwn(name: OwnProgram, key: string, runner: Runner, machine: Machine, layers: Layers): string {
  const path = machine.ownProgram(name);
  const problem = whyNotRunnable(path, runner, machine);
  if (problem !== null) layers.onMachine.report([key], explain(problem));
  return path;
}

function explain({ message, remedy }: Problem): Problem {
  return {
    message: `stdiod's own program: ${message}`,
    remedy: remedy === 'correct the path' ? COMPILE : remedy,
  };
}
