/**
 * What the configuration has of problems and warnings, as events.
 */
import { renderDiagnostic, type Diagnostic, WARNING } from '../config/report/diagnostic';
import type { LogEvent, Shown } from '../log/events';

/** Of one load; `rejected` has the number of all problems. */
export const MOST_TOLD = 100;

export function toldOf(event: 'problem' | 'warning', diagnostic: Diagnostic): LogEvent {
  const { file, line, column, path, message, remedy } = diagnostic;
  const kind = event === 'warning' ? WARNING : '';
  const shown: Shown = (columns, color) => renderDiagnostic(diagnostic, { columns, color }, kind);
  return { event, file, line, column, path, message, remedy, shown };
}
