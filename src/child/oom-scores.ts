/**
 * Whom the kernel ends first when memory runs out: a child, and not stdiod, which is larger than any one of thousands that do
 * nothing. It is told of those who have lived for one to two seconds: who comes and goes costs nothing.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { addon, type Pid } from '../native/addon';

/** As much as three tenths of the memory there is. */
const EXTRA = 300;
const HIGHEST = 1000;

const AGE_MS = 1000;
/** Looked at in one turn of the event loop. */
const BATCH = 64;
/** Where the thread that writes them is behind; any user can hold that up. */
const RETRY_MS = 20;
/** Meanwhile those who come are kept, and who is gone is forgotten when there are so many, or twice as many as were left last time. */
const FEW = 1024;

interface Process {
  readonly pid: Pid;
  /** performance.now. */
  readonly startedMs: number;
}

export class OomScores {
  readonly #childOf: (pid: Pid) => Process | undefined;
  /** null: /proc is not that of our processes, or they have it from us already. */
  readonly #score = childScore();
  /** Numbers and not children: what is kept for a second outlives the collections that those who come and go do not. */
  #young: Pid[] = [];
  /** So many of them, and it is time to forget who is gone. */
  #many = FEW;
  /** Started before those, in the last round. */
  #old: Pid[] = [];
  /** Of the old ones, the next to look at. */
  #at = 0;
  #isWaiting = false;

  /** @param childOf that is not reaped yet */
  constructor(childOf: (pid: Pid) => Process | undefined) {
    this.#childOf = childOf;
  }

  add(pid: Pid): void {
    if (this.#score === null) return;
    this.#young.push(pid);
    if (!this.#isWaiting) this.#wait(AGE_MS);
  }

  #wait(delayMs: number): void {
    this.#isWaiting = true;
    setTimeout(() => {
      this.#isWaiting = false;
      this.#tellBatch();
    }, delayMs).unref();
  }

  #tellBatch(): void {
    const before = performance.now() - AGE_MS;
    const end = Math.min(this.#at + BATCH, this.#old.length);
    while (this.#at < end && this.#tell(this.#old[this.#at], before)) this.#at += 1;
    if (this.#at < end) this.#retry();
    else if (end < this.#old.length) this.#wait(0);
    else this.#beginRound();
  }

  #retry(): void {
    if (this.#young.length >= this.#many) {
      this.#young = [...new Set(this.#young)].filter((pid) => this.#childOf(pid) !== undefined);
      this.#many = Math.max(FEW, 2 * this.#young.length);
    }
    this.#wait(RETRY_MS);
  }

  #beginRound(): void {
    this.#old = this.#young;
    this.#young = [];
    this.#at = 0;
    if (this.#old.length > 0) this.#wait(AGE_MS);
  }

  /** A younger one has the pid of one that has ended. @returns false: it has to be tried again */
  #tell(pid: Pid | undefined, beforeMs: number): boolean {
    const child = pid === undefined ? undefined : this.#childOf(pid);
    if (child === undefined || child.startedMs > beforeMs) return true;
    return addon.setOomScore(child.pid, this.#score ?? 0);
  }
}

/** Ours, which they inherit, and more. */
function childScore(): number | null {
  try {
    if (Number(readlinkSync('/proc/self')) !== process.pid) return null;
    const own = Number(readFileSync('/proc/self/oom_score_adj', 'latin1'));
    return own === HIGHEST ? null : Math.min(HIGHEST, own + EXTRA);
  } catch {
    return null;
  }
}
