/**
 * What every child of a service will do, prepared once when the configuration is loaded: like a prepared statement. What has
 * placeholders is filled in for each child.
 */
import { addon, type NativePlan, type PlanOptions, type Start, type Step } from '../native/addon';
import { FACT_NAMES } from '../service/fact-names';
import type { Exec, Identity, Process } from '../service/service';
import { fillTemplate, hasPlaceholders, unescapeTemplate, type PlaceholderValues } from '../service/template';

export interface Plan {
  readonly native: NativePlan;
  /** null: all children are alike. */
  readonly varying: Varying | null;
  /** The children have the report socket (reports.ts) as fd 2. */
  readonly isReporting: boolean;
}

/** Where fd 2 of children may lead, beside their connection. Open for as long as any plan is used. */
export interface Sinks {
  /** /dev/null. */
  readonly nullFd: number;
  readonly reportFd: number;
}

/** Templates (service/template.ts). */
interface Varying {
  readonly argv: readonly string[];
  readonly directory: string;
  readonly variables: readonly (readonly [name: string, value: string])[];
}

/** What one child needs beyond the native plan and its descriptor. */
export type Filled = Omit<Start, 'fd'>;

/** As the kernel numbers them: asm-generic/resource.h, linux/prctl.h. */
const RLIMIT_NOFILE = 7;
const [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] = [47, 4];

/**
 * Node raises its own soft limit on open files to the hard one, and programs that loop over every possible descriptor would suffer
 * for it: a child gets what a login shell gets.
 */
const OPEN_FILES = 1024;
const STDERR_IS_CONNECTION = -1;

/** @param isWait the children get the listening or datagram socket */
export function preparePlan(run: Exec, isWait: boolean, sinks: Sinks): Plan {
  const native = addon.preparePlan(planOf(run, isWait, sinks));
  return { native, varying: varyingOf(run), isReporting: run.process.stderr === 'report' };
}

export function planOf({ command, process }: Exec, isWait: boolean, sinks: Sinks): PlanOptions {
  return {
    path: command.path,
    argv: command.argv.map(unescapeTemplate),
    environment: variablesOf(process)
      .filter(([, value]) => !hasPlaceholders(value))
      .map(([name, value]) => `${name}=${unescapeTemplate(value)}`),
    directory: unescapeTemplate(process.directory),
    steps: stepsOf(process),
    stderrFd: stderrOf(process, sinks),
    isWait,
  };
}

/** What a child does to itself before it is the program, in this order. */
export function stepsOf({ umask, identity }: Pick<Process, 'umask' | 'identity'>): Step[] {
  return [
    { op: 'setsid' },
    { op: 'prlimit', args: [RLIMIT_NOFILE, OPEN_FILES] },
    { op: 'umask', args: [umask] },
    // A right that stdiod was given as an ambient capability (to bind low ports, say) is not the program's.
    { op: 'prctl', args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] },
    ...(identity === null ? [] : become(identity)),
    // As the user, so that nobody is placed in a folder that is closed to them.
    { op: 'chdir' },
  ];
}

/** Groups, then gid, then uid: each needs the right that the next one gives up. */
function become({ uid, gid, groups }: Identity): Step[] {
  return [
    { op: 'setgroups', list: groups },
    { op: 'setresgid', args: [gid] },
    { op: 'setresuid', args: [uid] },
    { op: 'verify-ids', args: [uid, gid], list: groups },
  ];
}

function stderrOf({ stderr }: Process, { nullFd, reportFd }: Sinks): number {
  if (stderr === 'socket') return STDERR_IS_CONNECTION;
  return stderr === 'null' ? nullFd : reportFd;
}

/** @param values called only when the plan has placeholders */
export function fillPlan(plan: Plan, facts: string, values: () => PlaceholderValues): Filled {
  if (plan.varying === null) return { facts };
  const { argv, directory, variables } = plan.varying;
  const known = values();
  return {
    facts: facts + endEach(variables.map(([name, value]) => `${name}=${fillTemplate(value, known)}`)),
    words: endEach(argv.map((word) => fillTemplate(word, known))),
    directory: fillTemplate(directory, known),
  };
}

function varyingOf({ command: { argv }, process }: Exec): Varying | null {
  const { directory } = process;
  const variables = variablesOf(process).filter(([, value]) => hasPlaceholders(value));
  const isAlike = variables.length === 0 && ![...argv, directory].some(hasPlaceholders);
  return isAlike ? null : { argv, directory, variables };
}

/** A fact of the connection outranks a variable of the same name; two entries of one name would be read differently by each program. */
function variablesOf({ environment }: Process): [name: string, value: string][] {
  return Object.entries(environment).filter(([name]) => !FACT_NAMES.has(name));
}

function endEach(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join('');
}
