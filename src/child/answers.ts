/**
 * Questions that are asked on another thread, one after the other, and may never be answered. One is waited for until the next does not
 * come for a while; those behind it may be asked anew.
 */

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 16;
/** So long after the last answer the next one does not come, also where a session takes all the CPU it gets. */
const PATIENCE_MS = 1000;

/** @param onEnd hears as many as have come: with fewer than there should be, the next one does not answer */
export function waitForAnswers<Answer>(
  count: number,
  soFar: () => readonly Answer[],
  onEnd: (answers: readonly Answer[]) => void,
): void {
  let [heard, heardMs, waitMs] = [0, performance.now(), FIRST_WAIT_MS];
  const look = (): void => {
    const answers = soFar();
    if (answers.length > heard) [heard, heardMs] = [answers.length, performance.now()];
    waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    if (answers.length >= count || performance.now() - heardMs > PATIENCE_MS) onEnd(answers);
    else setTimeout(look, waitMs).unref();
  };
  setTimeout(look, waitMs).unref();
}
