/**
 * What a failed spawn means for the connection that wanted a child. From clone(2), "Errors".
 */

/** processes, memory, open-files: the system is short of them, and the connection is worth keeping; null: it fails for good. */
export function classifySpawnError(code: string): 'processes' | 'memory' | 'open-files' | null {
  if (code === 'EAGAIN') return 'processes';
  // The descriptor that a child of a `wait` service gets of its own (native/spawn.cc).
  if (code === 'EMFILE' || code === 'ENFILE') return 'open-files';
  return code === 'ENOMEM' ? 'memory' : null;
}
