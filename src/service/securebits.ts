/**
 * The secure bits (capabilities(7)), by the names that systemd gives them.
 */

/** By number (linux/securebits.h). */
export const SECUREBIT_NAMES = [
  'noroot',
  'noroot-locked',
  'no-setuid-fixup',
  'no-setuid-fixup-locked',
  'keep-caps',
  'keep-caps-locked',
] as const;

export type Securebit = (typeof SECUREBIT_NAMES)[number];

export function securebitsOf(names: readonly Securebit[]): number {
  return [...new Set(names)].reduce((bits, name) => bits + 2 ** SECUREBIT_NAMES.indexOf(name), 0);
}
