/**
 * Every problem that one load has found so far. All stages of the loader report here; at the end it gives the diagnostics.
 */
import type { Diagnostic } from './diagnostic';
import type { Source } from './source';

/** What is wrong and what to do about it, without a place yet. */
export interface Problem {
  readonly message: string;
  /** null: the message says it. */
  readonly remedy: string | null;
}

/** Where a problem is: an offset of a file, or (null) the file as a whole. */
export interface Spot {
  readonly source: Source;
  readonly offset: number | null;
  readonly path: string;
}

/** A file can be wrong in a million places; this many are kept, and then nobody looks for more. */
const MOST_KEPT = 1_000;

const MORE: Problem = { message: 'nobody looked for more problems than these', remedy: 'mend these first' };

export class Problems {
  private readonly found = new Map<string, Spot & Problem>();
  /** `order offset` of each, for `isReportedAt`. */
  private readonly spots = new Set<string>();

  /** A problem that several services inherit from one place counts once. */
  report(spot: Spot, problem: Problem): void {
    if (this.isFull) return;
    const place = `${spot.source.order} ${spot.offset ?? -1}`;
    const key = `${place} ${problem.message}`;
    this.spots.add(place);
    if (!this.found.has(key)) this.found.set(key, { ...spot, ...problem });
  }

  addAll(others: Problems): void {
    for (const { message, remedy, ...spot } of others.found.values()) this.report(spot, { message, remedy });
  }

  /** What was found first, and how much more there is: for whoever has a single line. */
  get summary(): string {
    const [first, ...more] = [...this.found.values()].map(({ message }) => message);
    return more.length === 0 ? (first ?? '') : `${first ?? ''}; and ${more.length} more`;
  }

  get isEmpty(): boolean {
    return this.found.size === 0;
  }

  /** What else is wrong is found when these are mended. */
  get isFull(): boolean {
    return this.found.size >= MOST_KEPT;
  }

  isReportedAt(source: Source, offset: number): boolean {
    return this.spots.has(`${source.order} ${offset}`);
  }

  /** By file, then line, then column. */
  diagnostics(): Diagnostic[] {
    const found = [...this.found.values()];
    const more = this.isFull ? found.slice(-1).map((last) => ({ ...last, ...MORE })) : [];
    const sorted = [...found, ...more].sort(
      (a, b) => a.source.order - b.source.order || (a.offset ?? -1) - (b.offset ?? -1),
    );
    return sorted.map(toDiagnostic);
  }
}

function toDiagnostic({ source, offset, path, message, remedy }: Spot & Problem): Diagnostic {
  const position = offset === null ? { line: 0, column: 0, source: '', sourceColumn: 1 } : source.position(offset);
  return { file: source.file, ...position, path, message, remedy };
}
