/**
 * How often something may happen, and how that is written: `50/s`, `300/m`, `1000/10s`.
 */

/** So many at once, and as many again in each such time, evenly. */
export interface Rate {
  /** 1 or more. */
  readonly count: number;
  readonly perMs: number;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const RATE = /^(\d{1,7})\/(\d{0,5})(s|m|h|d)$/;

const LONGEST_MS = 86_400_000;

/** undefined: the text is not a rate. */
export function parseRate(text: string): Rate | undefined {
  const [, count = '', times = '', unit = ''] = RATE.exec(text) ?? [];
  const perMs = (times === '' ? 1 : Number(times)) * (UNITS[unit] ?? 0);
  return Number(count) >= 1 && perMs >= 1 && perMs <= LONGEST_MS ? { count: Number(count), perMs } : undefined;
}
