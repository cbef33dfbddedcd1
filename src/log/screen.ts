/**
 * The terminal that stderr is: how wide it is, and whether it shows colours.
 */
import { isatty } from 'node:tty';
import type { Addon } from '../native/addon';
import { loadAddon } from '../native/load-addon';
import { isColored } from './color';

const STDERR = 2;

export interface Screen {
  /** Asked for each line, because a window may be resized at any time; 0: as wide as it gets. */
  columns(): number;
  readonly isColored: boolean;
}

/** null: stderr is no terminal. */
export function screenOfStderr(): Screen | null {
  return isatty(STDERR) ? { columns: columnsOfStderr, isColored: isColored(true, process.env) } : null;
}

/** 0: it is no terminal, or does not know. */
export function columnsOfStderr(): number {
  try {
    return (loadAddon() as Addon).columnsOf(STDERR);
  } catch {
    return 0; // Hung up; or there is no addon, and somebody wants to read just that.
  }
}
