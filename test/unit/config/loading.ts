/**
 * Loading, as the tests of this folder speak of it.
 */
import type { Diagnostic } from '../../../src/config/report/diagnostic';
import type { EffectiveConfiguration } from '../../../src/config/resolve/effective';
import type { Machine } from '../../../src/config/machine/machine';
import { loadConfigurationText } from '../../../src/config/load';
import type { Command, Configuration, Exec, Process, Service } from '../../../src/service/service';
import { pretendMachine } from './pretend-machine';

export function load(
  text: string,
  changes: Partial<Machine> = {},
  file = 'services.yaml',
): { configuration: Configuration; effective: EffectiveConfiguration } {
  const result = loadConfigurationText(text, file, pretendMachine(changes));
  if (!result.ok || result.diagnostics.length > 0) throw new Error(result.diagnostics.map(inShort).join('\n'));
  return result;
}

export function service(text: string, changes: Partial<Machine> = {}, file = 'services.yaml'): Service {
  const [first] = load(text, changes, file).configuration.services;
  if (first === undefined) throw new Error('there is no service');
  return first;
}

export function commandOf(service: Service): Command {
  return execOf(service).command;
}

export function processOf(service: Service): Process {
  return execOf(service).process;
}

function execOf({ run }: Service): Exec {
  if (run.kind !== 'exec') throw new Error('the service runs no command');
  return run;
}

/** A service called `a` with these keys over `listen: 7007` and `exec: cat`. */
export function withKeys(keys: string): string {
  const missing = [...(/^listen:/m.test(keys) ? [] : ['listen: 7007']), ...(RUNS.test(keys) ? [] : ['exec: cat'])];
  return onlyKeys([keys, ...missing].join('\n'));
}

/** A service called `a` with these keys and no others. */
export function onlyKeys(keys: string): string {
  return ['services:', '  a:', ...keys.split('\n').map((line) => `    ${line}`), ''].join('\n');
}

const RUNS = /^(exec|builtin|redirect):/m;

export function diagnosticsOf(
  text: string,
  changes: Partial<Machine> = {},
  file = 'services.yaml',
): readonly Diagnostic[] {
  return loadConfigurationText(text, file, pretendMachine(changes)).diagnostics;
}

/** `line:column path: message (remedy)` of each problem. */
export function problemsOf(text: string, changes: Partial<Machine> = {}, file = 'services.yaml'): string[] {
  return diagnosticsOf(text, changes, file).map(inShort);
}

function inShort({ line, column, path, message, remedy }: Diagnostic): string {
  const subject = path === '' ? '' : ` ${path}:`;
  return `${line}:${column}${subject} ${message}${remedy === null ? '' : ` (${remedy})`}`;
}
