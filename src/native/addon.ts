/**
 * The border: what the C++ addon offers, typed. The only file that loads the `.node`; `listener`, `child`, `log` and
 * `server/host` call it. A failed system call is thrown as a SystemError (system-error.ts); nothing else is thrown.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

declare const fdBrand: unique symbol;
declare const pidBrand: unique symbol;
declare const planBrand: unique symbol;

/** An open descriptor that somebody owns. */
export type Fd = number & { readonly [fdBrand]: true };
/** A child of ours that has not been reaped: signalling it by number is safe. */
export type Pid = number & { readonly [pidBrand]: true };
/** Everything a child will do, laid out in memory (spawn.cc). */
export interface NativePlan {
  readonly [planBrand]: true;
}

export interface ListenerOptions {
  readonly backlog: number;
  readonly nodelay: boolean;
  readonly keepalive: boolean;
}

/** An accepted connection; addresses are numeric text. */
export interface AcceptedSocket {
  readonly fd: Fd;
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export interface Poller {
  watch(fd: Fd): void;
  unwatch(fd: Fd): void;
  close(): void;
}

export interface NativeIdentity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export interface PlanOptions {
  readonly path: string;
  readonly argv: readonly string[];
  /** `NAME=value`, without the facts of the connection. */
  readonly environment: readonly string[];
  readonly identity: NativeIdentity | null;
  readonly directory: string;
  readonly umask: number;
  /** Soft limit on open files. */
  readonly openFiles: number;
  /** What becomes fd 2; -1: the connection. */
  readonly stderrFd: number;
}

/** The numbers of one record that `reap` writes. */
export const REAP_FIELDS = 7;
/** The most descriptors that one call of a poller tells. */
export const POLLER_BATCH = 64;

export interface Addon {
  /** socket(2), bind(2), listen(2), fcntl(2): close-on-exec, non-blocking, numbered from 1024 where the limit allows. */
  openListener(address: string, port: number, options: ListenerOptions): { fd: Fd; port: number };
  setListenerOptions(fd: Fd, options: ListenerOptions): void;
  /** accept4(2); null: nobody waits. */
  accept(listener: Fd): AcceptedSocket | null;
  /** SO_ATTACH_FILTER: while on, new clients are ignored (they try again); those half-way through their handshake arrive. */
  holdOff(listener: Fd, isOn: boolean): void;
  /** poll(2) without waiting. */
  hasWaiting(listener: Fd): boolean;
  close(fd: Fd): void;
  /** Closes a connection so that its client sees an end and no reset, whatever it has sent already. */
  refuse(connection: Fd): void;
  /** epoll(7); `onReady(count)` tells how many places of `ready` are filled. */
  openPoller(ready: Int32Array, onReady: (count: number) => void): Poller;
  preparePlan(options: PlanOptions): NativePlan;
  /** clone(2). `facts` is `NAME=value` strings, each ended by NUL. Takes the connection unless it throws. */
  spawn(plan: NativePlan, connection: Fd, facts: string): Pid;
  setPlainFork(isPlain: boolean): void;
  /** The name of each step of child set-up, by the number in a reap record. */
  readonly stepNames: readonly string[];
  /** sigaction(2) for SIGCHLD; `onExit` is called once after one or more children died. */
  openReaper(onExit: () => void): void;
  /**
   * wait4(2) without waiting. Fills records of REAP_FIELDS numbers: pid, exit status (-1: a signal), signal, CPU seconds,
   * peak RSS in KiB, failed step, its errno. Looks at those whose SIGCHLD named them and at those who were spawned last; `everyone`:
   * at all, which costs time for each live child.
   */
  reap(records: Float64Array, everyone: boolean): number;
  /** write(2) or send(2); 0: it would have to wait. */
  writeSome(fd: number, bytes: Uint8Array, isSocket: boolean): number;
  /** getpwnam_r(3), getpwuid_r(3). */
  findUser(
    nameOrId: string | number,
  ): { name: string; uid: number; gid: number; home: string; shell: string } | undefined;
  findGroup(nameOrId: string | number): { name: string; gid: number } | undefined;
  /** getgrouplist(3). */
  groupsOf(name: string, gid: number): number[];
  /** faccessat(2) for execution, asked as this identity; 0 or an errno. */
  whyNotExecutable(path: string, identity: NativeIdentity | null): number;
}

export const addon = load();

function load(): Addon {
  const path = process.env['STDIOD_ADDON'] ?? join(packageRoot(), 'build/Release/stdiod.node');
  if (!existsSync(path)) throw new Error(`${path} does not exist: run "npm install" to build it`);
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the only way to load an addon
  return require(path) as Addon;
}

/** From dist/src/native. */
function packageRoot(): string {
  return join(__dirname, '../../..');
}
