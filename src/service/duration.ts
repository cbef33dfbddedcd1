/**
 * How a span of time is written: `500ms`, `30s`, `10m`, `2h`, `1d`.
 */

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const DURATION_PATTERN = /^(\d{1,9})(ms|s|m|h|d)$/;

/** A timer holds 31 bits of milliseconds, which is a little under 25 days. */
export const LONGEST_DURATION_MS = 24 * 86_400_000;

/** Milliseconds; undefined: the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = DURATION_PATTERN.exec(text) ?? [];
  const scale = MILLISECONDS[unit ?? ''];
  return scale === undefined ? undefined : Number(count) * scale;
}
