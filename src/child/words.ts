/**
 * What programs write to fd 2 under `stderr: log`, line by line. Each child has a pipe of its own: nobody speaks for another,
 * and nobody can close another's mouth. However much they write, reading it takes a limited share of our time; how much of it is
 * told, allowance.ts says.
 *
 * A child may end before its pipe does, when it has left somebody behind who holds that. Those are heard for as long as there are
 * not too many of them: then the pipe of the oldest is closed.
 *
 * And whoever writes may hold the kernel's lock of a pipe for as long as they like. The addon does not wait for that, and we leave the
 * pipes of that service alone for a while (deafness.ts).
 */
import { addon, type Fd, type PipeOwner } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { Allowance, type Outlet } from './allowance';
import { Bucket } from './bucket';
import { Deafness } from './deafness';
import { PidTable } from './pid-table';
import { Rounds } from './rounds';
import { LONGEST_LINE, Voice } from './voice';

/** What is read at once. */
const PIECE = 16 * 1024;
/** Whatever is in the largest pipe that a user may make of theirs (fs.pipe-max-size), in at most as many pieces as it has pages. */
const MOST_AT_END = { bytes: 1024 * 1024, reads: 256 };
/** As many reads as a pipe takes that nobody has made larger; with more, those of a service at once, and in a second after that. */
const READS_AT_END = { each: 8, burst: 1024, perSecond: 256 };
/** A pipe that has something to read more often than this, in so long, is no longer watched but visited. */
const MOST_READS = 8;
const WINDOW_MS = 100;
const SECOND_MS = 1000;
/** Pipes whose children have ended: of one service, and of all. */
const MOST_LEFT = { service: 16, all: 64 };

const NOTHING = Buffer.alloc(0);

/** Of `readPipe`: nothing was read, and who knows when there will be. */
const HELD = -2;

interface Entry {
  readonly reader: Fd;
  readonly voice: Voice;
  readonly source: Source;
  /** The beginning of a line whose end has not come. */
  unfinished: Buffer;
  isOpen: boolean;
  /** Since `sinceMs` (performance.now). */
  reads: number;
  sinceMs: number;
}

/** What the children of a service share. */
interface Source {
  readonly allowance: Allowance;
  readonly deafness: Deafness<Entry>;
  /** Reads at the ends of its children, beyond those that each may have. */
  readonly ends: Bucket;
  readonly onDeaf: (pauseMs: number) => void;
}

export interface WordsParts<Starter, Speaker> {
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** What all those have in common who share an allowance. */
  readonly serviceOf: (starter: Starter) => object;
  readonly onLine: (speaker: Speaker, line: string) => void;
  /** So many lines of the speaker's service were left out. */
  readonly onLeftOut: (speaker: Speaker, count: number) => void;
  /** Nobody of the speaker's service is heard for so long. */
  readonly onDeaf: (speaker: Speaker, pauseMs: number) => void;
  readonly hasRoom: Outlet['hasRoom'];
}

/** @template Starter what is known of a child before there is one */
export class Words<Starter, Speaker extends Starter = Starter> {
  readonly #parts: WordsParts<Starter, Speaker>;
  readonly #byPid = new PidTable<Entry>();
  /** Pipes whose children have ended, the oldest first. */
  readonly #left = new Set<Entry>();
  readonly #rounds = new Rounds<Entry>((entry) => this.#visit(entry));
  readonly #sources = new WeakMap<object, Source>();
  /** Those that are not quiet. */
  readonly #restless = new Set<Allowance>();
  #timer: NodeJS.Timeout | null = null;
  /** With room for an unfinished line before what is read. */
  readonly #buffer = Buffer.alloc(LONGEST_LINE + PIECE);
  readonly #piece = this.#buffer.subarray(LONGEST_LINE);

  constructor(parts: WordsParts<Starter, Speaker>) {
    this.#parts = parts;
  }

