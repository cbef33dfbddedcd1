/**
 * How wide a text is on a terminal, and where it is broken when it is wider than that. Pure.
 */

export type Paint = (text: string) => string;

export interface Piece {
  readonly text: string;
  /** Puts on what has no width: a colour. */
  readonly paint?: Paint;
}

/**
 * The pieces with a blank between them, broken at blanks into lines. A word that is wider than a line is left to the terminal.
 * @param columns 0: as wide as it gets
 * @param indent of the second line and those after it
 */
export function fold(pieces: readonly Piece[], columns: number, indent: number): string {
  const words = pieces.flatMap((piece) => piece.text.split(' ').map((word): Word => ({ word, piece })));
  return intoLines(words, columns, indent)
    .map(paintLine)
    .join(`\n${' '.repeat(indent)}`);
}

interface Word {
  readonly word: string;
  /** That it is of. */
  readonly piece: Piece;
}

function intoLines(words: readonly Word[], columns: number, indent: number): Word[][] {
  let line: Word[] = [];
  let column = 0;
  const lines = [line];
  for (const each of words) {
    const width = widthOf(each.word);
    column += line.length > 0 ? 1 + width : width;
    if (columns > 0 && column > columns && line.length > 0) {
      lines.push((line = []));
      column = indent + width;
    }
    line.push(each);
  }
  return lines;
}

/** What follows each other of one piece is painted in one go. */
function paintLine(line: readonly Word[]): string {
  const runs: { text: string; paint: Paint }[] = [];
  for (const [index, { word, piece }] of line.entries()) {
    const run = runs.at(-1);
    if (run !== undefined && line[index - 1]?.piece === piece) run.text += ` ${word}`;
    else runs.push({ text: word, paint: piece.paint ?? String });
  }
  const last = runs.at(-1);
  if (last !== undefined) last.text = last.text.trimEnd();
  return runs.map(({ text, paint }) => (text === '' ? '' : paint(text))).join(' ');
}

/** In columns; control characters count as one. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  return Array.from(text).reduce((sum, character) => sum + widthOfCharacter(character), 0);
}

const ASCII = /^[\u0020-\u007e]*$/;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function widthOfCharacter(character: string): number {
  if (/\p{M}/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
