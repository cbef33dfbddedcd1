/**
 * Services that are not served as the file wants are tried again by themselves, all of them together, with a pause that grows. The
 * machine is asked on a thread of its own, about the configuration as it was read: what somebody has edited since waits for HUP.
 */
import type { SourceText } from '../config/load';
import type { Emit } from '../log/events';
import type { Configuration } from '../service/service';
import { Loader, type Patience } from './loader';
import type { LoadOrder } from './load-thread';
import type { Reread } from './packets';
import type { Server } from './server';

/** The first pause doubles up to the last, milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;

/** A large configuration takes long to look at: for most of the time nobody does. */
const REST = 5;

/** It says the same as one that hangs already. */
const MOST_HUNG = 1;

export class Retrier {
  readonly #server: Pick<Server, 'retry' | 'isLacking'>;
  readonly #emit: Emit;
  readonly #file: string;
  readonly #loader: Loader;
  readonly #firstPauseMs: number;
  #texts: readonly SourceText[] = [];
  #timer: NodeJS.Timeout | null = null;
  #pauseMs: number;
  /** What another configuration came in force for is no answer any more. */
  #round = 0;
  #isBusy = false;
  /** What was told last of an attempt that came to nothing. */
  #problem: string | null = null;

  constructor(
    order: LoadOrder,
    server: Pick<Server, 'retry' | 'isLacking'>,
    emit: Emit,
    patience?: Patience,
    firstPauseMs = ordinaryPause(),
  ) {
    this.#server = server;
    this.#emit = emit;
    this.#file = order.file;
    this.#loader = new Loader(order, () => undefined, patience, MOST_HUNG, Infinity);
    this.#firstPauseMs = firstPauseMs;
    this.#pauseMs = firstPauseMs;
  }

  /** Another configuration is in force. @param texts what was read for it */
  begin(texts: readonly SourceText[]): void {
    this.stop();
    this.#pauseMs = this.#firstPauseMs;
    if (!this.#server.isLacking) return;
    this.#texts = texts;
    this.#startTimer();
  }

  /** An attempt that is under way comes to nothing. */
  stop(): void {
    this.#round += 1;
    this.#texts = [];
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #startTimer(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#try(this.#round);
    }, this.#pauseMs).unref();
  }

  /** An attempt of before a reload may not have come back: there is one at a time. */
  async #try(round: number): Promise<void> {
    if (this.#isBusy) {
      this.#startTimer();
      return;
    }
    this.#isBusy = true;
    const begin = performance.now();
    const found = await this.#loader.load(this.#texts);
    const tookMs = performance.now() - begin;
    const problem = round === this.#round ? await this.#problemOf(found) : null;
    this.#isBusy = false;
    if (round === this.#round) this.#onAnswer(problem, tookMs);
  }

  async #problemOf(found: Reread): Promise<string | null> {
    return found.ok ? this.#apply(found.configuration) : (found.diagnostics[0]?.message ?? '');
  }

  #onAnswer(problem: string | null, tookMs: number): void {
    this.#logProblem(problem);
    if (!this.#server.isLacking) {
      this.stop();
      return;
    }
    this.#pauseMs = Math.max(Math.min(2 * this.#pauseMs, LAST_PAUSE_MS), REST * tookMs);
    this.#startTimer();
  }

  /** What we did not foresee costs the attempt, and not the server. */
  async #apply(found: Configuration): Promise<string | null> {
    try {
      await this.#server.retry(found);
      return null;
    } catch (error) {
      return `could not be applied: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** Once, however often the next attempts come to the same. */
  #logProblem(message: string | null): void {
    const isNew = message !== this.#problem;
    this.#problem = message;
    if (message === null || !isNew) return;
    const remedy = 'until it can, what is unavailable stays so; HUP tries at once';
    this.#emit({ event: 'problem', file: this.#file, line: 0, column: 0, path: '', message, remedy });
  }
}

/** Tests have less of it. */
function ordinaryPause(): number {
  return Number(process.env['STDIOD_RETRY_MS'] ?? FIRST_PAUSE_MS);
}
