/**
 * Every way in which a connection can end. Each closes what is still ours, gives the slot back once, tells it once, and lets
 * those know who wait for room.
 */
import type { Refusal } from '../../admission/admission';
import type { Slot, Slots } from '../../admission/slots';
import type { Child, Errand, Exit } from '../../child/children';
import type { ConnectionAccount, ConnectionAccounts } from '../../child/connection-accounts';
import { connectionValues } from '../../child/facts';
import type { Peaks } from '../../child/peaks';
import type { Emit, LogEvent, Reaped, ReapedUsage, RefusalCause, RefusalReason } from '../../log/events';
import { addon, type Fd } from '../../native/addon';
import { formatPeer, type LocalEnd, type Peer } from '../../service/peer';
import type { Service } from '../../service/service';
import { fillTemplate } from '../../service/template';
import { type Farewells, WITHOUT_WAITING } from './farewell';
import type { Connection, Hosted, HostedListener } from './hosted';
import { Refusals } from './refusals';
import { StderrHints } from './stderr-hints';

const MS = 1000;
const MICRO = 1_000_000;

/** What is kept of a connection, or of a lent socket, while its child runs. */
export interface Served {
  readonly hosted: Hosted;
  /** The connection's id. */
  readonly connection: string;
  /** `10.0.0.5:51034`; `-` where a child has many peers. */
  readonly peer: string;
  readonly slot: Slot;
  /** Its name in the environment of its processes, where that is not the connection's. */
  readonly family?: string;
  /** The kernel's number of a connection whose account is waited for. */
  readonly cookie?: number;
  /** The socket that a child of a `wait` service was lent. */
  readonly lent?: HostedListener;
}

/** As it stands in the environment of its processes. */
export function sessionName({ hosted, connection, family }: Served): string {
  return `${hosted.service.name}\0${family ?? connection}`;
}

type Dropped = Extract<LogEvent, { event: 'dropped'; step: string }>;

/** For a server in which nobody asks for any. */
const NO_ACCOUNTS: Pick<ConnectionAccounts, 'settle' | 'forget' | 'flush'> = {
  settle: (_, tell) => {
    tell(undefined);
  },
  forget: () => undefined,
  flush: () => undefined,
};
const NO_PEAKS: Pick<Peaks, 'take'> = { take: () => null };

/** A client that was let in no further than to be told so. */
interface Stranger {
  readonly fd: Fd;
  readonly peer: Peer;
  readonly local: LocalEnd;
}

export class Endings implements Errand<Served> {
  readonly #slots: Slots;
  readonly #emit: Emit;
  readonly #refusals: Refusals;
  readonly #hints = new StderrHints();
  readonly #onFreed: () => void;
  readonly #accounts: Pick<ConnectionAccounts, 'settle' | 'forget' | 'flush'>;
  readonly #peaks: Pick<Peaks, 'take'>;
  readonly #farewells: Pick<Farewells, 'say'>;

  /** @param onFreed a slot is free, or what holds up a server that wants to leave is gone */
  constructor(
    slots: Slots,
    emit: Emit,
    onFreed: () => void,
    accounts: Pick<ConnectionAccounts, 'settle' | 'forget' | 'flush'> = NO_ACCOUNTS,
    peaks: Pick<Peaks, 'take'> = NO_PEAKS,
    farewells: Pick<Farewells, 'say'> = WITHOUT_WAITING,
  ) {
    this.#slots = slots;
    this.#emit = emit;
    this.#accounts = accounts;
    this.#peaks = peaks;
    this.#farewells = farewells;
    this.#refusals = new Refusals(emit);
    this.#onFreed = onFreed;
  }

  /** It has no slot: there is none, and the service does not let its clients wait; or it is not admitted. */
  turnAway(stranger: Stranger, hosted: Hosted, { reason, limit }: Refusal, answer = ''): void {
    this.#close(stranger, hosted, answer);
    const { peer } = stranger;
    const { name: service } = hosted.service;
    this.#refusals.tell(hosted, { event: 'refused', service, peer: formatPeer(peer), reason, limit });
  }

