/**
 * What a service's program finds in its environment, but for the facts of its connection.
 */
import { escapeTemplate, hasPlaceholders, unescapeTemplate } from '../../service/template';
import type { ServiceSettings } from '../keys/schema';
import type { Account, Machine } from '../machine/machine';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Templates. Nothing of stdiod's own environment but what `pass_env` names; `env` has the last word. */
export function makeEnvironment(settings: ServiceSettings, account: Account, machine: Machine): Record<string, string> {
  const basic = { PATH: DEFAULT_PATH, LANG: 'C.UTF-8' };
  const person = { HOME: account.home, USER: account.name, LOGNAME: account.name };
  const literal = { ...basic, ...person, ...shellOf(account), ...passedOn(settings.pass_env, machine) };
  const escaped = Object.entries(literal).map(([name, value]) => [name, escapeTemplate(value)]);
  return { ...(Object.fromEntries(escaped) as Record<string, string>), ...settings.env };
}

/** Accounts of programs have none that runs anything, and what starts `$SHELL -c` is better off with its own default. */
function shellOf({ shell }: Account): { SHELL?: string } {
  return /^$|\/(nologin|false|true)$/.test(shell) ? {} : { SHELL: shell };
}

/** Where a bare command name is looked up: in the PATH that the program itself will have, whoever loads the file. */
export function searchPathOf({ env, pass_env }: ServiceSettings, machine: Machine): string {
  const own = env['PATH'];
  if (own !== undefined && !hasPlaceholders(own)) return unescapeTemplate(own);
  return passedOn(pass_env, machine)['PATH'] ?? DEFAULT_PATH;
}

function passedOn(names: readonly string[], machine: Machine): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of names) {
    const value = Object.hasOwn(machine.environment, name) ? machine.environment[name] : undefined;
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}
