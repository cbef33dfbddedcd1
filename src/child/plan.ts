/**
 * What every child of a service will do, prepared once when the configuration is loaded: like a prepared statement.
 */
import { addon, type NativePlan, type PlanOptions } from '../native/addon';
import type { Service } from '../service/service';
import { FACT_NAMES } from './facts';

/** Node raises its own soft limit on open files; a child gets what a login shell gets. */
const OPEN_FILES = 1024;
const STDERR_IS_CONNECTION = -1;

/** @param nullFd /dev/null, open for as long as the plan is used */
export function preparePlan(service: Service, nullFd: number): NativePlan {
  return addon.preparePlan(planOf(service, nullFd));
}

export function planOf(service: Service, nullFd: number): PlanOptions {
  return {
    path: service.command.path,
    argv: service.command.argv,
    environment: variables(service.environment),
    identity: service.identity,
    directory: service.directory,
    umask: service.umask,
    openFiles: OPEN_FILES,
    stderrFd: service.stderr === 'null' ? nullFd : STDERR_IS_CONNECTION,
  };
}

/** A fact of the connection outranks a variable of the same name; two entries of one name would be read differently by each program. */
function variables(environment: Readonly<Record<string, string>>): string[] {
  return Object.entries(environment)
    .filter(([name]) => !FACT_NAMES.has(name))
    .map(([name, value]) => `${name}=${value}`);
}