  /** Closed on purpose. @param answer the last words to the client @param cause what a command had to do with it */
  refuse(connection: Connection, reason: RefusalReason, answer = '', cause?: RefusalCause): void {
    const { id, hosted, peer, slot } = connection;
    this.#close(connection, hosted, answer);
    const { service, gate } = hosted;
    this.#slots.release(slot);
    this.#refusals.tell(hosted, {
      event: 'refused',
      service: service.name,
      // JSON leaves out what is undefined.
      connection: cause && id,
      peer: formatPeer(peer),
      reason,
      ...cause,
      limit: gate.limit,
    });
    this.#onFreed();
  }

  /** @param answer in place of what its service says to those who are refused */
  #close(stranger: Stranger, { service }: Hosted, answer: string): void {
    const { refused } = service.messages;
    const words = answer === '' && refused !== null ? wordsFor(refused, stranger, service) : answer;
    if (words === '') addon.refuse(stranger.fd);
    else this.#farewells.say(stranger.fd, words);
  }

  /** Tells what was left to be told later. */
  flush(): void {
    this.#refusals.flush();
    this.#accounts.flush();
  }

  /** Lost to a failure of ours. */
  drop({ id: connection, fd, hosted, peer, slot }: Connection, step: string, error: string): void {
    addon.refuse(fd);
    this.#slots.release(slot);
    const { name: service } = hosted.service;
    this.#emit({ event: 'dropped', service, connection, peer: formatPeer(peer), step, error });
    this.#onFreed();
  }

  /** The child is collected; of one that never ran its program we know why. */
  onExit(child: Child<Served>, exit: Exit): void {
    const { hosted, connection, peer, slot } = child.owner;
    const { name: service } = hosted.service;
    this.#slots.release(slot);
    const peak = this.#peaks.take(child.pid);
    if (exit.failure === null) this.#tellReaped(child.owner, this.#reapedOf(child, exit, peak));
    else this.#tellLost(child.owner, { event: 'dropped', service, connection, peer, ...exit.failure });
    this.#onFreed();
  }

  /** Held until the account of its connection has come, where one does: by then everything else is done. */
  #tellReaped({ cookie }: Served, reaped: Reaped): void {
    if (cookie === undefined) this.#emit(reaped);
    else
      this.#accounts.settle(cookie, (account) => {
        this.#emit(account === undefined ? reaped : withAccount(reaped, account));
      });
  }

  #tellLost({ cookie }: Served, dropped: Dropped): void {
    if (cookie !== undefined) this.#accounts.forget(cookie);
    this.#emit(dropped);
  }

  #reapedOf({ pid, startedMs, owner, endReason }: Child<Served>, exit: Exit, peak: number | null): Reaped {
    const { service, gate } = owner.hosted;
    return {
      event: 'reaped',
      service: service.name,
      connection: owner.connection,
      pid,
      // JSON leaves out what is undefined.
      exit: exit.status ?? undefined,
      signal: exit.signal ?? undefined,
      core: exit.hasCore ? true : undefined,
      reason: endReason ?? (isOutOfMemory(exit) ? 'out-of-memory' : undefined),
      duration: (Math.round(performance.now()) - startedMs) / MS,
      cpu: Math.round(cpuSecondsOf(exit) * MS) / MS,
      rss: largest(exit.rssBytes, peak),
      memory: exit.group?.memoryBytes ?? undefined,
      in: exit.traffic?.in,
      out: exit.traffic?.out,
      rtt: undefined,
      retransmits: undefined,
      usage: usageOf(exit),
      hint: endReason === undefined && hasFailed(exit) ? this.#hints.take(owner.hosted) : undefined,
      children: gate.inUse,
      limit: gate.limit,
    };
  }
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/** In the places of these fields. A program that counts for itself knows better. */
function withAccount(reaped: Reaped, { in: from, out: to, rttSeconds, retransmits }: ConnectionAccount): Reaped {
  const [inBytes, outBytes] = [reaped.in ?? from, reaped.out ?? to];
  return { ...reaped, in: inBytes, out: outBytes, rtt: rttSeconds ?? undefined, retransmits };
}

function usageOf({ usage }: Exit): ReapedUsage {
  return {
    user: Math.round(usage.userSeconds * MICRO) / MICRO,
    system: Math.round(usage.systemSeconds * MICRO) / MICRO,
    minor_faults: usage.minorFaults,
    major_faults: usage.majorFaults,
    voluntary_switches: usage.voluntarySwitches,
    involuntary_switches: usage.involuntarySwitches,
    disk_read: usage.diskReadBytes,
    disk_written: usage.diskWrittenBytes,
  };
}

/** Of all processes of its control group, where it had one; else its own. */
function cpuSecondsOf({ usage, group }: Exit): number {
  return group?.cpuSeconds ?? usage.userSeconds + usage.systemSeconds;
}

/** Of a session the kernel ends all or nothing (child/group.ts). */
function isOutOfMemory({ signal, group }: Exit): boolean {
  return signal === 'SIGKILL' && group?.hadOomKill === true;
}

/** A program that wrote to a client that has left is not to blame. */
function hasFailed({ status, signal }: Exit): boolean {
  return status !== 0 && signal !== 'SIGPIPE';
}

/** Who is refused has no number. */
function wordsFor(text: string, { peer, local }: Stranger, { name }: Service): string {
  return fillTemplate(text, connectionValues(peer, local, { service: name, connection: '' }));
}
