/**
 * One configuration file as text, and where in it an offset lies.
 */

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** The line's text, or the part of a very long line around the column. */
  readonly source: string;
  /** The column at which `source` begins. */
  readonly sourceColumn: number;
}

/** Of a longer line only the part around the problem is kept. */
const LONGEST_LINE = 200;
const KEPT_BEFORE = 100;

export class Source {
  /** Offset of each line's first character; made when the first problem needs it. */
  private lineStarts: readonly number[] | undefined;

  constructor(
    /** As it is shown: the way that the operator wrote it. */
    readonly file: string,
    readonly text: string,
    /** Place among the files of one load: 0 is the main one. */
    readonly order: number,
  ) {}

  position(offset: number): Position {
    this.lineStarts ??= findLineStarts(this.text);
    const line = countUpTo(this.lineStarts, offset);
    const start = this.lineStarts[line - 1] ?? 0;
    const end = (this.lineStarts[line] ?? this.text.length + 1) - 1;
    const column = countCharacters(this.text, start, offset) + 1;
    const from = end - start <= LONGEST_LINE ? start : Math.max(start, offset - KEPT_BEFORE);
    const source = this.text.slice(from, Math.min(end, from + LONGEST_LINE)).replace(/\r$/, '');
    return { line, column, source, sourceColumn: column - countCharacters(this.text, from, offset) };
  }
}

/** Far into a very long line, where nobody counts, UTF-16 units will do. */
function countCharacters(text: string, start: number, end: number): number {
  return end - start > 10_000 ? end - start : Array.from(text.slice(start, end)).length;
}

function findLineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** How many of the sorted numbers are not greater than the limit. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
