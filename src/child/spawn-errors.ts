/**
 * What a failed spawn means for the connection that wanted a child. From clone(2), "Errors".
 */

import { isSystemError } from '../native/system-error';

/** The child's control group could not be made or set (cgroups.ts). */
export const GROUP_STEP = 'cgroup';
/** There are as many processes in its service's group as may be. To wait for one of them to end would hold up other services. */
export const PROCESSES_STEP = 'processes_max';

/** processes, memory, open-files: the system is short of them, and the connection is worth keeping; null: it fails for good. */
export function classifySpawnError(code: string, step = 'clone'): 'processes' | 'memory' | 'open-files' | null {
  if (step === PROCESSES_STEP) return null;
  // mkdir says it where there are too many groups already.
  if (code === 'EAGAIN') return step === GROUP_STEP ? null : 'processes';
  // The descriptor that a child of a `wait` service gets of its own (native/spawn.cc).
  if (code === 'EMFILE' || code === 'ENFILE') return 'open-files';
  // F_DUPFD with a limit below the lowest number that it may give (fcntl(2)).
  if (code === 'EINVAL' && step === 'fcntl') return 'open-files';
  return code === 'ENOMEM' ? 'memory' : null;
}

/** What stands in `dropped`. A fault of ours is none of the system's calls: it costs one connection, and not everybody else theirs. */
export interface SpawnFailure {
  readonly step: string;
  readonly error: string;
  readonly shortage: ReturnType<typeof classifySpawnError>;
}

export function describeSpawnFailure(error: unknown): SpawnFailure {
  if (!isSystemError(error)) return { step: 'prepare', error: String(error), shortage: null };
  return { step: error.syscall, error: error.code, shortage: classifySpawnError(error.code, error.syscall) };
}
