// Whatever a benchmark starts ends with it, however it ends: by the end of main, an exception or a signal.
// Whoever starts a process notes its pid here, and forgets it once the process is gone.

const pids = new Set<number>();

export function endWithUs(pid: number): void {
  pids.add(pid);
}

export function forget(pid: number): void {
  pids.delete(pid);
}

process.on('exit', () => {
  for (const pid of pids) killIfThere(pid);
});
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
