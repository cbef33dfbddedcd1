/**
 * A look at the configuration on a thread of its own: what it says, or why not. Never without an end: a name service, a network
 * file system or a folder in FUSE may not answer, and the thread that waits for it can be left, not ended.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Refused } from '../config/load';
import type { Emit } from '../log/events';
import { addon } from '../native/addon';
import { Slices } from '../native/slices';
import type { LoadOrder } from './load-thread';
import { unpack, type Packed, type Reread } from './packets';

/** How long a load may take, milliseconds. */
export interface Patience {
  /** After that it is told that it still goes on. */
  readonly slowMs: number;
  /** After that it is given up. */
  readonly limitMs: number;
}

const LIMIT_MS = 30_000;
const SLOW_SHARE = 6;

const MOST_HUNG = 4;
/** With so many, the next attempt is made this long after the last was given up; doubled with each more that hangs, up to an hour. */
const FIRST_WAIT_MS = 60_000;
const LAST_WAIT_MS = 3_600_000;

/**
 * Descriptors: five for a thread and the file that it reads, the others for a name service. A thread whose event loop gets only some of
 * what it needs never gives those back (libuv's uv_loop_init).
 */
const NEEDED = 16;

export class Loader {
  readonly #order: LoadOrder;
  readonly #emit: Emit;
  readonly #patience: Patience;
  readonly #mostHung: number;
  readonly #firstWaitMs: number;
  readonly #slices = new Slices();
  /** Threads that were given up and have not ended since. */
  #hung = 0;
  /** When the last one was given up; performance.now. */
  #givenUpMs = 0;

  /**
   * @param mostHung threads that may hang before the next one has to wait: each holds memory for as long
   * @param firstWaitMs how long it has to; Infinity: until one of them ends
   */
  constructor(
    order: LoadOrder,
    emit: Emit,
    patience: Patience = ordinaryPatience(),
    mostHung = MOST_HUNG,
    firstWaitMs = FIRST_WAIT_MS,
  ) {
    this.#order = order;
    this.#emit = emit;
    this.#patience = patience;
    this.#mostHung = mostHung;
    this.#firstWaitMs = firstWaitMs;
  }

  /**
   * A loader that fails in a way that we did not foresee must not end the server either: it reads as a problem of the file.
   * @param texts what the files said before, in place of what they say now
   */
  async load(texts?: LoadOrder['texts']): Promise<Reread> {
    if (!this.#mayTry()) return this.#problem(`${this.#hung} attempts before this one still hang`, REMEDY);
    if (addon.freeDescriptors(NEEDED) < NEEDED) return this.#problem('too few open files', RAISE);
    const worker = startThread(texts === undefined ? this.#order : { ...this.#order, texts });
    if (worker instanceof Error) return this.#problem(worker.message);
    const timers = this.#watch();
    const answer = await Promise.race([this.#answerOf(worker), timers.limit]);
    timers.clear();
    return answer === null ? this.#giveUp(worker) : this.#unpack(answer);
  }

  /** Many that hang say little about the next one: what they wait for may be out of the way. */
  #mayTry(): boolean {
    const beyond = this.#hung - this.#mostHung;
    if (beyond < 0) return true;
    const waitMs = Math.max(this.#firstWaitMs, Math.min(this.#firstWaitMs * 2 ** beyond, LAST_WAIT_MS));
    return performance.now() - this.#givenUpMs >= waitMs;
  }

  async #unpack(answer: Packed): Promise<Reread> {
    return (await this.#slices.run(unpack(answer))) ?? this.#problem('it was given up');
  }

  #answerOf(worker: Worker): Promise<Packed> {
    return new Promise((resolve) => {
      worker.once('message', (result: Packed) => {
        resolve(result);
      });
      worker.once('error', (error) => {
        resolve(this.#problem(error.message));
      });
      worker.once('exit', () => {
        resolve(this.#problem('the loader ended without a word'));
      });
    });
  }

  /** `limit` settles when the time is up. */
  #watch(): { limit: Promise<null>; clear: () => void } {
    const { slowMs, limitMs } = this.#patience;
    const slow = setTimeout(() => {
      this.#emit({ event: 'loading', file: this.#order.file, duration: slowMs / 1000 });
    }, slowMs).unref();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, limitMs, null).unref();
    });
    const clear = (): void => {
      clearTimeout(slow);
      clearTimeout(timer);
    };
    return { limit, clear };
  }

  /**
   * Left alone, it ends by itself once its system call does, maybe never. Not `terminate`: the addon would come back from that
   * call into an isolate that is ending, and node-addon-api makes that the end of the process.
   */
  #giveUp(worker: Worker): Refused {
    this.#hung += 1;
    this.#givenUpMs = performance.now();
    worker.once('exit', () => {
      this.#hung -= 1;
    });
    worker.unref();
    return this.#problem(`not read within ${this.#patience.limitMs / 1000} s, given up`, REMEDY);
  }

  #problem(reason: string, remedy: string | null = null): Refused {
    const place = { file: this.#order.file, line: 0, column: 0, path: '', source: '', sourceColumn: 1 };
    return { ok: false, diagnostics: [{ ...place, message: `could not be loaded: ${reason}`, remedy }] };
  }
}

const REMEDY = 'look for what does not answer: the name service (getent passwd), a network file system';

const RAISE = 'raise LimitNOFILE (ulimit -n), or try again when fewer are in use';

/** Tests have less of it. */
function ordinaryPatience(): Patience {
  const limitMs = Number(process.env['STDIOD_RELOAD_LIMIT_MS'] ?? LIMIT_MS);
  return { slowMs: limitMs / SLOW_SHARE, limitMs };
}

/** With its own ends of stdout and stderr: ours would be opened as streams, which makes them non-blocking for all who share them. */
function startThread(order: LoadOrder): Worker | Error {
  try {
    return new Worker(join(__dirname, 'load-thread.js'), { workerData: order, stdout: true, stderr: true });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
