// Numbers into a Markdown table: the arithmetic of rounds (median) and the layout. Pure.

export type Align = 'left' | 'right';

export interface Column {
  readonly title: string;
  readonly align: Align;
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) =>
    Math.max(3, column.title.length, ...rows.map((row) => cell(row, i).length)),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  const pad = (row: readonly string[]) => columns.map((column, i) => padTo(cell(row, i), widths[i] ?? 0, column.align));
  const rule = columns.map((column, i) => formatRule(widths[i] ?? 0, column.align));
  return [line(pad(columns.map((column) => column.title))), line(rule), ...rows.map((row) => line(pad(row)))].join('');
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? NaN;
  return (lower + upper) / 2;
}

function cell(row: readonly string[], index: number): string {
  return row[index] ?? '';
}

function padTo(text: string, width: number, align: Align): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width);
}

function formatRule(width: number, align: Align): string {
  return align === 'left' ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`;
}
