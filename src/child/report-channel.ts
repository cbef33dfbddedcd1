/**
 * One socket pair on which children of ours say things. They hold its writing end, so any process of their user may have taken
 * it from them: it may be shut down, have a message with descriptors in it, which is for nobody here to take, or be flooded. Each is
 * its end. Then a new pair takes its place, for children to come, after a pause that grows while the ends follow each other.
 */
import { addon, type Fd, type Report } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { asSystemError } from '../native/system-error';

/** What others know of one. */
export interface Channel {
  /** Becomes fd 2 of the children. The number stays, whatever becomes of the pair. */
  readonly writer: Fd;
  /** Hears so many messages, if there are any. */
  read(most: number): void;
}

export interface ChannelParts {
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** @returns whether it was worth hearing */
  readonly onReport: (report: Report) => boolean;
  /** What children say is lost for so long. */
  readonly onEnd: (pauseMs: number) => void;
}

/** Messages that are read before others get their turn. */
const BATCH = 64;
/** Messages of one pair that are nothing to anybody: each costs us as much as one that is. */
const MOST_IDLE = 1000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 60_000;
/** After so long the next end is one of its own. */
const CALM_MS = 10 * LONGEST_PAUSE_MS;

export class ReportChannel implements Channel {
  readonly writer: Fd;
  readonly #parts: ChannelParts;
  /** null: during a pause. */
  #reader: Fd | null = null;
  #idle = 0;
  #pauseMs = 0;
  #openedMs = 0;

  /** @throws SystemError of socketpair or epoll_ctl */
  constructor(parts: ChannelParts) {
    this.#parts = parts;
    this.writer = this.#open(null);
  }

  read(most: number): void {
    for (let count = 0; count < most && this.#reader !== null; count += 1) {
      const report = addon.readReport(this.#reader);
      if (report === null) return;
      if (report.isEnd || this.#isFloodedBy(report)) this.#end(this.#reader);
    }
  }

  #isFloodedBy(report: Report): boolean {
    if (!this.#parts.onReport(report)) this.#idle += 1;
    return this.#idle > MOST_IDLE;
  }

  #open(old: Fd | null): Fd {
    const { reader, writer } = addon.openReports(old);
    try {
      this.#watch(reader);
    } catch (error) {
      addon.close(reader);
      throw error;
    }
    [this.#reader, this.#idle, this.#openedMs] = [reader, 0, performance.now()];
    return writer;
  }

  #watch(reader: Fd): void {
    this.#parts.pollSet.watch(reader, {
      onReadable: () => {
        this.read(BATCH);
      },
      // What cannot be read now is read when its child ends.
      onFault: () => undefined,
    });
  }

  #end(reader: Fd): void {
    this.#reader = null;
    this.#parts.pollSet.unwatch(reader);
    addon.close(reader);
    if (performance.now() - this.#openedMs > CALM_MS) this.#pauseMs = 0;
    this.#parts.onEnd(this.#pause());
  }

  /** @returns its length in milliseconds */
  #pause(): number {
    this.#pauseMs = Math.min(Math.max(2 * this.#pauseMs, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    setTimeout(() => {
      this.#tryOpen();
    }, this.#pauseMs).unref();
    return this.#pauseMs;
  }

  /** Out of descriptors or watches there is another time. */
  #tryOpen(): void {
    try {
      this.#open(this.writer);
    } catch (error) {
      asSystemError(error);
      this.#pause();
    }
  }
}
