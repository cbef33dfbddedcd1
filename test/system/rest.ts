/**
 * Whether a process rests, and for how long.
 *
 * What it gets of the processor says little by itself: on a busy machine one that spins gets little. So a program
 * that does nothing but spin runs beside it, and what that one gets is the measure, however long it takes.
 */
import { spawn } from 'node:child_process';
import { atEnd } from './endings';
import { stat } from './proc';
import { untilTrue } from './until';

/** Of user and system time, as /proc counts it. */
const SPUN_TICKS = 60;
/** A process that spins too gets as much as the other, or a third of it where chance puts two of them on one processor. */
const FEW_TICKS = 10;

export async function expectRest(pid: number): Promise<void> {
  const spinner = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  atEnd(() => {
    spinner.kill('SIGKILL');
  });
  const before = stat(pid).ticks;
  await untilTrue('the other one has spun', () => stat(spinner.pid ?? 0).ticks >= SPUN_TICKS);
  spinner.kill('SIGKILL');
  expect(stat(pid).ticks - before).toBeLessThan(FEW_TICKS);
}

/**
 * Of the gaps after waits of 10, 20, 40 … ms. Timers count from the beginning of their turn of the loop, so on a busy machine a
 * gap may look shorter than it was: short ones say nothing, and of long ones half is enough.
 */
export function expectGrowth(gaps: readonly number[]): void {
  const long = gaps.slice(3);
  expect(long.map((gap, at) => gap >= 40 * 2 ** at)).toEqual(long.map(() => true));
}
