/**
 * Why nothing was started: as text for people, with the lines of the file; as events where the log would be JSON.
 */
import { resolve } from 'node:path';
import type { LoadResult } from '../config/load';
import type { Diagnostic } from '../config/report/diagnostic';
import { renderDiagnostics } from '../config/report/diagnostic';
import type { LogEvent } from '../log/events';
import { formatChooser } from '../log/choose';
import { formatJson } from '../log/format';
import { columnsOfStderr, screenOfStderr } from '../log/screen';
import { describeError, describeFailure, type ListenFailure } from '../server/roster/open-listeners';
import type { Refused } from '../server/serve';
import { formatAddress } from '../service/address';
import { tellNoConfiguration } from './configuration-file';
import { EXIT } from './exit';
import { isColored, writeError } from './terminal';
import { COMMAND_LINE } from './wrong-usage';

const NOTHING = 'nothing was started';

interface About {
  /** What messages call it; null: there is none. */
  readonly file: string | null;
  /** The operator asked for JSON. */
  readonly json: boolean;
}

const NOT_TRIED: Refused = { isOpen: false, failures: [], refusal: null };

/** @returns the exit status for a configuration that is wrong */
export function tellFailedStart(result: LoadResult, about: About, refused: Refused = NOT_TRIED): number {
  const { failures, refusal } = refused;
  const { format } = (result.ok ? result.configuration.log : result.log) ?? { format: 'auto' };
  const isJson = formatChooser(screenOfStderr(), about.json)(format) === formatJson;
  if (refusal !== null) tellRefusal(refusal, isJson);
  else if (isJson) tellEvents(result.diagnostics, failures);
  else tellText(result.diagnostics, failures, about.file);
  return EXIT.badConfiguration;
}

function tellText(diagnostics: readonly Diagnostic[], failures: readonly ListenFailure[], file: string | null): void {
  if (file === null) tellNoConfiguration(diagnostics);
  else
    writeError(
      renderDiagnostics(diagnostics, { color: isColored(), columns: columnsOfStderr(), file, outcome: NOTHING }),
    );
  for (const failure of failures) writeError(`stdiod: ${describeFailure(failure)}\n`);
  const count = failures.length;
  if (count > 0) writeError(`stdiod: ${count} of the addresses cannot be used, ${NOTHING}\n${remedyFor(failures)}`);
}

/** Without root, ss tells of no process but the caller's own. */
function remedyFor(failures: readonly ListenFailure[]): string {
  const isTaken = failures.some(({ error }) => error.code === 'EADDRINUSE');
  return isTaken ? 'remedy: stop who has the address ("ss -lnp", as root, shows who), or choose another\n' : '';
}

function tellEvents(diagnostics: readonly Diagnostic[], failures: readonly ListenFailure[]): void {
  const problems = diagnostics.length + failures.length;
  const events = [...diagnostics.map(problemOf), ...failures.map(failedOf), { event: 'rejected', problems } as const];
  for (const event of events) writeError(formatJson(event, new Date()));
}

function tellRefusal(error: string, isJson: boolean): void {
  const failed = { event: 'failed', verb: 'start', address: '-', service: '-', error, action: NOTHING } as const;
  writeError(isJson ? formatJson(failed, new Date()) : `stdiod: ${error}, ${NOTHING}\n`);
}

function problemOf({ file, line, column, path, message, remedy }: Diagnostic): LogEvent {
  const isFile = file !== '' && file !== COMMAND_LINE;
  return { event: 'problem', file: isFile ? resolve(file) : file, line, column, path, message, remedy };
}

function failedOf(failure: ListenFailure): LogEvent {
  const { service, address } = failure;
  const where = formatAddress(address);
  return { event: 'failed', verb: 'listen', address: where, service, error: describeError(failure), action: NOTHING };
}
