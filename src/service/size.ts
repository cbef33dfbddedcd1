/**
 * How a number of bytes is written: `65536`, `64K`, `10M`, `1G`.
 */

const BYTES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

export const SIZE_PATTERN = /^(\d{1,12})([KMG]?)$/;

/** Bytes; undefined: the text is not a size. */
export function parseSize(text: string): number | undefined {
  const [, count, unit] = SIZE_PATTERN.exec(text) ?? [];
  const scale = unit === undefined ? undefined : BYTES[unit];
  return scale === undefined ? undefined : Number(count) * scale;
}
