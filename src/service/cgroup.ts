/**
 * Limits of control groups: their names in the file, the kernel's files and words for them (cgroups(7); the kernel's
 * Documentation/admin-guide/cgroup-v2.rst), and what a service asks for.
 */
import { parseSize } from './size';

export type Controller = 'cpu' | 'io' | 'memory' | 'pids';

export type CgroupUnit = 'bytes' | 'count' | 'percent' | 'weight';

export interface CgroupKind {
  readonly controller: Controller;
  readonly file: string;
  readonly unit: CgroupUnit;
  /** What is in the file of a group that was just made. */
  readonly initial: string;
  readonly meaning: string;
}

export const CGROUP_LIMITS = {
  memory_max: {
    controller: 'memory',
    file: 'memory.max',
    unit: 'bytes',
    initial: 'max',
    meaning: 'Memory that all processes have together; with more the kernel ends them (memory.max)',
  },
  memory_high: {
    controller: 'memory',
    file: 'memory.high',
    unit: 'bytes',
    initial: 'max',
    meaning: 'Memory above which they are slowed down and have to give some back (memory.high)',
  },
  processes_max: {
    controller: 'pids',
    file: 'pids.max',
    unit: 'count',
    initial: 'max',
    meaning: 'Processes and threads (pids.max)',
  },
  cpu_quota: {
    controller: 'cpu',
    file: 'cpu.max',
    unit: 'percent',
    initial: 'max 100000',
    meaning: 'Time on the CPU: `50%` is half of one CPU, `200%` two of them (cpu.max)',
  },
  cpu_weight: {
    controller: 'cpu',
    file: 'cpu.weight',
    unit: 'weight',
    initial: '100',
    meaning: 'Its share of the CPU where there is too little of it, 1 to 10000; others have 100 (cpu.weight)',
  },
  io_weight: {
    controller: 'io',
    file: 'io.weight',
    unit: 'weight',
    initial: 'default 100',
    meaning: 'Its share of the disks likewise, on kernels with iocost (io.weight)',
  },
} as const satisfies Readonly<Record<string, CgroupKind>>;

export type CgroupLimit = keyof typeof CGROUP_LIMITS;

export const CGROUP_LIMIT_NAMES = Object.keys(CGROUP_LIMITS) as readonly CgroupLimit[];

/** What a service's processes may use together, and those of each connection. */
export interface Cgroup {
  /** Of the service. */
  readonly name: string;
  /** That it takes, in alphabetical order; never empty. */
  readonly controllers: readonly Controller[];
  readonly whole: readonly CgroupSetting[];
  readonly each: readonly CgroupSetting[];
}

export interface CgroupSetting {
  readonly file: string;
  /** As the kernel takes it. */
  readonly value: string;
}

/** undefined: it is no such limit. */
export function parseCgroupLimit({ file, unit }: CgroupKind, written: string | number): CgroupSetting | undefined {
  const value = WORDS[unit](String(written));
  return value === undefined ? undefined : { file, value: file === 'io.weight' ? `default ${value}` : value };
}

/** Microseconds over which time on the CPU is counted. */
const PERIOD_US = 100_000;
const PERCENT = /^(\d{1,6})%$/;
const COUNT = /^\d{1,7}$/;
const MOST_WEIGHT = 10_000;

const WORDS: Readonly<Record<CgroupUnit, (text: string) => string | undefined>> = {
  bytes: (text) => positive(parseSize(text)),
  count: (text) => (COUNT.test(text) ? positive(Number(text)) : undefined),
  percent: (text) => {
    const quota = positive((Number(PERCENT.exec(text)?.[1] ?? 0) * PERIOD_US) / 100);
    return quota === undefined ? undefined : `${quota} ${PERIOD_US}`;
  },
  weight: (text) => (COUNT.test(text) && Number(text) <= MOST_WEIGHT ? positive(Number(text)) : undefined),
};

function positive(number: number | undefined): string | undefined {
  return number !== undefined && number > 0 ? String(number) : undefined;
}

/** Whether the kernel may end its processes for want of memory. */
export function hasMemoryLimit({ whole, each }: Cgroup): boolean {
  return [...whole, ...each].some(({ file }) => file === CGROUP_LIMITS.memory_max.file);
}
