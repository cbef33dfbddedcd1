/**
 * The domain: a service as the rest of stdiod sees it, with every name resolved and every default filled in.
 * Made by `config`, compared by a reload, turned into a plan by `child` and into listeners by `listener`.
 * Everything here is plain data, so that it can be compared and can cross a thread boundary.
 */
import type { ListenAddress } from './address';
import type { AdmissionRules } from './admission';
import type { Cgroup } from './cgroup';
import type { Credentials } from './credentials';
import type { Rlimit } from './rlimits';
import type { Sandbox } from './sandbox';
import type { Scheduling } from './scheduling';
import type { OptionValues } from './socket-options';
import type { StopSignal } from './stop-signal';

export interface Service {
  readonly name: string;
  readonly description: string | null;
  readonly enabled: boolean;
  readonly listen: readonly ListenAddress[];
  readonly run: Run;
  /**
   * The child gets the listening (or datagram) socket itself, and stdiod leaves that alone until the child exits.
   * Always true with datagram sockets.
   */
  readonly wait: boolean;
  /** Offered by name through the `tcpmux` built-in (RFC 1078); `plus`: the daemon sends the `+` reply for the program. */
  readonly tcpmux: 'plain' | 'plus' | null;
  /** Most children of this service at once, 1 or more. */
  readonly maxConnections: number;
  readonly whenFull: WhenFull;
  /** What else is asked of a client. */
  readonly admission: AdmissionRules;
  readonly messages: Messages;
  readonly session: SessionLimits;
  readonly socket: SocketOptions;
  /** What is told of its children at their end. */
  readonly accounts: 'basic' | 'full';
  /** How long a stop waits before the stop signal, and again from that to SIGKILL; milliseconds. */
  readonly stopGraceMs: number;
}

/** What becomes of a connection. `redirect` and built-ins other than tcpmux are commands of our own. */
export type Run = Exec | { readonly kind: 'tcpmux' };

export interface Exec {
  readonly kind: 'exec';
  readonly command: Command;
  readonly process: Process;
  /** null: whoever has a slot is served. */
  readonly before: Before | null;
  /** null: each program is started when its client is there. */
  readonly warm: Warm | null;
}

/** Programs that are started ahead of their clients, and wait where they first use the connection. */
export interface Warm {
  /** template: each client gets a clone of one. pool: each gets one. */
  readonly mode: 'pool' | 'template';
  /** How many wait, 1 or more. */
  readonly size: number;
  /** After so long, or so many clients, another one takes its place. */
  readonly maxAgeMs: number;
  readonly maxUses: number;
  /** From its start to its first use of the connection. */
  readonly startMs: number;
  /** It may ask for its own address before (getsockname(2)): what it is told is not the connection's. */
  readonly mayAskAddress: boolean;
  /** Of the connections that it waits for. */
  readonly family: 'inet' | 'inet6' | 'unix';
  /** Absolute path of our program that parks. */
  readonly park: string;
  /** Absolute paths: when one of them changes, what was started before is of no use. */
  readonly files: readonly string[];
}

/** What decides whether a client is served. */
export interface Before {
  /** One after the other, each as the program's own process would be, but without the connection. Never empty. */
  readonly commands: readonly Command[];
  /** For each of them, 1 or more milliseconds. */
  readonly timeoutMs: number;
}

export interface Command {
  /** Absolute path of the program. */
  readonly path: string;
  /** The words that the program sees, as templates (template.ts); the first is its own name. Never empty. */
  readonly argv: readonly string[];
}

/** What a child is before it runs its command, and what it finds. */
export interface Process {
  /** null: as stdiod itself, with nothing to change. */
  readonly identity: Identity | null;
  /** Absolute path of what is `/` for it; null: what is that for stdiod. All other paths are as seen from inside. */
  readonly root: string | null;
  /** Absolute path of the working directory, as a template. */
  readonly directory: string;
  /** 0 to 0o777. */
  readonly umask: number;
  readonly resources: Resources;
  /** null: it stays in stdiod's own control group. */
  readonly cgroup: Cgroup | null;
  readonly rights: Rights;
  readonly sandbox: Sandbox;
  /** null: none. */
  readonly credentials: Credentials | null;
  readonly labels: Labels;
  /** All of it but for the facts of the connection; values are templates. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Where fd 2 leads; `log`: to us, line by line; `report`: to us, for programs of our own that keep an account as well; or to a
   * file by its absolute path, which each child opens for itself.
   */
  readonly stderr: 'socket' | 'log' | 'null' | 'report' | { readonly file: string };
  /** What asks it to leave. */
  readonly stopSignal: StopSignal;
}

