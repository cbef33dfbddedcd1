/**
 * Resource limits: their names in the file, the kernel's numbers for them, and how a value is written (getrlimit(2)).
 */
import { parseDuration } from './duration';
import { parseSize } from './size';

export type RlimitUnit = 'count' | 'bytes' | 'seconds' | 'microseconds';

/** `resource`: as asm-generic/resource.h numbers it. */
export interface RlimitKind {
  readonly resource: number;
  readonly unit: RlimitUnit;
  readonly meaning: string;
}

export const RLIMITS = {
  open_files: { resource: 7, unit: 'count', meaning: 'Descriptors (RLIMIT_NOFILE)' },
  processes: { resource: 6, unit: 'count', meaning: "Processes and threads of the program's user (RLIMIT_NPROC)" },
  address_space: { resource: 9, unit: 'bytes', meaning: 'Memory that it may map (RLIMIT_AS)' },
  cpu_time: { resource: 0, unit: 'seconds', meaning: 'CPU that it may use; SIGXCPU at the soft limit (RLIMIT_CPU)' },
  file_size: { resource: 1, unit: 'bytes', meaning: 'The largest file that it may write (RLIMIT_FSIZE)' },
  core_size: { resource: 4, unit: 'bytes', meaning: 'The largest core dump (RLIMIT_CORE)' },
  stack: { resource: 3, unit: 'bytes', meaning: 'Its stack (RLIMIT_STACK)' },
  data: { resource: 2, unit: 'bytes', meaning: 'Its heap and private memory (RLIMIT_DATA)' },
  memlock: { resource: 8, unit: 'bytes', meaning: 'Memory that it may keep from being swapped (RLIMIT_MEMLOCK)' },
  locks: { resource: 10, unit: 'count', meaning: 'File locks; Linux has not looked at it since 2.4.25 (RLIMIT_LOCKS)' },
  pending_signals: { resource: 11, unit: 'count', meaning: "Queued signals of the program's user (RLIMIT_SIGPENDING)" },
  message_queues: {
    resource: 12,
    unit: 'bytes',
    meaning: "POSIX message queues of the program's user (RLIMIT_MSGQUEUE)",
  },
  nice: { resource: 13, unit: 'count', meaning: '20 less the lowest nice value that it may take (RLIMIT_NICE)' },
  realtime_priority: { resource: 14, unit: 'count', meaning: 'Real-time priority that it may take (RLIMIT_RTPRIO)' },
  realtime_time: {
    resource: 15,
    unit: 'microseconds',
    meaning: 'CPU that a real-time program may use without waiting (RLIMIT_RTTIME)',
  },
  resident_set: { resource: 5, unit: 'bytes', meaning: 'Linux has not looked at it since 2.4.30 (RLIMIT_RSS)' },
} as const satisfies Readonly<Record<string, RlimitKind>>;

export type RlimitName = keyof typeof RLIMITS;

export const RLIMIT_NAMES = Object.keys(RLIMITS) as readonly RlimitName[];

/** What the kernel takes for no limit. */
export const UNLIMITED = -1;
/** Of a hard limit: what stdiod has itself. */
export const KEPT = -2;

/** Soft and hard in the kernel's units. */
export interface Rlimit {
  readonly resource: number;
  readonly soft: number;
  readonly hard: number;
}

/** `SOFT:HARD`, or one value that is both. undefined: it is no such text. */
export function parseRlimit({ resource, unit }: RlimitKind, written: string | number): Rlimit | undefined {
  const [soft, hard, ...rest] = String(written)
    .split(':')
    .map((part) => parseAmount(part, unit));
  if (soft === undefined || rest.length > 0) return undefined;
  if (hard === undefined) return String(written).includes(':') ? undefined : { resource, soft, hard: soft };
  return { resource, soft, hard };
}

/** Whether `a` allows more than `b`. */
export function isAbove(a: number, b: number): boolean {
  if (b === UNLIMITED) return false;
  return a === UNLIMITED || a > b;
}

const COUNT = /^\d{1,15}$/;
const MICROSECONDS = 1000;

function parseAmount(text: string, unit: RlimitUnit): number | undefined {
  if (text === 'unlimited') return UNLIMITED;
  if (unit === 'bytes') return parseSize(text);
  if (COUNT.test(text)) return Number(text);
  if (unit === 'count') return undefined;
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) return undefined;
  const amount = unit === 'seconds' ? milliseconds / 1000 : milliseconds * MICROSECONDS;
  return Number.isInteger(amount) ? amount : undefined;
}
