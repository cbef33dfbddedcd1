/**
 * Every event that stdiod reports, with its fields in the order in which they are written. docs/events.md is the manual;
 * a test holds the two together.
 */

/** Whoever reports needs no more of the log than this. */
export type Emit = (event: LogEvent) => void;

export type LogEvent =
  | { event: 'listening'; service: string; address: string; backlog: number | undefined }
  | {
      event: 'accepted';
      service: string;
      connection: string;
      peer: string;
      /** Of a service that has several addresses: which one the client asked for. */
      local: string | undefined;
      pid: number;
      children: number;
      limit: number;
    }
  | {
      event: 'started';
      service: string;
      connection: string;
      address: string;
      pid: number;
      children: number;
      limit: number;
    }
  /** One client; or, without a peer, so many. */
  | {
      event: 'refused';
      service: string;
      connection?: string | undefined;
      peer?: string;
      reason: RefusalReason;
      command?: string;
      exit?: number | undefined;
      signal?: string | undefined;
      step?: string;
      error?: string;
      /** The one that was reached; else that of the service. Of an address there is none. */
      limit: number | undefined;
      count?: number;
    }
  | { event: 'dropped'; service: string; connection: string; peer: string; step: string; error: string }
  /** A datagram that was thrown away on purpose. */
  | { event: 'dropped'; service: string; address: string; peer: string; reason: 'unread' }
  | Reaped
  /** So many processes have outlived a program that ended by itself; `signal`: they got it, and are ended. */
  | { event: 'leftover'; service: string; connection: string; pid: number; left: number; signal: string | undefined }
  /** One line; or, without it, so many that were left out. */
  | { event: 'said'; service: string; connection?: string; pid?: number; line?: string; count?: number }
  /** What programs of ours say as this user (a number; null: stdiod's own) is lost, for so many seconds from now on. */
  | { event: 'unheard'; user: number | null; duration: number }
  /** The same of what programs of this service write to their standard error. */
  | { event: 'unheard'; service: string; duration: number }
  /** So many programs wait for this service's clients. */
  | { event: 'warm'; service: string; mode: 'pool' | 'template'; waiting: number }
  /** No program waits for this service's clients, for so many seconds at least: each is started when its client is there. */
  | { event: 'cold'; service: string; reason: string; duration: number }
  | { event: 'paused'; service: string; reason: PauseReason; children: number; limit: number }
  | { event: 'resumed'; service: string; children: number; limit: number }
  | {
      event: 'serving';
      version: string;
      pid: number;
      file: string | null;
      services: number;
      listeners: number;
      unavailable: number | undefined;
    }
  /** Nothing is enabled. */
  | { event: 'idle'; disabled: number }
  | { event: 'unavailable'; service: string; reason: string; served: 'no' | 'partly' | 'before' }
  | { event: 'available'; service: string }
  | {
      event: 'reloaded';
      /** Names, of which the last may be `+N` for those that are left out. */
      added: readonly string[];
      changed: readonly string[];
      removed: readonly string[];
      kept: number;
      unavailable: number | undefined;
    }
  /** A reload that takes long: so many seconds until now. */
  | { event: 'loading'; file: string; duration: number }
  | { event: 'rejected'; problems: number }
  | ({ event: 'problem' } & Told)
  | ({ event: 'warning' } & Told)
  | { event: 'failed'; verb: string; address: string; service: string; error: string; action: string }
  | { event: 'ignored'; signal: string }
  | { event: 'unused'; socket: string }
  | { event: 'stopping'; signal: string; children: number }
  /** `left`: and so many processes that children have left behind. */
  | { event: 'terminating'; signal: string; children: number; left?: number }
  | { event: 'stopped'; children: number }
  | {
      event: 'status';
      service: string;
      listeners: number;
      children: number;
      limit: number;
      /** Why it lacks accounts that it asks for. */
      unaccounted: string | undefined;
    }
  | { event: 'lost'; count: number };