/** What a child may use, and its place beside others. null: as stdiod itself. */
export interface Resources {
  /** Those of every child and those that the file says, each resource once. */
  readonly limits: readonly Rlimit[];
  /** -20 (first) to 19. */
  readonly nice: number | null;
  /** Ascending, never empty. */
  readonly cpus: readonly number[] | null;
  readonly scheduling: Scheduling | null;
  /** As ioprio_set(2) takes it. */
  readonly ioPriority: number | null;
  /** oom_score_adj (proc(5)): -1000 to 1000. null: stdiod's own at first, more for who stays (child/oom-scores.ts). */
  readonly oomScore: number | null;
}

/** What a child may do beyond its user's rights. */
export interface Rights {
  /** No exec gives it more: neither a set-user-ID program nor one with file capabilities (PR_SET_NO_NEW_PRIVS). */
  readonly noNewPrivileges: boolean;
  /** Exactly these, through every exec; null: none for an ordinary user, all for root. */
  readonly capabilities: CapabilitySet | null;
  /** What root and a change of the user mean for capabilities, exactly (service/securebits.ts); null: as for stdiod. */
  readonly securebits: number | null;
}

/** Under which name a security module of the kernel knows the program, and so what it lets it do; null: as the module's own rules say. */
export interface Labels {
  /** A profile. */
  readonly apparmor: string | null;
  /** A context. */
  readonly selinux: string | null;
}

export interface CapabilitySet {
  /** By number, as capabilities(7) has them, ascending. */
  readonly numbers: readonly number[];
  /** Whether all others leave the bounding set, which takes CAP_SETPCAP. */
  readonly isBound: boolean;
}

export interface Identity {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** What stdiod itself says to clients, as templates (template.ts); null: nothing. */
export interface Messages {
  /** Before the program is started. */
  readonly admitted: string | null;
  readonly refused: string | null;
}

/** When a child is ended that serves one connection. */
export interface SessionLimits {
  /** So long after its start, 1 or more milliseconds; null: never. */
  readonly timeoutMs: number | null;
  /** So long without a byte in either direction, over TCP; null: never. */
  readonly idleMs: number | null;
  /** So long after its client has left, over TCP; null: never. */
  readonly disconnectMs: number | null;
  /** What becomes of processes that outlive their program where that ends by itself; null: they stay, and nobody looks for them. */
  readonly leftover: 'keep' | 'kill' | null;
}

/** `wait`: leave the next clients in the kernel's queue. `refuse`: accept and close at once. */
export type WhenFull = 'wait' | 'refuse';

/** Set once on the listener; what it accepts inherits them. */
export interface SocketOptions {
  /** Clients that the kernel may queue, 1 or more (capped by net.core.somaxconn). */
  readonly backlog: number;
  readonly nodelay: boolean;
  readonly keepalive: boolean;
  /** Only those that the configuration gives. */
  readonly extra: OptionValues;
  /** Of a Unix socket with a path: permission bits, owner and group; null: as they come. */
  readonly mode: number | null;
  readonly owner: number | null;
  readonly group: number | null;
}

/** Everything that one load of the configuration says. */
export interface Configuration {
  /** In file order; disabled ones included. */
  readonly services: readonly Service[];
  /** What this machine lacks for some of them, which cannot be served for now; what is wrong there is left open in the service. */
  readonly lacks: readonly Lack[];
  readonly limits: ServerLimits;
  readonly log: LogOptions;
}

export interface Lack {
  /** Of the service. */
  readonly name: string;
  readonly reason: string;
}

export interface ServerLimits {
  /** Most children of all services at once, 1 or more. */
  readonly maxConnections: number;
}

export interface LogOptions {
  /** `auto`: text on a terminal, JSON lines else. */
  readonly format: 'auto' | 'text' | 'json';
}
