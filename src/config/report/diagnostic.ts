/**
 * What the operator reads when the configuration is wrong: one diagnostic for each problem, shown as a compiler would.
 */

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

export interface RenderOptions {
  readonly color: boolean;
  /** The main file, named in the last line; by default the first diagnostic's file. */
  readonly file?: string;
  /** How the last line ends: what did not happen. */
  readonly outcome?: string;
}

/** More than this tells an operator nothing new. */
const MOST_SHOWN = 100;

const TAB_STOP = 8;

/** The text ends with a newline; it is empty when there are no diagnostics. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], options: RenderOptions): string {
  const [first] = diagnostics;
  if (first === undefined) return '';
  const paint = options.color ? colored : plain;
  const lines = diagnostics.slice(0, MOST_SHOWN).flatMap((diagnostic) => renderOne(diagnostic, paint));
  const left = diagnostics.length - MOST_SHOWN;
  if (left > 0) lines.push(`and ${left} more`);
  const count = diagnostics.length === 1 ? '1 problem' : `${diagnostics.length} problems`;
  lines.push(`${visible(options.file ?? first.file)}: ${count}, ${options.outcome ?? 'nothing was started'}`);
  return `${lines.join('\n')}\n`;
}

type Paint = (style: keyof typeof STYLES, text: string) => string;

const STYLES = { place: '\u001b[1m', problem: '\u001b[31m', remedy: '\u001b[36m' };

function colored(style: keyof typeof STYLES, text: string): string {
  return `${STYLES[style]}${text}\u001b[0m`;
}

function plain(_style: keyof typeof STYLES, text: string): string {
  return text;
}

function renderOne(diagnostic: Diagnostic, paint: Paint): string[] {
  const { file, line, column, path, message, remedy } = diagnostic;
  const place = line === 0 ? `${visible(file)}:` : `${visible(file)}:${line}:${column}:`;
  const subject = path === '' ? '' : ` ${visible(path)}:`;
  const lines = [`${paint('place', place + subject)} ${paint('problem', visible(message))}`];
  if (line > 0) lines.push(...renderSource(diagnostic, paint));
  if (remedy !== null) lines.push(`  ${paint('remedy', `remedy: ${visible(remedy)}`)}`);
  return lines;
}

function renderSource({ source, column, sourceColumn }: Diagnostic, paint: Paint): string[] {
  const characters = Array.from(source);
  const before = layOut(characters.slice(0, column - sourceColumn), 0);
  const after = layOut(characters.slice(column - sourceColumn), before.width);
  return [`  ${before.text}${after.text}`.trimEnd(), `  ${' '.repeat(before.width)}${paint('problem', '^')}`];
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

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function widthOf(character: string): number {
  if (/\p{M}/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Control and format characters as escapes: a file may not move the cursor, nor turn the direction of the text. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16) ?? '';
    return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, '0')}`;
  });
}
