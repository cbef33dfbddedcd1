/**
 * Events go out here, and the accept path never waits for their reader. Lines of one turn of the event loop leave in one
 * write; when stderr takes no more they queue up to a bound, and beyond it they are counted and told in one `lost` event. The same
 * when it fails: a full disk may have room again, a FIFO may find a new reader, and a line that was begun is finished first.
 */
import type { LogEvent } from './events';
import type { FormatEvent } from './format';
import type { Output } from './output';

/** Bytes that may wait for a slow reader: some 5,000 events. */
const QUEUE_BYTES = 1024 * 1024;
/** What words of programs may take of it; and the last ones of each. */
const WORDS_SHARE = 1 / 2;
const LAST_WORDS_SHARE = 3 / 4;
const RETRY_MS = 50;
const CLOSE_MS = 1000;
const CLOSE_RETRY_MS = 5;
/** When the output failed. */
const FAILED_RETRY_MS = 1000;

export class Log {
  readonly #output: Output;
  #format: FormatEvent;
  /** Lines of this turn of the loop. */
  #lines = '';
  /** Bytes that the output did not take yet. */
  #queue: Buffer = Buffer.alloc(0);
  #lost = 0;
  #isScheduled = false;
  #retry: NodeJS.Timeout | null = null;
  /** The output takes no more for now: not before this time (performance.now) is it asked again. */
  #retryAt = 0;
  #hasFailed = false;

  constructor(output: Output, format: FormatEvent) {
    this.#output = output;
    this.#format = format;
  }

  setFormat(format: FormatEvent): void {
    this.#lines += this.#format.rest?.() ?? '';
    this.#format = format;
  }

  emit(event: LogEvent): void {
    if (this.#isFull && performance.now() >= this.#retryAt) this.flush();
    if (this.#isFull) {
      this.#lost += 1;
      return;
    }
    this.#lines += this.#format(event, new Date());
    if (this.#isScheduled || this.#retry !== null) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** For words of programs, which must not crowd out what stdiod tells itself. @param isLast before an end: some room is theirs alone */
  hasRoomForWords(isLast: boolean): boolean {
    const most = QUEUE_BYTES * (isLast ? LAST_WORDS_SHARE : WORDS_SHARE);
    if (this.#waiting > most && performance.now() >= this.#retryAt) this.flush();
    return this.#waiting <= most;
  }

  /** The last thing before exit: a reader who is only slow gets all of it, whoever has stopped reading is waited for that long. */
  async close(limitMs = CLOSE_MS): Promise<void> {
    const endMs = performance.now() + limitMs;
    this.flush();
    while (this.#queue.length > 0 && !this.#hasFailed && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, CLOSE_RETRY_MS));
      this.flush();
    }
  }

  /** Writes what the output takes now; the rest is tried again soon. */
  flush(): void {
    this.#drain();
    if (this.#queue.length === 0) this.#logLost();
    if (this.#queue.length > 0) this.#retryLater();
  }

  /** What was not offered yet counts as well: a turn of the loop may tell more than fits. */
  get #isFull(): boolean {
    return this.#waiting > QUEUE_BYTES;
  }

  get #waiting(): number {
    return this.#queue.length + this.#lines.length;
  }

  #drain(): void {
    const fresh = Buffer.from(this.#lines + (this.#format.rest?.() ?? ''), 'utf8');
    this.#lines = '';
    const bytes = this.#queue.length === 0 ? fresh : Buffer.concat([this.#queue, fresh]);
    this.#queue = bytes.subarray(this.#offer(bytes));
  }

  #offer(bytes: Uint8Array): number {
    try {
      const taken = this.#output.write(bytes);
      this.#hasFailed = false;
      return taken;
    } catch {
      this.#hasFailed = true;
      return 0;
    }
  }

  #logLost(): void {
    if (this.#lost === 0) return;
    const event: LogEvent = { event: 'lost', count: this.#lost };
    this.#lost = 0;
    this.#lines += this.#format(event, new Date());
    this.#drain();
  }

  #retryLater(): void {
    const delayMs = this.#hasFailed ? FAILED_RETRY_MS : RETRY_MS;
    this.#retryAt = performance.now() + delayMs;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.flush();
    }, delayMs).unref();
  }
}
