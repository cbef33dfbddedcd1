/**
 * Finds the configuration and loads it, or tells the operator why not.
 */
import { existsSync } from 'node:fs';
import type { Diagnostic } from '../config/report/diagnostic';
import { renderDiagnostics, renderWarnings } from '../config/report/diagnostic';
import { loadConfiguration, type LoadResult, type Refused } from '../config/load';
import { columnsOfStderr } from '../log/screen';
import { systemMachine } from '../machine/system-machine';
import type { PassedSocket } from '../service/listen-text';
import { EXIT } from './exit';
import { isColored, writeError, writeOutput } from './terminal';

/** Looked for in this order when there is no `-c`. */
const DEFAULT_FILES = ['services.yaml', 'config/services.yaml', '/etc/stdiod/services.yaml'];

/** null: there is none. */
export function findConfiguration(named: string | null): string | null {
  return named ?? DEFAULT_FILES.find((candidate) => existsSync(candidate)) ?? null;
}

/** How it is told that there is none. */
export const NO_CONFIGURATION: Refused = {
  ok: false,
  diagnostics: [
    {
      ...{ file: '', line: 0, column: 0, path: '', source: '', sourceColumn: 1 },
      message: `there is no configuration: looked for ${DEFAULT_FILES.map(visiblePath).join(', ')}`,
      remedy: 'name a file with -c FILE, or try one command without a file: stdiod try 127.0.0.1:7007 -- cat',
    },
  ],
};

export function tellNoConfiguration(diagnostics: readonly Diagnostic[]): void {
  for (const { message, remedy } of diagnostics) writeError(`stdiod: ${message}\nremedy: ${remedy ?? ''}\n`);
}

export type Loaded =
  | { readonly file: string; readonly result: LoadResult & { ok: true } }
  /** The operator has been told. */
  | { readonly exitCode: number };

/**
 * @param outcome what did not happen because of the problems ("nothing was started")
 * @param json diagnostics as JSON on stdout
 * @param mayLack what is wrong with this machine, and not with the file, is left to the caller
 */
export function loadOrTell(
  named: string | null,
  outcome: string,
  json: boolean,
  passed: readonly PassedSocket[],
  mayLack = false,
): Loaded {
  const file = findConfiguration(named);
  if (file === null) {
    if (json) writeOutput(asJson(NO_CONFIGURATION.diagnostics));
    else tellNoConfiguration(NO_CONFIGURATION.diagnostics);
    return { exitCode: EXIT.badConfiguration };
  }
  const result = loadConfiguration(file, systemMachine(passed));
  if (result.ok && (mayLack || result.diagnostics.length === 0)) return { file, result };
  tellDiagnostics(result.diagnostics, file, outcome, json, result.ok ? result.warnings : []);
  return { exitCode: EXIT.badConfiguration };
}

/** Nothing is wrong. */
export function tellWarnings(warnings: readonly Diagnostic[], file: string, json: boolean): void {
  if (warnings.length === 0) return;
  if (json) writeOutput(asJson([], warnings));
  else writeError(renderWarnings(warnings, { color: isColored(), columns: columnsOfStderr(), file }));
}

export function tellDiagnostics(
  diagnostics: readonly Diagnostic[],
  file: string,
  outcome: string,
  json: boolean,
  warnings: readonly Diagnostic[] = [],
): void {
  if (json) {
    writeOutput(asJson(diagnostics, warnings));
    return;
  }
  tellWarnings(warnings, file, false);
  writeError(renderDiagnostics(diagnostics, { color: isColored(), columns: columnsOfStderr(), file, outcome }));
}

function asJson(diagnostics: readonly Diagnostic[], warnings: readonly Diagnostic[] = []): string {
  const told = [
    ...diagnostics.map(publicFields),
    ...warnings.map((each) => ({ ...publicFields(each), level: 'warning' })),
  ];
  return `${JSON.stringify(told, null, 2)}\n`;
}

function publicFields({ file, line, column, path, message, remedy }: Diagnostic): object {
  return { file, line, column, path, message, remedy };
}

function visiblePath(path: string): string {
  return path.startsWith('/') ? path : `./${path}`;
}
