/**
 * Which known word a misspelt one was meant to be: the "did you mean" of every message.
 */

/** Longer words are not looked at: nobody misspells them by a letter, and the table grows with their length. */
const LONGEST_WORD = 40;

/** undefined: none is near enough to be worth a guess. */
export function nearestWord(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const wanted = plain(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(wanted, plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function plain(word: string): string {
  return word.toLowerCase().replaceAll('-', '_');
}

/** Letters inserted, removed, replaced or swapped with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      current.push(cell(a, b, row, column, { beforeLast, last, current }));
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}

interface Rows {
  readonly beforeLast: readonly number[];
  readonly last: readonly number[];
  readonly current: readonly number[];
}

function cell(a: string, b: string, row: number, column: number, rows: Rows): number {
  const isSame = a[row - 1] === b[column - 1];
  const replaced = at(rows.last, column - 1) + (isSame ? 0 : 1);
  const shortest = Math.min(replaced, at(rows.last, column) + 1, at(rows.current, column - 1) + 1);
  const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
  return isSwapped ? Math.min(shortest, at(rows.beforeLast, column - 2) + 1) : shortest;
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
