/**
 * Waits for facts: a probe is asked again and again until it answers. No test sleeps, and no speed decides one: the
 * deadline is only there to end a test that has failed already.
 */
import { setTimeout as delay } from 'node:timers/promises';

const PROBE_MS = 5;
const DEADLINE_MS = 90_000;

export type Probe<T> = () => T | undefined | Promise<T | undefined>;

/** @param what the fact, for the message of a test that waits in vain */
export async function until<T>(what: string | (() => string), probe: Probe<T>, deadlineMs = DEADLINE_MS): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  while (performance.now() < deadline) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    await delay(PROBE_MS);
  }
  throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`);
}

/** As `until`, for a fact that is just true. */
export async function untilTrue(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  await until(what, async () => ((await isTrue()) ? true : undefined));
}
