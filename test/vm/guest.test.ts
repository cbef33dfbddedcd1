/**
 * What is promised of a Debian with systemd, tried in one (guest.ts): one boot for all of it. Without an image of it, or without QEMU, each
 * promise is skipped by its name; `test/vm/make-image` makes the image.
 */
import { isThere, LONGEST_MS, runGuest, type Run } from './guest';
import './inside/all';
import { promises } from './inside/promises';

const NEEDS = ' (needs qemu-system-x86_64 and the image of test/vm/make-image)';

let run: Run | null = null;

if (isThere) {
  beforeAll(async () => {
    run = await runGuest();
  }, LONGEST_MS + 20_000);
}

for (const { title } of promises()) {
  const define = isThere ? test : test.skip;
  define(`${title}${NEEDS}`, () => {
    const outcome = run?.outcomes.get(title);
    if (outcome === undefined) throw new Error(`the guest has said nothing of it\n${run?.lastWords ?? ''}`);
    if (outcome.error !== null) throw new Error(outcome.error);
  });
}