/** What is wrong, or odd, with the configuration. */
interface Told {
  file: string;
  line: number;
  column: number;
  path: string;
  message: string;
  remedy: string | null;
  /** With the line that it is in, for a terminal; JSON leaves functions out. */
  shown?: Shown;
}

/** @param columns 0: as wide as it gets @returns lines, the first of which tells the place; the last one ends */
export type Shown = (columns: number, isColored: boolean) => string;

/**
 * A child was collected: `exit` or `signal`, never both. Durations in seconds; `rss` in bytes, null when it is not known;
 * `in` and `out`: bytes from and to the client, of those who count them.
 */
export interface Reaped {
  event: 'reaped';
  service: string;
  connection: string;
  pid: number;
  exit: number | undefined;
  signal: string | undefined;
  core: true | undefined;
  /** Why we ended it, when we did; `out-of-memory`: the kernel did, for its control group had none left. */
  reason: 'stop' | 'removed' | 'session-timeout' | 'idle-timeout' | 'disconnected' | 'out-of-memory' | undefined;
  duration: number;
  cpu: number;
  rss: number | null;
  /** Of a child in a control group: the most memory that all its processes had together, bytes. */
  memory: number | undefined;
  in: number | undefined;
  out: number | undefined;
  /** Of a TCP connection: the way to the client and back as the kernel has measured it, seconds, and what had to be sent again. */
  rtt: number | undefined;
  retransmits: number | undefined;
  /** For programs: a line for people has `cpu`. */
  usage: ReapedUsage;
  /** Where what it wrote to stderr went: of a service the first time that it fails. */
  hint: string | undefined;
  children: number;
  limit: number;
}

/** Seconds, counts and bytes (getrusage(2)), the children that it has collected included. */
export interface ReapedUsage {
  user: number;
  system: number;
  minor_faults: number;
  major_faults: number;
  voluntary_switches: number;
  involuntary_switches: number;
  disk_read: number;
  disk_written: number;
}

/**
 * Why a client is not admitted (src/admission), why one of tcpmux got no service (server/handlers/tcpmux.ts), or what a command said that
 * was asked first (before.ts).
 */
export type RefusalReason =
  | 'service-limit'
  | 'server-limit'
  | 'address'
  | 'hours'
  | 'peer-limit'
  | 'peer-rate'
  | 'rate'
  | 'before'
  | 'no-service'
  | 'help'
  | 'silent'
  | 'too-long'
  | 'left'
  | 'stopping'
  | 'memory'
  | 'open-files';

/** Which command has a client refused, and how it ended: one of them, or with the step that failed. */
export interface RefusalCause {
  command: string;
  exit?: number | undefined;
  signal?: string | undefined;
  step?: string;
  error?: string;
}

/**
 * full: the service has all its children. server-full: stdiod has. open-files, memory, processes: the system refused more.
 * accept: accept failed in a way that clients cannot cause. closing: too many clients have left what cannot be closed. rate: they come
 * faster than the service lets them.
 */
export type PauseReason =
  'full' | 'server-full' | 'open-files' | 'memory' | 'processes' | 'accept' | 'closing' | 'rate';

/** Every word that may stand in `event`: one that is missing here, or too many, does not compile. */
const EVENTS: Record<LogEvent['event'], true> = {
  listening: true,
  accepted: true,
  started: true,
  unused: true,
  refused: true,
  dropped: true,
  said: true,
  unheard: true,
  warm: true,
  cold: true,
  reaped: true,
  leftover: true,
  paused: true,
  resumed: true,
  serving: true,
  idle: true,
  unavailable: true,
  available: true,
  reloaded: true,
  loading: true,
  rejected: true,
  problem: true,
  warning: true,
  failed: true,
  ignored: true,
  stopping: true,
  terminating: true,
  stopped: true,
  status: true,
  lost: true,
};

/** For the test that compares with docs/events.md. */
export const EVENT_NAMES: readonly string[] = Object.keys(EVENTS);
