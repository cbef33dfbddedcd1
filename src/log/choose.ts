/**
 * Which form events have: as the configuration says, which a reload may change, on what stderr is, which stays.
 */
import type { LogOptions } from '../service/service';
import { formatJson, formatText, type FormatEvent } from './format';
import type { Screen } from './screen';
import { terminalFormat } from './terminal';

export type ChooseFormat = (format: LogOptions['format']) => FormatEvent;

/**
 * @param screen null: stderr is no terminal
 * @param isJson the operator asked for JSON lines, whatever the configuration says
 */
export function formatChooser(screen: Screen | null, isJson: boolean): ChooseFormat {
  const text = screen === null ? formatText : terminalFormat(screen);
  const auto = screen === null ? formatJson : text;
  const forms = { auto, text, json: formatJson };
  return (format) => (isJson ? formatJson : forms[format]);
}
