/**
 * What this process could give a child of the machine's resources.
 */
import { getPriority } from 'node:os';
import { UNLIMITED } from '../service/rlimits';
import { parseCpus } from '../service/scheduling';
import { readProc } from './files';

/** As asm-generic/resource.h numbers them. */
const RLIMIT_NOFILE = 7;
const RLIMIT_NICE = 13;

/** The nice value that RLIMIT_NICE counts down from. */
const NICE_CEILING = 20;
const LOWEST_NICE = -20;

/** @param mayRaise with CAP_SYS_RESOURCE hard limits can be raised, but that on open files not above fs.nr_open */
export function highestLimit(resource: number, mayRaise: boolean): number {
  if (!mayRaise) return ownLimit(resource).hard;
  return resource === RLIMIT_NOFILE ? Number(readProc('/proc/sys/fs/nr_open') ?? UNLIMITED) : UNLIMITED;
}

export function lowestNice(): number {
  const limit = ownLimit(RLIMIT_NICE).soft;
  return limit === UNLIMITED ? LOWEST_NICE : Math.min(getPriority(), NICE_CEILING - limit);
}

export function ownOomScore(): number | null {
  const stat = readProc('/proc/self/stat') ?? '';
  const score = Number.parseInt(stat, 10) === process.pid ? readProc('/proc/self/oom_score_adj') : null;
  return score === null ? null : Number(score);
}

export function ownCpus(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readProc('/proc/self/status') ?? '')?.[1];
  return parseCpus(list ?? '0') ?? [0];
}

const ROW = /^.{26}(\S+)\s+(\S+)/;

/** The kernel writes them in the order of their numbers, below a line of titles (proc_pid_limits(5)). */
function ownLimit(resource: number): { soft: number; hard: number } {
  const row = (readProc('/proc/self/limits') ?? '').split('\n')[resource + 1] ?? '';
  const [, soft, hard] = ROW.exec(row) ?? [];
  return { soft: amountOf(soft), hard: amountOf(hard) };
}

function amountOf(text: string | undefined): number {
  return text === undefined || text === 'unlimited' ? UNLIMITED : Number(text);
}
