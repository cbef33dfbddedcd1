/**
 * How much of the machine a child gets beside others: which CPUs, by which policy, and its place at the disks
 * (sched(7), ioprio_set(2)).
 */

/** The kernel is built for no more CPUs. */
const MOST_CPUS = 8192;
const CPU_RANGE = /^(\d{1,4})(?:-(\d{1,4}))?$/;

/** `0-3,8`, as taskset(1) takes it; ascending. undefined: it is no such text. */
export function parseCpus(text: string): readonly number[] | undefined {
  const ranges = text.split(',').map(parseRange);
  if (ranges.includes(undefined)) return undefined;
  const cpus = new Set(ranges.flatMap((range) => range ?? []));
  return [...cpus].sort((a, b) => a - b);
}

function parseRange(text: string): number[] | undefined {
  const [, first, last = first] = CPU_RANGE.exec(text.trim()) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === undefined || from > to || to >= MOST_CPUS) return undefined;
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** As sched_setscheduler(2) takes it. */
export interface Scheduling {
  readonly policy: number;
  /** 0 unless the policy is one of real time. */
  readonly priority: number;
}

/** SCHED_… of linux/sched.h. */
const PLAIN_POLICIES = new Map([
  ['other', 0],
  ['batch', 3],
  ['idle', 5],
]);
const REALTIME_POLICIES = new Map([
  ['fifo', 1],
  ['round-robin', 2],
]);
const HIGHEST_PRIORITY = 99;

/** `other`, `batch`, `idle`, `fifo:1` to `fifo:99`, `round-robin:1` to `round-robin:99`. */
export function parseScheduling(text: string): Scheduling | undefined {
  const plain = PLAIN_POLICIES.get(text);
  if (plain !== undefined) return { policy: plain, priority: 0 };
  const [, name = '', digits] = /^([a-z-]+):([1-9]\d?)$/.exec(text) ?? [];
  const policy = REALTIME_POLICIES.get(name);
  const priority = Number(digits);
  return policy === undefined || priority > HIGHEST_PRIORITY ? undefined : { policy, priority };
}

export function isRealtime({ priority }: Scheduling): boolean {
  return priority > 0;
}

/** Classes of linux/ioprio.h; the class stands above 13 bits of level. */
const IO_REALTIME = 1;
const IO_IDLE = 3;
const IO_CLASSES = new Map([
  ['realtime', IO_REALTIME],
  ['best-effort', 2],
]);
const IO_CLASS_SHIFT = 13;

/** `idle`, `best-effort:0` (first) to `best-effort:7`, `realtime:0` to `realtime:7`; the kernel's number. */
export function parseIoPriority(text: string): number | undefined {
  if (text === 'idle') return IO_IDLE << IO_CLASS_SHIFT;
  const [, name = '', level] = /^([a-z-]+):([0-7])$/.exec(text) ?? [];
  const ioClass = IO_CLASSES.get(name);
  return ioClass === undefined ? undefined : (ioClass << IO_CLASS_SHIFT) | Number(level);
}

export function isRealtimeIo(priority: number): boolean {
  return priority >> IO_CLASS_SHIFT === IO_REALTIME;
}
