// What was asked for on a benchmark's command line: numbers with defaults, names, and --json.
// Called by each benchmark's main; a mistake ends the process with status 2.

import { parseArgs } from 'node:util';

export interface Options<Name extends string> {
  readonly numbers: Readonly<Record<Name, number>>;
  /** Names given with --only; empty: all. */
  readonly only: readonly string[];
  /** Another built checkout to measure beside this one; undefined: none. */
  readonly against: string | undefined;
  readonly json: boolean;
}

export function parseOptions<Name extends string>(defaults: Readonly<Record<Name, number>>): Options<Name> {
  const names = Object.keys(defaults) as Name[];
  try {
    const values = readFlags(names);
    const numbers = names.map((name) => [name, parseCount(name, values[name], defaults[name])] as const);
    return {
      numbers: Object.fromEntries(numbers) as Record<Name, number>,
      only: String(values['only'] ?? '')
        .split(',')
        .filter(Boolean),
      against: values['against'] === undefined ? undefined : String(values['against']),
      json: values['json'] === true,
    };
  } catch (error) {
    const flags = names.map((name) => `[--${name} N]`).join(' ');
    console.error(`${(error as Error).message}\nusage: ${flags} [--only NAME,…] [--against CHECKOUT] [--json]`);
    process.exit(2);
  }
}

function readFlags(names: readonly string[]): Record<string, string | boolean | undefined> {
  const counts = names.map((name) => [name, { type: 'string' }] as const);
  const words = { only: { type: 'string' }, against: { type: 'string' }, json: { type: 'boolean' } } as const;
  const options = { ...Object.fromEntries(counts), ...words } as const;
  return parseArgs({ options, strict: true }).values;
}

function parseCount(name: string, text: string | boolean | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (typeof text === 'string' && /^[1-9][0-9]{0,6}$/.test(text)) return Number(text);
  throw new Error(`--${name}: a whole number from 1 to 9999999 is wanted, got "${String(text)}"`);
}
