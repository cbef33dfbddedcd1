/**
 * One program that was started ahead of its clients and waits for them (native/park). It is a child of ours, and of no connection. Who
 * wakes with a connection says so before touching it: whoever has not when we revoke never will, so that each client is served once.
 */
import { addon, type Fd, type Pid } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import type { Exit } from './children';

/** A client that is on its way to a program. The descriptors stay the caller's until one of the two is called, which happens once. */
export interface Request {
  readonly fd: Fd;
  /** Becomes fd 2; null: the connection does. */
  readonly pipe: Fd | null;
  /** This process has the connection. @param family the name of its session (`STDIOD_CONNECTION`); null: it has none of its own */
  onWoken(pid: Pid, family: string | null): void;
  /** Nobody has it, nor will have. */
  onLost(): void;
}

export interface ParkedParts {
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  readonly isTemplate: boolean;
  /** It can be asked for clients. */
  readonly onReady: (parked: Parked) => void;
  /** Of a pool: it is the process of a client from now on. */
  readonly onTaken: (parked: Parked) => void;
  /** It cannot be asked any more. @param reason null: on purpose */
  readonly onOver: (parked: Parked, reason: string | null) => void;
  /** A process that is ours to collect, or was until just now. */
  readonly isOwn: (pid: number) => boolean;
}

interface Pending {
  readonly request: Request;
  /** performance.now. */
  readonly sinceMs: number;
}

/** Messages that are read before others get their turn. */
const BATCH = 64;
/** As many as fit into its socket, and more. */
const MOST_AT_END = 1024;
/** Of what park says. */
const LONGEST_REASON = 250;

export class Parked {
  readonly pid: Pid;
  /** `STDIOD_CONNECTION`, in its environment. */
  readonly name: string;
  readonly startedMs = performance.now();
  /** Clients that it has had. */
  uses = 0;
  isReady = false;
  readonly #parts: ParkedParts;
  readonly #control: Fd;
  /** By the name under which each was sent. */
  readonly #pending = new Map<string, Pending>();
  #isOver = false;
  #isCut = false;
  #isCollected = false;

  /** Takes the process and our end of its control socket. @throws SystemError of epoll_ctl: then both are gone */
  static watch(pid: Pid, name: string, control: Fd, parts: ParkedParts): Parked {
    const parked = new Parked(pid, name, control, parts);
    try {
      parked.#watch();
      return parked;
    } catch (error) {
      kill(pid);
      addon.close(control);
      throw error;
    }
  }

  private constructor(pid: Pid, name: string, control: Fd, parts: ParkedParts) {
    [this.pid, this.name, this.#control, this.#parts] = [pid, name, control, parts];
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** @returns whether it is asked: else the request is still the caller's */
  ask(name: string, request: Request): boolean {
    if (this.#isOver || !addon.handOver(this.#control, name, request.fd, request.pipe)) return false;
    this.uses += 1;
    this.#pending.set(name, { request, sinceMs: performance.now() });
    return true;
  }

  /** Whether somebody has waited since before that. */
  isLate(beforeMs: number): boolean {
    const [first] = this.#pending.values();
    return first !== undefined && first.sinceMs < beforeMs;
  }

  read(most: number): void {
    for (let count = 0; count < most && !this.#isOver; count += 1) {
      const report = addon.readReport(this.#control);
      if (report === null) return;
      if (report.isEnd) this.#cut();
      else this.#hear(report.pid, report.text);
    }
  }

  /** It wakes nobody any more, and goes. @param reason null: on purpose */
  end(reason: string | null): void {
    if (!this.#stop()) return;
    this.#parts.onOver(this, reason);
    this.#loseAll();
  }

  /** It was collected. */
  onExit(exit: Exit): void {
    this.#isCollected = true;
    const reason = this.isReady ? `it ended while it waited (${wordOf(exit)})` : whyNeverReady(exit);
    if (this.#isCut) this.#parts.onOver(this, reason);
    else this.end(reason);
  }

  /** Nobody is at the other end any more, or says what must not be said: it ends, and how it ends tells why. */
  #cut(): void {
    if (!this.#stop()) return;
    this.#isCut = true;
    this.#loseAll();
  }

  /** @returns false: it was over, or of a pool somebody woke meanwhile */
  #stop(): boolean {
    if (this.#isOver) return false;
    addon.revoke(this.#control);
    this.#hearOut();
    if (this.#isGone()) return false;
    this.#release();
    if (!this.#isCollected) kill(this.pid);
    return true;
  }

  #watch(): void {
    this.#parts.pollSet.watch(this.#control, {
      onReadable: () => {
        this.read(BATCH);
      },
      onFault: () => {
        this.end('what it says cannot be read');
      },
    });
  }

  #isGone(): boolean {
    return this.#isOver;
  }

  /** All that was said before it was revoked. */
  #hearOut(): void {
    for (let count = 0; count < MOST_AT_END && !this.#isOver; count += 1) {
      const report = addon.readReport(this.#control);
      if (report === null || report.isEnd) return;
      this.#hear(report.pid, report.text);
    }
  }

  #hear(pid: number, text: string): void {
    const [word, rest] = [text.slice(0, 4), text.slice(5)];
    if (word === 'woke') this.#onWoken(pid, rest);
    else if (word === 'fail') this.#onFailed(rest);
    else if (!this.isReady && word === 'warm' && pid === this.pid) this.#onReady();
    else if (!this.isReady && word === 'cold') this.end(rest.slice(0, LONGEST_REASON));
  }

  #onReady(): void {
    this.isReady = true;
    this.#parts.onReady(this);
  }

  /** The kernel says who wrote it, and nobody else is believed about that. */
  #onWoken(pid: number, name: string): void {
    const isPossible = this.#parts.isTemplate ? pid !== this.pid && this.#parts.isOwn(pid) : pid === this.pid;
    if (!isPossible) return;
    const pending = this.#pending.get(name);
    this.#pending.delete(name);
    if (!this.#parts.isTemplate) {
      this.#release();
      this.#parts.onTaken(this);
    }
    if (pending === undefined) kill(pid as Pid);
    else pending.request.onWoken(pid as Pid, this.#parts.isTemplate ? null : this.name);
  }

  #onFailed(name: string): void {
    const pending = this.#pending.get(name);
    this.#pending.delete(name);
    pending?.request.onLost();
  }

  #release(): void {
    this.#isOver = true;
    this.#parts.pollSet.unwatch(this.#control);
    // It may have sent what nobody can close: nobody waits for that.
    addon.refuse(this.#control);
  }

  #loseAll(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { request } of pending) request.onLost();
  }
}

/** Its group as well: what it has started before it was ready. It has nothing of a client, and blocks all other signals. */
function kill(pid: Pid): void {
  for (const target of [-Number(pid), Number(pid)]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch {
      // It has no group of its own yet, or is gone.
    }
  }
}

function wordOf({ status, signal }: Exit): string {
  return status === null ? (signal ?? 'a signal') : `exit ${status}`;
}

function whyNeverReady(exit: Exit): string {
  if (exit.failure !== null) return `it cannot be started: ${exit.failure.step} ${exit.failure.error}`;
  return `it ended before it used its connection (${wordOf(exit)})`;
}