  /**
   * A pipe for a child to come; null: it would not be heard. Where no descriptor is left, those who were left behind have to give theirs.
   * @throws SystemError of pipe2
   */
  open(starter: Starter, owner: PipeOwner | null): { reader: Fd; writer: Fd } | null {
    if (this.#sources.get(this.#parts.serviceOf(starter))?.deafness.isOn === true) return null;
    try {
      return addon.openPipe(owner);
    } catch (error) {
      if (this.#left.size === 0) throw error;
      for (const entry of [...this.#left].slice(0, 2)) this.#close(entry);
      return addon.openPipe(owner);
    }
  }

  /** From now on the child is heard; the reader is ours. */
  add(pid: number, speaker: Speaker, reader: Fd): void {
    const source = this.#sourceOf(speaker);
    const voice = new Voice(source.allowance, (line) => {
      this.#parts.onLine(speaker, line);
    });
    const entry = { reader, voice, source, unfinished: NOTHING, isOpen: true, reads: 0, sinceMs: 0 };
    this.#byPid.add(pid, entry);
    this.#watch(entry);
  }

  /** The child has ended: tells what it still had to say. */
  settle(pid: number): void {
    const entry = this.#byPid.get(pid);
    if (entry === undefined) return;
    this.#byPid.remove(pid);
    this.#finish(entry);
    if (!entry.isOpen) return;
    this.#left.add(entry);
    this.#limitLeft(entry.voice.allowance);
  }

  /** Tells what is left to be told: there is no other time. */
  flush(): void {
    for (const entry of [...this.#left]) this.#finish(entry);
    for (const allowance of this.#restless) allowance.tell();
  }

  #sourceOf(speaker: Speaker): Source {
    const service = this.#parts.serviceOf(speaker);
    const known = this.#sources.get(service);
    if (known !== undefined) return known;
    const { hasRoom, onLeftOut, onDeaf } = this.#parts;
    const source: Source = {
      allowance: new Allowance({
        hasRoom,
        onLeftOut: (count) => {
          onLeftOut(speaker, count);
        },
      }),
      deafness: new Deafness<Entry>(() => {
        this.#listenAgain(source);
      }),
      ends: new Bucket(READS_AT_END.burst, READS_AT_END.perSecond),
      onDeaf: (pauseMs) => {
        onDeaf(speaker, pauseMs);
      },
    };
    this.#sources.set(service, source);
    return source;
  }

  /** Out of epoll watches it is visited. */
  #watch(entry: Entry): void {
    const onReadable = (): void => {
      this.#onReadable(entry);
    };
    try {
      this.#parts.pollSet.watch(entry.reader, { onReadable, onFault: () => undefined });
    } catch {
      this.#rounds.add(entry);
    }
  }

  #onReadable(entry: Entry): void {
    const length = this.#read(entry);
    if (!entry.isOpen || length === HELD || (length < PIECE && !isBusy(entry))) return;
    this.#parts.pollSet.unwatch(entry.reader);
    this.#rounds.add(entry);
  }

  /** @returns whether it is to be visited again */
  #visit(entry: Entry): boolean {
    if (!entry.isOpen) return false;
    const length = this.#read(entry);
    if (length >= 0) return entry.isOpen;
    if (length !== HELD) this.#watch(entry);
    return false;
  }

  /** @returns bytes; 0: it has come to its end; -1: nothing is there; HELD: it waits until there is another time */
  #read(entry: Entry): number {
    if (entry.source.deafness.isOn) return this.#leaveWaiting(entry);
    const length = addon.readPipe(entry.reader, this.#piece);
    if (length === HELD) this.#goDeaf(entry.source, entry);
    if (length === HELD) return this.#leaveWaiting(entry);
    if (length > 0) this.#hear(entry, length);
    if (length === 0) this.#close(entry);
    return length;
  }

  #leaveWaiting(entry: Entry): typeof HELD {
    entry.source.deafness.waiting.add(entry);
    this.#rounds.remove(entry);
    this.#parts.pollSet.unwatch(entry.reader);
    return HELD;
  }

  #goDeaf({ deafness, onDeaf }: Source, culprit: Entry | null): void {
    onDeaf(deafness.begin(culprit));
  }

  /** Whoever was held up is asked first, and is held up still or is not. */
  #listenAgain({ deafness }: Source): void {
    for (const entry of deafness.waiting) {
      if (deafness.isOn) return;
      deafness.waiting.delete(entry);
      if (entry.isOpen) this.#tryAgain(entry);
      else this.#closePipe(entry);
    }
  }

  #tryAgain(entry: Entry): void {
    const length = this.#read(entry);
    if (length !== HELD && length !== 0) this.#watch(entry);
  }

  #hear(entry: Entry, length: number): void {
    const { unfinished, voice } = entry;
    const begin = LONGEST_LINE - unfinished.length;
    unfinished.copy(this.#buffer, begin);
    const rest = voice.say(this.#buffer.subarray(begin, LONGEST_LINE + length));
    entry.unfinished = rest.length === 0 ? NOTHING : Buffer.from(rest);
    this.#mind(voice.allowance);
  }

  /** All that is there, and the last lines. What would take a service's children too much of our time is visited later on. */
  #finish(entry: Entry): void {
    let bytes = 0;
    for (let reads = 0; reads < MOST_AT_END.reads && bytes < MOST_AT_END.bytes && entry.isOpen; reads += 1) {
      if (reads >= READS_AT_END.each && !entry.source.ends.take()) break;
      const length = this.#read(entry);
      if (length < 0) break;
      bytes += length;
    }
    this.#endVoice(entry);
  }

  #endVoice(entry: Entry): void {
    entry.voice.end(entry.unfinished);
    entry.unfinished = NOTHING;
    this.#mind(entry.voice.allowance);
  }

  /** Whoever still writes into it learns by SIGPIPE that nobody reads it. */
  #close(entry: Entry): void {
    entry.isOpen = false;
    this.#rounds.remove(entry);
    this.#parts.pollSet.unwatch(entry.reader);
    this.#closePipe(entry);
    if (this.#left.delete(entry)) this.#endVoice(entry);
  }

  #closePipe(entry: Entry): void {
    if (entry.source.deafness.isOn) entry.source.deafness.waiting.add(entry);
    else if (!addon.closePipe(entry.reader)) this.#goDeaf(entry.source, null);
  }

  #limitLeft(allowance: Allowance): void {
    const ofService = [...this.#left].filter(({ voice }) => voice.allowance === allowance);
    const [oldest] = ofService.length > MOST_LEFT.service ? ofService : this.#left;
    const isTooMany = ofService.length > MOST_LEFT.service || this.#left.size > MOST_LEFT.all;
    if (isTooMany && oldest !== undefined) this.#close(oldest);
  }

  /** One that is not quiet is asked once a second. */
  #mind(allowance: Allowance): void {
    if (allowance.isQuiet) return;
    this.#restless.add(allowance);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#tell();
    }, SECOND_MS).unref();
  }

  #tell(): void {
    for (const allowance of [...this.#restless]) {
      allowance.tell();
      this.#restless.delete(allowance);
      this.#mind(allowance);
    }
  }
}

/** Whether it has had something to read too often. */
function isBusy(entry: Entry): boolean {
  const now = performance.now();
  if (now - entry.sinceMs > WINDOW_MS) [entry.reads, entry.sinceMs] = [0, now];
  entry.reads += 1;
  return entry.reads > MOST_READS;
}
