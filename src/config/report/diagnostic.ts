/**
 * What the operator reads when the configuration is wrong: one diagnostic for each problem, shown as a compiler would.
 */
import { fold, widthOf, type Paint } from '../../service/fold';

export interface Diagnostic {
  readonly file: string;
  /** From 1; 0: the problem is the file as a whole. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** The key that it is about (`services.web.listen`); empty: the file. */
  readonly path: string;
  readonly message: string;
  /** What to do; null: the message says it. */
  readonly remedy: string | null;
  /** The text of the line; of a very long line the part around the column. */
  readonly source: string;
  /** The column at which `source` begins: 1 but for a very long line. */
  readonly sourceColumn: number;
}

export interface RenderStyle {
  readonly color: boolean;
  /** Messages and remedies are folded to this width; 0 or left out: they are not. */
  readonly columns?: number;
}

export interface RenderOptions extends RenderStyle {
  /** The main file, named in the last line; by default the first diagnostic's file. */
  readonly file?: string;
  /** How the last line ends: what did not happen. */
  readonly outcome?: string;
}

/** Nothing is wrong: the last line says how many there are. */
export function renderWarnings(warnings: readonly Diagnostic[], options: RenderOptions): string {
  const [first] = warnings;
  if (first === undefined) return '';
  const shown = warnings.slice(0, MOST_SHOWN).map((warning) => renderDiagnostic(warning, options, WARNING));
  const left = warnings.length - MOST_SHOWN;
  const more = left > 0 ? `and ${left} more\n` : '';
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
  return `${shown.join('')}${more}${visible(options.file ?? first.file)}: ${count}\n`;
}

export const WARNING = ' warning:';

/** More than this tells an operator nothing new. */
const MOST_SHOWN = 100;

const TAB_STOP = 8;

/** The text ends with a newline; it is empty when there are no diagnostics. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], options: RenderOptions): string {
  const [first] = diagnostics;
  if (first === undefined) return '';
  const shown = diagnostics.slice(0, MOST_SHOWN).map((diagnostic) => renderDiagnostic(diagnostic, options));
  const left = diagnostics.length - MOST_SHOWN;
  const more = left > 0 ? `and ${left} more\n` : '';
  const count = diagnostics.length === 1 ? '1 problem' : `${diagnostics.length} problems`;
  const last = `${visible(options.file ?? first.file)}: ${count}, ${options.outcome ?? 'nothing was started'}\n`;
  return shown.join('') + more + last;
}

/** One of them, in lines that all end. @param kind stands behind the place: WARNING */
export function renderDiagnostic(diagnostic: Diagnostic, { color, columns = 0 }: RenderStyle, kind = ''): string {
  const { file, line, column, path, message, remedy } = diagnostic;
  const paint = (style: keyof typeof STYLES): Paint => (color ? painter(style) : (text) => text);
  const place = line === 0 ? `${visible(file)}:` : `${visible(file)}:${line}:${column}:`;
  const subject = path === '' ? '' : ` ${visible(path)}:`;
  const what = [
    { text: place + kind + subject, paint: paint('place') },
    { text: visible(message), paint: paint('problem') },
  ];
  const lines = [fold(what, columns, INDENT)];
  if (line > 0) lines.push(...renderSource(diagnostic, paint('problem')));
  if (remedy !== null)
    lines.push(fold([{ text: `  remedy: ${visible(remedy)}`, paint: paint('remedy') }], columns, INDENT));
  return `${lines.join('\n')}\n`;
}

/** Of a folded line. */
const INDENT = 4;

const STYLES = { place: '\u001b[1m', problem: '\u001b[31m', remedy: '\u001b[36m' };

function painter(style: keyof typeof STYLES): Paint {
  return (text) => `${STYLES[style]}${text}\u001b[0m`;
}

function renderSource({ source, column, sourceColumn }: Diagnostic, paint: Paint): string[] {
  const characters = Array.from(source);
  const before = layOut(characters.slice(0, column - sourceColumn), 0);
  const after = layOut(characters.slice(column - sourceColumn), before.width);
  return [`  ${before.text}${after.text}`.trimEnd(), `  ${' '.repeat(before.width)}${paint('^')}`];
}

/** Tabs become blanks and control characters escapes, so that the caret stands under what it means on any terminal. */
function layOut(characters: readonly string[], startWidth: number): { text: string; width: number } {
  let text = '';
  let width = startWidth;
  for (const character of characters) {
    const shown = character === '\t' ? ' '.repeat(TAB_STOP - (width % TAB_STOP)) : visible(character);
    text += shown;
    width += shown === character ? widthOf(character) : shown.length;
  }
  return { text, width };
}

/** Control and format characters as escapes: a file may not move the cursor, nor turn the direction of the text. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16) ?? '';
    return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, '0')}`;
  });
}
