/**
 * Waits for facts (as system/until), seldom: whoever asks has the only processor of the guest, and who is asked about has not.
 */
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 200;
/** Less than a promise has in all (run.ts). */
const DEADLINE_MS = 300_000;

/** @param pauseMs more for what is dear to ask: a program that has to be started for it */
export async function wait<Fact>(
  what: () => string,
  probe: () => Fact | undefined | Promise<Fact | undefined>,
  pauseMs = PAUSE_MS,
): Promise<Fact> {
  const deadline = performance.now() + DEADLINE_MS;
  while (performance.now() < deadline) {
    const fact = await probe();
    if (fact !== undefined) return fact;
    await delay(pauseMs);
  }
  throw new Error(`waited in vain: ${what()}`);
}

/** As `wait`, for a fact that is just true. */
export async function waitFor(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  await wait(
    () => what,
    async () => ((await isTrue()) ? true : undefined),
  );
}
