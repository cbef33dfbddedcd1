/**
 * What a program writes to fd 2 under `stderr: log`, line by line. Each child has a pipe of its own: nobody speaks for another,
 * and nobody can close another's mouth. A program that writes faster than we read waits.
 */
import { addon, type Fd } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { PidTable } from './pid-table';
import type { OnLine } from './reports';

/** Pieces of one child that are read before others get their turn. */
const BATCH = 16;
/** More than a pipe holds: 64 KiB in pieces of 1 KiB. */
const ALL = 128;
/** A longer line is told in parts. */
const LONGEST_LINE = 1024;

interface Entry<Speaker> {
  readonly speaker: Speaker;
  readonly reader: Fd;
  /** The beginning of a line whose end has not come. */
  unfinished: string;
  isOpen: boolean;
}

export class Words<Speaker> {
  readonly #pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  readonly #onLine: OnLine<Speaker>;
  readonly #byPid = new PidTable<Entry<Speaker>>();

  constructor(pollSet: Pick<PollSet, 'watch' | 'unwatch'>, onLine: OnLine<Speaker>) {
    this.#pollSet = pollSet;
    this.#onLine = onLine;
  }

  /** From now on the child is heard; the reader is ours. */
  add(pid: number, speaker: Speaker, reader: Fd): void {
    const entry = { speaker, reader, unfinished: '', isOpen: true };
    this.#byPid.add(pid, entry);
    const onReadable = (): void => {
      this.#read(entry, BATCH);
    };
    try {
      this.#pollSet.watch(reader, { onReadable, onFault: () => undefined });
    } catch {
      // The child runs already: it is not heard, and goes on.
      this.#close(entry);
    }
  }

  /** The child has ended: tells what it still had to say. What it left running is not heard. */
  settle(pid: number): void {
    const entry = this.#byPid.get(pid);
    if (entry === undefined) return;
    this.#byPid.remove(pid);
    this.#read(entry, ALL);
    if (entry.unfinished !== '') this.#onLine(entry.speaker, entry.unfinished);
    this.#close(entry);
  }

  #read(entry: Entry<Speaker>, most: number): void {
    for (let count = 0; count < most && entry.isOpen; count += 1) {
      const text = addon.readPipe(entry.reader);
      if (text === null) return;
      if (text === '') this.#close(entry);
      else this.#take(entry, text);
    }
  }

  #take(entry: Entry<Speaker>, text: string): void {
    const lines = (entry.unfinished + text).split('\n');
    const last = lines.pop() ?? '';
    if (last.length >= LONGEST_LINE) lines.push(last);
    entry.unfinished = last.length >= LONGEST_LINE ? '' : last;
    for (const line of lines) this.#onLine(entry.speaker, line);
  }

  #close(entry: Entry<Speaker>): void {
    if (!entry.isOpen) return;
    entry.isOpen = false;
    this.#pollSet.unwatch(entry.reader);
    addon.close(entry.reader);
  }
}
