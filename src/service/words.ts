/**
 * Which words a command line stands for: POSIX shell quoting ('…', "…" and \), and nothing else that a shell does.
 *
 * What a shell would act on (a pipe, a redirection, a variable) is reported when it is not quoted: passing it on as a
 * plain character would run something other than what was meant.
 */

export interface Word {
  readonly text: string;
  /** Index in the command line where the word begins, its quotes included. */
  readonly start: number;
}

export type SplitFault = 'unclosed-quote' | 'lone-backslash' | 'shell-character';

export type SplitResult =
  | { readonly ok: true; readonly words: readonly Word[] }
  | { readonly ok: false; readonly fault: SplitFault; readonly index: number; readonly character: string };

export function splitWords(line: string): SplitResult {
  const words: Word[] = [];
  let index = skipBlanks(line, 0);
  while (index < line.length) {
    const word = readWord(line, index);
    if ('fault' in word) return { ok: false, ...word, character: line.charAt(word.index) };
    words.push({ text: word.text, start: index });
    index = skipBlanks(line, word.end);
  }
  return { ok: true, words };
}

interface Piece {
  readonly text: string;
  /** Index of the first character after the piece. */
  readonly end: number;
}

interface Fault {
  readonly fault: SplitFault;
  readonly index: number;
}

function skipBlanks(line: string, from: number): number {
  let index = from;
  while (isBlank(line.charAt(index))) index += 1;
  return index;
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r';
}

function readWord(line: string, start: number): Piece | Fault {
  let text = '';
  let index = start;
  while (index < line.length && !isBlank(line.charAt(index))) {
    const piece = readPiece(line, index);
    if ('fault' in piece) return piece;
    text += piece.text;
    index = piece.end;
  }
  return { text, end: index };
}

function readPiece(line: string, index: number): Piece | Fault {
  const character = line.charAt(index);
  if (character === "'") return readSingleQuoted(line, index);
  if (character === '"') return readDoubleQuoted(line, index);
  if (character === '\\') return readEscaped(line, index);
  if (isForShell(line, index)) return { fault: 'shell-character', index };
  return { text: character, end: index + 1 };
}

function readSingleQuoted(line: string, open: number): Piece | Fault {
  const close = line.indexOf("'", open + 1);
  if (close < 0) return { fault: 'unclosed-quote', index: open };
  return { text: line.slice(open + 1, close), end: close + 1 };
}

function readDoubleQuoted(line: string, open: number): Piece | Fault {
  let text = '';
  for (let index = open + 1; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (character === '"') return { text, end: index + 1 };
    if (character === '\\' && /[$`"\\\n]/.test(line.charAt(index + 1))) {
      index += 1;
      text += line.charAt(index).replace('\n', '');
    } else {
      text += character;
    }
  }
  return { fault: 'unclosed-quote', index: open };
}

function readEscaped(line: string, index: number): Piece | Fault {
  if (index + 1 >= line.length) return { fault: 'lone-backslash', index };
  const next = line.charAt(index + 1);
  return { text: next === '\n' ? '' : next, end: index + 2 };
}

/** A `$` that no name, brace or parenthesis follows is a plain character to a shell too. */
function isForShell(line: string, index: number): boolean {
  const character = line.charAt(index);
  if (character === '$') return /[A-Za-z0-9_{(@*#?!$-]/.test(line.charAt(index + 1));
  return '|<>;&`*'.includes(character);
}
