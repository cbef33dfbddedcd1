/**
 * Whom the kernel ends first when memory runs out: a child, and not stdiod, which is larger than any one of thousands that do
 * nothing. It is told of those who have lived for a second: who comes and goes costs nothing.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { addon, type Pid } from '../native/addon';

/** As much as three tenths of the memory there is. */
const EXTRA = 300;
const HIGHEST = 1000;

const AGE_MS = 1000;
/** In one turn of the event loop. */
const BATCH = 64;

interface Process {
  readonly pid: Pid;
  /** performance.now. */
  readonly startedMs: number;
}

export class OomScores<Child extends Process> {
  readonly #isRunning: (child: Child) => boolean;
  /** null: /proc is not that of our processes. */
  readonly #score = childScore();
  /** In the order of their start. */
  #young: Child[] = [];
  #isWaiting = false;

  /** @param isRunning not reaped yet */
  constructor(isRunning: (child: Child) => boolean) {
    this.#isRunning = isRunning;
  }

  add(child: Child): void {
    if (this.#score === null) return;
    this.#young.push(child);
    if (!this.#isWaiting) this.#wait(AGE_MS);
  }

  #wait(delayMs: number): void {
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      this.#tell();
    }, delayMs).unref();
  }

  /** A batch of those who are old enough; the others later. */
  #tell(): void {
    const now = performance.now();
    const old = this.#young.slice(0, BATCH).filter(({ startedMs }) => startedMs + AGE_MS <= now);
    this.#young = this.#young.slice(old.length);
    for (const child of old) if (this.#isRunning(child)) addon.setOomScore(child.pid, this.#score ?? 0);
    const [next] = this.#young;
    if (next !== undefined) this.#wait(Math.max(0, next.startedMs + AGE_MS - now));
  }
}

/** Ours, which they inherit, and more. */
function childScore(): number | null {
  try {
    if (Number(readlinkSync('/proc/self')) !== process.pid) return null;
    return Math.min(HIGHEST, Number(readFileSync('/proc/self/oom_score_adj', 'latin1')) + EXTRA);
  } catch {
    return null;
  }
}
