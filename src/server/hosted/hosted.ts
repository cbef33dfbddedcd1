/**
 * Who is who while stdiod serves, and the two seams on which everything hangs: what a readable listener means (Intake), and
 * what becomes of an accepted connection (Handler). The types stand in one file because each names the others.
 */
import type { Admission } from '../../admission/admission';
import type { Gate, Slot } from '../../admission/slots';
import type { Listener } from '../../listener/listener';
import type { Fd } from '../../native/addon';
import type { LocalEnd, Peer } from '../../service/peer';
import type { Service } from '../../service/service';

/**
 * A service while it is hosted. One per name: it outlives a reload, and when its service is removed it stays until its last
 * child is reaped.
 */
export interface Hosted {
  service: Service;
  /** As the service was when it was installed; replaced with it. */
  intake: Intake;
  handler: Handler;
  /** What is asked of a client beside a slot; null: nothing. Replaced with it as well. */
  admission: Admission | null;
  readonly gate: Gate;
  /** Those that are there, in the order of the configuration's `listen`. */
  listeners: HostedListener[];
  /** What each of them is known by (roster/open-listeners), at the same place. */
  keys: readonly string[];
}

export type HostedListener = Listener<Hosted>;

/** more: there may be another client. empty: there is none. paused: the listener must wait. */
export type Outcome = 'more' | 'empty' | 'paused';

/** What a readable listener of the service means. */
export interface Intake {
  /** Takes a fair share of what waits. */
  onReadable(listener: HostedListener): Outcome;
}

/** An accepted connection that has its slot, until it is handed over or ends. */
export interface Connection {
  /** `c1a7`, as it stands in the log and in the child's environment. */
  readonly id: string;
  readonly hosted: Hosted;
  readonly listener: HostedListener;
  readonly fd: Fd;
  readonly peer: Peer;
  readonly local: LocalEnd;
  readonly slot: Slot;
  /** As it was when the connection was accepted: a reload may change the service before a child can be made. */
  readonly handler: Handler;
}

/** What the system is short of: the connection is kept, and its handler asked again. */
export type Shortage = 'processes' | 'memory' | 'open-files';

/** What becomes of a connection. */
export interface Handler {
  /** Enough of its children are on their way to their program: the next client is served as soon if it waits for them. */
  readonly isBusy: boolean;
  /** Too many connections of before cannot be closed: the next client waits until they can. */
  readonly isHeldUp?: boolean;
  /** taken: the handler sees to its end. */
  take(connection: Connection): 'taken' | Shortage;
}

/** Whatever holds connections without a child, for a server that wants to leave. */
export interface Holder {
  readonly count: number;
  /** Ends those that are due, and from now on those that come. */
  endAll(isDue: (hosted: Hosted) => boolean): void;
}
