/**
 * Whether a process rests, and for how long.
 *
 * What it gets of the processor says little by itself: on a busy machine one that spins gets little. So a program
 * that does nothing but spin runs beside it, and what that one gets is the measure, however long it takes. What is tried
 * again now and then costs something too, by the clock: the longer it takes, the more.
 */
import { spawn } from 'node:child_process';
import { atEnd } from './endings';
import { stat } from './proc';
import { untilTrue } from './until';

/** Of user and system time, as /proc counts it. */
const SPUN_TICKS = 36;
/** A process that spins too gets as much as the other, or a third of it where chance puts two of them on one processor. */
const FEW_TICKS = 8;
/** Of a processor, for what is done now and then. */
const FEW_PERCENT = 2;
const TICK_MS = 10;

/** One that spins does so in each of them; one that rests may have had something left to do in the first. */
const ROUNDS = 3;

export async function expectRest(pid: number): Promise<void> {
  for (let round = 1; ; round += 1) {
    const { ticks, most } = await measure(pid);
    if (ticks < most) return;
    if (round === ROUNDS) expect(ticks).toBeLessThan(most);
  }
}

/** What it got while the other one spun, and what is too much for one that rests. */
async function measure(pid: number): Promise<{ ticks: number; most: number }> {
  const spinner = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  atEnd(() => {
    spinner.kill('SIGKILL');
  });
  const [before, startMs] = [stat(pid).ticks, performance.now()];
  await untilTrue('the other one has spun', () => stat(spinner.pid ?? 0).ticks >= SPUN_TICKS);
  spinner.kill('SIGKILL');
  const passed = (performance.now() - startMs) / TICK_MS;
  return { ticks: stat(pid).ticks - before, most: FEW_TICKS + (passed * FEW_PERCENT) / 100 };
}

/**
 * Of the gaps after waits of 10, 20, 40 … ms. Timers count from the beginning of their turn of the loop, so on a busy machine a
 * gap may look shorter than it was, and the one before it longer: of the last ones together, and of the last, half is enough.
 */
export function expectGrowth(gaps: readonly number[]): void {
  const waits = gaps.map((_, at) => 10 * 2 ** at);
  for (const from of [gaps.length - 4, gaps.length - 1])
    expect(sum(gaps.slice(from))).toBeGreaterThanOrEqual(sum(waits.slice(from)) / 2);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
