/**
 * Whether what people read may have colours, and what they are called. Pure.
 */
import type { Paint } from '../service/fold';

/** NO_COLOR outranks FORCE_COLOR, which outranks a dumb TERM; the empty word counts as not set. What is no terminal has none. */
export function isColored(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR: never = '', FORCE_COLOR: force = '', TERM: kind } = env;
  if (!isTerminal || never !== '') return false;
  return force === '' ? kind !== 'dumb' : force !== '0' && force !== 'false';
}

export type Color = 'red' | 'yellow' | 'green' | 'faint';

export function painter(color: Color): Paint {
  return (text) => `${CODES[color]}${text}\u001b[0m`;
}

const CODES: Readonly<Record<Color, string>> = {
  red: '\u001b[31m',
  yellow: '\u001b[33m',
  green: '\u001b[32m',
  faint: '\u001b[2m',
};
