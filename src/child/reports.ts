/**
 * What children say to us on fd 2: those whose program is our own, and whose plan gives them a report channel. The kernel
 * tells with each message who wrote it, so that nobody speaks for another; a process that we do not know is not heard.
 *
 * A message is a line for the operator, or the account of the connection: a NUL, then the bytes from and to the client. Who
 * sends that does so before it exits, so the socket is emptied before an exit is told.
 */
import type { Report } from '../native/addon';
import { PidTable } from './pid-table';
import { ReportChannel, type Channel, type ChannelParts } from './report-channel';

/** Bytes of one connection. */
export interface Traffic {
  /** From the client. */
  readonly in: number;
  /** To the client. */
  readonly out: number;
}

export type OnLine<Speaker> = (speaker: Speaker, line: string) => void;

/** More than a socket holds (native/reports.cc). */
const ALL = 1024;
/** Messages of one child; a program of ours says a few. */
const MOST_HEARD = 10_000;

const ACCOUNT = /^\0(\d{1,15}) (\d{1,15})$/;

interface Entry<Speaker> {
  readonly speaker: Speaker;
  readonly channel: Channel;
  traffic: Traffic | undefined;
  /** Messages. */
  heard: number;
}

export interface ReportsParts<Speaker> {
  readonly pollSet: ChannelParts['pollSet'];
  readonly onLine: OnLine<Speaker>;
  /** Nobody hears the children of this user for so long. */
  readonly onLost: (uid: number | null, pauseMs: number) => void;
}

export class Reports<Speaker> {
  readonly #parts: ReportsParts<Speaker>;
  /** By the children's user; null: our own. One that was used stays: there are not more of them than users. */
  readonly #channels = new Map<number | null, Channel>();
  readonly #byPid = new PidTable<Entry<Speaker>>();

  constructor(parts: ReportsParts<Speaker>) {
    this.#parts = parts;
  }

  /** For the children of a user, who cannot silence those of another. @throws SystemError of socketpair or epoll_ctl */
  channelOf(uid: number | null): Channel {
    const known = this.#channels.get(uid);
    if (known !== undefined) return known;
    const channel = new ReportChannel({
      pollSet: this.#parts.pollSet,
      onReport: (report) => this.#hear(report),
      onEnd: (pauseMs) => {
        this.#parts.onLost(uid, pauseMs);
      },
    });
    this.#channels.set(uid, channel);
    return channel;
  }

  /** From now on the child is heard. */
  add(pid: number, speaker: Speaker, channel: Channel): void {
    this.#byPid.add(pid, { speaker, channel, traffic: undefined, heard: 0 });
  }

  /** The child has ended: hears what it still had to say. @returns its account, if it gave one */
  settle(pid: number): Traffic | undefined {
    const entry = this.#byPid.get(pid);
    if (entry === undefined) return undefined;
    entry.channel.read(ALL);
    this.#byPid.remove(pid);
    return entry.traffic;
  }

  /** @returns false: whoever says it is nobody's child, or has said enough */
  #hear({ pid, text }: Report): boolean {
    const entry = this.#byPid.get(pid);
    if (entry === undefined || entry.heard === MOST_HEARD) return false;
    entry.heard += 1;
    this.#take(entry, text);
    return true;
  }

  #take(entry: Entry<Speaker>, text: string): void {
    const [, from, to] = ACCOUNT.exec(text) ?? [];
    if (from !== undefined && to !== undefined) entry.traffic = { in: Number(from), out: Number(to) };
    else if (!text.startsWith('\0')) this.#parts.onLine(entry.speaker, text.replace(/\n$/, ''));
  }
}
