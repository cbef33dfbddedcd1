/**
 * What children say to us on fd 2: those whose program is our own, and whose plan gives them the report socket. The kernel
 * tells with each message who wrote it, so that nobody speaks for another; a process that we do not know is not heard.
 *
 * A message is a line for the operator, or the account of the connection: a NUL, then the bytes from and to the client. Who
 * sends that does so before it exits, so the socket is emptied before an exit is told.
 */
import { addon, type Fd } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import { PidTable } from './pid-table';

/** Bytes of one connection. */
export interface Traffic {
  /** From the client. */
  readonly in: number;
  /** To the client. */
  readonly out: number;
}

export type OnLine<Speaker> = (speaker: Speaker, line: string) => void;

/** Messages that are read before others get their turn. */
const BATCH = 64;
/** More than the socket holds (native/reports.cc). */
const ALL = 1024;

const ACCOUNT = /^\0(\d{1,15}) (\d{1,15})$/;

interface Entry<Speaker> {
  readonly speaker: Speaker;
  traffic: Traffic | undefined;
}

export class Reports<Speaker> {
  /** Becomes fd 2 of the children. */
  readonly writer: Fd;
  readonly #reader: Fd;
  readonly #onLine: OnLine<Speaker>;
  readonly #byPid = new PidTable<Entry<Speaker>>();

  /** @throws SystemError of socketpair or epoll_ctl */
  constructor(pollSet: Pick<PollSet, 'watch'>, onLine: OnLine<Speaker>) {
    this.#onLine = onLine;
    const { reader, writer } = addon.openReports();
    [this.#reader, this.writer] = [reader, writer];
    pollSet.watch(reader, {
      onReadable: () => {
        this.#read(BATCH);
      },
      // What cannot be read now is read when its child ends.
      onFault: () => undefined,
    });
  }

  /** From now on the child is heard. */
  add(pid: number, speaker: Speaker): void {
    this.#byPid.add(pid, { speaker, traffic: undefined });
  }

  /** The child has ended: hears what it still had to say. @returns its account, if it gave one */
  settle(pid: number): Traffic | undefined {
    if (this.#byPid.get(pid) === undefined) return undefined;
    this.#read(ALL);
    const traffic = this.#byPid.get(pid)?.traffic;
    this.#byPid.remove(pid);
    return traffic;
  }

  #read(most: number): void {
    for (let count = 0; count < most; count += 1) {
      const report = addon.readReport(this.#reader);
      if (report === null) return;
      const entry = this.#byPid.get(report.pid);
      if (entry !== undefined) this.#take(entry, report.text);
    }
  }

  #take(entry: Entry<Speaker>, text: string): void {
    const [, from, to] = ACCOUNT.exec(text) ?? [];
    if (from !== undefined && to !== undefined) entry.traffic = { in: Number(from), out: Number(to) };
    else if (!text.startsWith('\0')) this.#onLine(entry.speaker, text.replace(/\n$/, ''));
  }
}
