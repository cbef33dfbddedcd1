/**
 * What every child of a service will do, prepared once when the configuration is loaded: like a prepared statement. What has
 * placeholders is filled in for each child.
 */
import { addon, type NativePlan, type PlanOptions } from '../native/addon';
import type { Command, Service } from '../service/service';
import { fillTemplate, hasPlaceholders, unescapeTemplate, type PlaceholderValues } from '../service/template';
import { FACT_NAMES } from './facts';

export interface Plan {
  readonly native: NativePlan;
  /** null: all children are alike. */
  readonly varying: Varying | null;
}

/** Templates (service/template.ts). */
interface Varying {
  readonly argv: readonly string[];
  readonly directory: string;
  readonly variables: readonly (readonly [name: string, value: string])[];
}

/** What one child needs beyond the native plan, in the form of addon.spawn. */
export interface Filled {
  readonly facts: string;
  readonly words?: string;
  readonly directory?: string;
}

/** Node raises its own soft limit on open files; a child gets what a login shell gets. */
const OPEN_FILES = 1024;
const STDERR_IS_CONNECTION = -1;

/**
 * @param command what the service runs
 * @param nullFd /dev/null, open for as long as the plan is used
 */
export function preparePlan(service: Service, command: Command, nullFd: number): Plan {
  const native = addon.preparePlan(planOf(service, command, nullFd));
  return { native, varying: varyingOf(service, command) };
}

export function planOf(service: Service, command: Command, nullFd: number): PlanOptions {
  return {
    path: command.path,
    argv: command.argv.map(unescapeTemplate),
    environment: variablesOf(service)
      .filter(([, value]) => !hasPlaceholders(value))
      .map(([name, value]) => `${name}=${unescapeTemplate(value)}`),
    identity: service.identity,
    directory: unescapeTemplate(service.directory),
    umask: service.umask,
    openFiles: OPEN_FILES,
    stderrFd: service.stderr === 'null' ? nullFd : STDERR_IS_CONNECTION,
    isWait: service.wait,
  };
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

function varyingOf(service: Service, { argv }: Command): Varying | null {
  const variables = variablesOf(service).filter(([, value]) => hasPlaceholders(value));
  const isAlike = variables.length === 0 && ![...argv, service.directory].some(hasPlaceholders);
  return isAlike ? null : { argv, directory: service.directory, variables };
}

/** A fact of the connection outranks a variable of the same name; two entries of one name would be read differently by each program. */
function variablesOf({ environment }: Service): [name: string, value: string][] {
  return Object.entries(environment).filter(([name]) => !FACT_NAMES.has(name));
}

function endEach(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join('');
}
