/**
 * What a failed spawn means for the connection that wanted a child. From clone(2), "Errors".
 */

/** processes, memory: the system is short of them, and the connection is worth keeping; null: it fails for good. */
export function classifySpawnError(code: string): 'processes' | 'memory' | null {
  if (code === 'EAGAIN') return 'processes';
  return code === 'ENOMEM' ? 'memory' : null;
}
