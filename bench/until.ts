// Waits for a fact, never for a time: polls until it holds, or fails after a bounded while.

import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 20;

/** Throws "WHAT: not within N s" when `holds` stays false. */
export async function until(what: string, timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(pollMs);
  }
}
