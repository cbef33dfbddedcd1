/**
 * Finds the configuration and loads it, or tells the operator why not.
 */
import { existsSync } from 'node:fs';
import type { Diagnostic } from '../config/report/diagnostic';
import { renderDiagnostics } from '../config/report/diagnostic';
import { loadConfiguration, type LoadResult } from '../config/load';
import { columnsOfStderr } from '../log/screen';
import { systemMachine } from '../machine/system-machine';
import type { PassedSocket } from '../service/listen-text';
import { EXIT } from './exit';
import { isColored, writeError, writeOutput } from './terminal';

/** Looked for in this order when there is no `-c`. */
const DEFAULT_FILES = ['services.yaml', 'config/services.yaml', '/etc/stdiod/services.yaml'];

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
  const file = named ?? DEFAULT_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined) {
    tellNone(json);
    return { exitCode: EXIT.badConfiguration };
  }
  const result = loadConfiguration(file, systemMachine(passed));
  if (result.ok && (mayLack || result.diagnostics.length === 0)) return { file, result };
  tellDiagnostics(result.diagnostics, file, outcome, json);
  return { exitCode: EXIT.badConfiguration };
}

function tellNone(json: boolean): void {
  const message = `there is no configuration: looked for ${DEFAULT_FILES.map(visiblePath).join(', ')}`;
  const remedy = 'name a file with -c FILE, or try one command without a file: stdiod try 127.0.0.1:7007 -- tr a-z A-Z';
  const place = { file: '', line: 0, column: 0, path: '' };
  if (json) writeOutput(`${JSON.stringify([{ ...place, message, remedy }], null, 2)}\n`);
  else writeError(`stdiod: ${message}\nremedy: ${remedy}\n`);
}

export function tellDiagnostics(
  diagnostics: readonly Diagnostic[],
  file: string,
  outcome: string,
  json: boolean,
): void {
  if (json) writeOutput(`${JSON.stringify(diagnostics.map(publicFields), null, 2)}\n`);
  else writeError(renderDiagnostics(diagnostics, { color: isColored(), columns: columnsOfStderr(), file, outcome }));
}

function publicFields({ file, line, column, path, message, remedy }: Diagnostic): object {
  return { file, line, column, path, message, remedy };
}

function visiblePath(path: string): string {
  return path.startsWith('/') ? path : `./${path}`;
}
