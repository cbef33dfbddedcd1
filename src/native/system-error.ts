/**
 * How a failed system call looks in TypeScript, whichever side made the call: the shape of Node's own errors.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export interface SystemError extends Error {
  /** `EADDRINUSE`. */
  readonly code: string;
  /** `bind`. */
  readonly syscall: string;
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}

/** Rethrows what is not a failed system call: that is a fault of ours. */
export function asSystemError(error: unknown): SystemError {
  if (isSystemError(error)) return error;
  throw error;
}

/** `EADDRINUSE address already in use`. */
export function describeSystemError(error: SystemError): string {
  const number = (constants.errno as Record<string, number | undefined>)[error.code];
  const known = number === undefined ? undefined : getSystemErrorMap().get(-number);
  return known === undefined ? error.code : `${error.code} ${known[1]}`;
}

/** The name of a positive errno, `E123` when nobody knows it. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `E${number}`;
}

/** Second names of a number. */
const ERRNO_ALIASES = new Set(['EWOULDBLOCK', 'EOPNOTSUPP', 'EDEADLOCK']);
const NAMES = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !ERRNO_ALIASES.has(name))
    .map(([name, number]): [number, string] => [number, name]),
);

/** The name of a signal by number, `SIGRTMIN+3` for the real-time ones. */
export function signalName(number: number): string {
  return SIGNALS.get(number) ?? (number > FIRST_REALTIME ? `SIGRTMIN+${number - FIRST_REALTIME}` : `SIG${number}`);
}

/** 34 in glibc; 32 and 33 are its own. */
const FIRST_REALTIME = 34;
const ALIASES = new Set(['SIGIOT', 'SIGPOLL', 'SIGUNUSED', 'SIGCLD']);
const SIGNALS = new Map(
  Object.entries(constants.signals)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, number]): [number, string] => [number, name])
    .concat([[FIRST_REALTIME, 'SIGRTMIN']]),
);
