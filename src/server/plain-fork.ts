/**
 * Whether children are made by a plain fork, which costs more: a test says so, or the kernel is one on which a child that shares
 * our memory could end us.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';

export interface Kernel {
  /** As uname(2) says it: `5.10.0-28-amd64`. */
  readonly release: string;
  /** fs.suid_dumpable. */
  readonly suidDumpable: number;
}

/**
 * Before Linux 5.16 a core dump takes every process along that shares the memory, and with suid_dumpable=2 a child may be made to
 * dump core (SIGQUIT) by its new user, before its exec.
 */
export function mustFork({ release, suidDumpable }: Kernel, isRoot: boolean): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  const isOld = major < 5 || (major === 5 && minor < 16);
  return isRoot && isOld && suidDumpable !== 0;
}

export function thisKernel(): Kernel {
  return { release: release(), suidDumpable: readNumber('/proc/sys/fs/suid_dumpable') };
}

/** 0 where /proc does not say. */
function readNumber(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}
