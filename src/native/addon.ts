/**
 * The border: what the C++ addon offers, typed. load-addon.ts finds and loads it. A failed system call is
 * thrown as a SystemError (system-error.ts); a TypeError is an error of ours.
 */
import { loadAddon } from './load-addon';

declare const fdBrand: unique symbol;
declare const pidBrand: unique symbol;
declare const planBrand: unique symbol;
declare const sandboxBrand: unique symbol;
declare const inquiryBrand: unique symbol;

/** An open descriptor that somebody owns. */
export type Fd = number & { readonly [fdBrand]: true };
/** A child of ours that has not been reaped: signalling it by number is safe. */
export type Pid = number & { readonly [pidBrand]: true };
/** Everything a child will do, laid out in memory (spawn.cc). */
export interface NativePlan {
  readonly [planBrand]: true;
}

/** What is asked about connections on a thread of its own (diag.cc). */
export interface SocketInquiry {
  readonly [inquiryBrand]: true;
}

/** What all children of a service join, made once (sandbox.cc). */
export interface NativeSandbox {
  readonly [sandboxBrand]: true;
}

export interface SandboxOptions {
  /** CLONE_NEW… of clone(2): of net, ipc, uts and ns, which those below need. */
  readonly namespaces: number;
  /** /tmp and /var/tmp. */
  readonly hasOwnTmp: boolean;
  /** But for those that are harmless. */
  readonly hasNoDevices: boolean;
  readonly hasOwnProcesses: boolean;
  /** Absolute paths of files and folders. */
  readonly hidden: readonly string[];
  /** Files in a file system of their own, read-only and in memory, at that folder (it is made where it is missing); needs ns. */
  readonly credentials?: {
    readonly folder: string;
    readonly uid: number;
    readonly gid: number;
    readonly files: readonly { readonly name: string; readonly contents: Buffer }[];
  };
  /** All that may be read and written (landlock(7)), absolute paths; null: everything. */
  readonly files: { readonly readOnly: readonly string[]; readonly readWrite: readonly string[] } | null;
}

export interface ListenerOptions {
  readonly backlog: number;
  readonly nodelay: boolean;
  readonly keepalive: boolean;
  /** By the kernel's name; native/options.cc has the table. */
  readonly extra: Readonly<Record<string, number | string>>;
  /** Permissions of a Unix socket's path, less the umask; null: as they come. */
  readonly mode?: number | null;
  /** Nobody can connect yet: `setListenerOptions` lets it listen. */
  readonly bindOnly?: boolean;
}

/** Of struct stat. */
export interface FileFacts {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
}

/** What openListener binds. */
export type NativeAddress =
  | {
      readonly family: 'ipv4' | 'ipv6';
      readonly type: NativeSocketType;
      readonly address: string;
      readonly port: number;
    }
  | { readonly family: 'unix'; readonly type: NativeSocketType; readonly path: string }
  | { readonly family: 'vsock'; readonly type: NativeSocketType; readonly port: number };

export type NativeSocketType = 'stream' | 'datagram' | 'seqpacket';

/** A socket that was open when stdiod started. */
export interface PassedSocketFacts {
  readonly fd: Fd;
  readonly family: 'ipv4' | 'ipv6' | 'unix' | 'vsock' | 'other';
  readonly type: NativeSocketType;
  readonly isListening: boolean;
  readonly address: string;
  readonly port: number;
}

/** The first datagram of a queue. */
export interface DatagramHead {
  /** Differs from that of every other datagram, one with the same content included. */
  readonly identity: string;
  readonly peerAddress: string;
  readonly peerPort: number;
}

/** What a child has said. */
export interface Report {
  /** Who wrote it; the kernel vouches for it. */
  readonly pid: number;
  /** At most 1 KiB. */
  readonly text: string;
  /** It says nothing: the socket was shut down, or what comes next is for nobody to take. */
  readonly isEnd: boolean;
}

/** Who may open a pipe by its name, as with /dev/stderr. */
export interface PipeOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface Poller {
  watch(fd: Fd): void;
  unwatch(fd: Fd): void;
}

export interface NativeIdentity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/**
 * One step of child set-up, by the name that stands in a `dropped` event. native/child.cc does them in the order of the list, after
 * its descriptors and signals and before exec. `setgroups` and `verify-ids` list groups, `sched_setaffinity` a mask and `seccomp` a filter
 * (child/filter.ts) in words of 32 bits.
 * Of a limit -1 is unlimited, and a hard one of -2 stays as it is and caps the soft one.
 */
export type Step =
  | { readonly op: 'setsid' | 'apparmor' | 'selinux' | 'chroot' | 'no_new_privs' | 'stderr' | 'chdir' | 'landlock' }
  | { readonly op: 'prlimit'; readonly args: readonly [resource: number, soft: number, hard: number] }
  | { readonly op: 'setpriority'; readonly args: readonly [nice: number] }
  | { readonly op: 'sched_setaffinity'; readonly list: readonly number[] }
  | { readonly op: 'sched_setscheduler'; readonly args: readonly [policy: number, priority: number] }
  | { readonly op: 'ioprio_set'; readonly args: readonly [priority: number] }
  | { readonly op: 'umask'; readonly args: readonly [mode: number] }
  | { readonly op: 'prctl'; readonly args: readonly [option: number, argument: number] }
  | { readonly op: 'securebits'; readonly args: readonly [bits: number] }
  | { readonly op: 'capbset_drop' | 'capset'; readonly args: CapabilityWords }
  | { readonly op: 'setgroups'; readonly list: readonly number[] }
  | { readonly op: 'seccomp'; readonly list: readonly number[] }
  | { readonly op: 'setresgid' | 'setresuid'; readonly args: readonly [id: number] }
  | {
      readonly op: 'verify-ids';
      readonly args: readonly [uid: number, gid: number];
      readonly list: readonly number[];
    };

/** Bits by the numbers of capabilities(7): 0 to 31, and from 32 on. */
export type CapabilityWords = readonly [low: number, high: number];

export interface PlanOptions {
  readonly path: string;
  readonly argv: readonly string[];
  /** `NAME=value`, without the facts of the connection. */
  readonly environment: readonly string[];
  /** Where `chroot` goes: an absolute path. */
  readonly root?: string;
  /** Where `chdir` goes. */
  readonly directory: string;
  readonly steps: readonly Step[];
  /** What becomes fd 2; -1: the connection. */
  readonly stderrFd: number;
  /** What the step `stderr` opens in its place, to append to it: an absolute path. */
  readonly stderrFile?: string;
  /** What the step `apparmor` writes (apparmor(7), attr/apparmor/exec), and `selinux` (selinux(8), attr/exec). */
  readonly apparmor?: string;
  readonly selinux?: string;
  /** oom_score_adj: given by us once the child has left our memory. */
  readonly oomScore?: number;
  /** CLONE_NEW… of clone(2): namespaces of its own. A child cannot take a pid namespace as a step. */
  readonly cloneFlags?: number;
  readonly sandbox?: NativeSandbox;
  /** Each start brings a control group (`Start.group`) in which the child is born. */
  readonly hasGroup?: boolean;
  /** It gets a copy of our memory, as fork(2) does: the kernel may end it for want of memory, with all who share it. */
  readonly isApart?: boolean;
  /** The child is lent the listening or datagram socket, also as fd 3 and with LISTEN_PID in its environment. */
  readonly isWait: boolean;
  /** It waits for a connection: its fd 0 is a socket that stands for one, and its fd 3 is `Start.control`. */
  readonly isParked?: boolean;
  /** The child does not get the connection, which stays the caller's: its fd 0 is what `stderrFd` says, and 1 is as 2. */
  readonly isBlind?: boolean;
}

/** What differs between the children of a plan. */
export interface Start {
  /** The connection, or what is lent. */
  readonly fd: Fd;
  /** `NAME=value` strings, each ended by NUL. */
  readonly facts: string;
  /** These replace the plan's; words are each ended by NUL. */
  readonly words?: string;
  readonly directory?: string;
  /** Becomes fd 2; taken like the connection. */
  readonly errorPipe?: Fd;
  /** Of a plan with `isParked`: the child's end of its control socket; taken like the connection. */
  readonly control?: Fd;
  /** Of a plan with `hasGroup`: the folder of its control group, as O_PATH opens it; stays the caller's. */
  readonly group?: Fd;
}

export interface Addon {
  /** socket(2), bind(2), listen(2), fcntl(2): close-on-exec, non-blocking, numbered from 1024 where the limit allows. */
  openListener(address: NativeAddress, options: ListenerOptions): { fd: Fd; port: number };
  setListenerOptions(fd: Fd, options: ListenerOptions): void;
  /**
   * accept4(2), getsockname(2), for Unix sockets SO_PEERCRED. Fills `numbers`, which has ACCEPT_FIELDS: descriptor, peer's port,
   * local port, and of a Unix peer pid, uid, gid as the kernel noted when it connected; all but descriptor and pid unsigned.
   * @returns `PEER\0LOCAL`: numeric text, a path, `@name`, a context id, or empty for a nameless Unix peer; null: nobody waits.
   */
  accept(listener: Fd, numbers: Int32Array): string | null;
  /** The numbers that `accept` writes. */
  readonly acceptFields: number;
  /** SO_ATTACH_FILTER: while on, new clients are ignored (they try again); those half-way through their handshake arrive. */
  holdOff(listener: Fd, isOn: boolean): void;
  /** poll(2) without waiting. */
  hasWaiting(listener: Fd): boolean;
  close(fd: Fd): void;
  /** Closes a connection so that its client sees an end and no reset, whatever it has sent already. */
  refuse(connection: Fd): void;
  /** Of the connections that have come to this Unix socket: what their clients have sent may keep us from closing them. */
  hasTooManyEnding(listener: Fd): boolean;
  /** epoll(7); `onReady(count)` tells how many places of `ready` are filled: as many as it has, or 64. */
  openPoller(ready: Int32Array, onReady: (count: number) => void): Poller;
  /** landlock_create_ruleset(2); 0: there is no Landlock. */
  landlockVersion(): number;
  /** unshare(2), by a thread that ends. @throws SystemError also ETIMEDOUT: it takes too long */
  openSandbox(options: SandboxOptions): NativeSandbox;
  /** A plan that has it spawns no more. What a child needs that is in its set-up is closed after that. */
  closeSandbox(sandbox: NativeSandbox): void;
  /** @throws TypeError for a step that no child could do, or not without harm to us */
  preparePlan(options: PlanOptions): NativePlan;
  /** clone(2). Takes the descriptor unless it throws, the plan is for `wait` (then the child gets one of its own), or it is a blind one. */
  spawn(plan: NativePlan, start: Start): Pid;
  /** Closes our copy of a connection that a child of the plan has, sooner or later, as `spawn` does. */
  letGo(plan: NativePlan, connection: Fd): void;
  /** socket(2): a stream socket that is connected to nobody. */
  openUnconnected(family: 'inet' | 'inet6' | 'unix'): Fd;
  /** sendmsg(2) with SCM_RIGHTS, without waiting. Both stay the caller's. @returns false: it cannot be sent */
  handOver(control: Fd, name: string, connection: Fd, pipe: Fd | null): boolean;
  /** shutdown(2): what was said can be read still, and nothing more is said. */
  revoke(control: Fd): void;
  /** waitid(2) with WNOWAIT: it has not been collected, and is nobody else's. */
  isOwnChild(pid: number): boolean;
  /** How many children of the plan were spawned within that time and have not reached their program yet. */
  countInSetup(plan: NativePlan, withinMs: number): number;
  /** Of the connections that programs of the plan's user have had: something may keep us from closing them. */
  hasTooManyEndingOf(plan: NativePlan): boolean;
  /**
   * /proc/PID/oom_score_adj (proc(5)) of a child that has not been reaped, sooner or later; one that is still in its set-up is left alone.
   * @returns false: not now, too many wait for theirs
   */
  setOomScore(pid: Pid, score: number): boolean;
  /** Inheritable and ambient capabilities (capabilities(7)) of this thread, which its children would have too. @throws SystemError */
  dropInheritable(): void;
  setPlainFork(isPlain: boolean): void;
  /** The name of each step of child set-up, by the number in a reap record. */
  readonly stepNames: readonly string[];
  /** sigaction(2) for SIGCHLD; `onExit` is called once after one or more children died. */
  openReaper(onExit: () => void): void;
  /**
   * wait4(2) without waiting. Fills as many records as there is room for; the numbers of each: pid, exit status (-1: a signal), signal,
   * user CPU seconds, peak RSS in KiB, failed step, its errno, system CPU seconds, whether it left a core (1), page faults without and
   * with a read, voluntary and involuntary switches, bytes read from and written to disks (getrusage(2)). Looks at those whose SIGCHLD named them and at those who were spawned last.
   */
  reap(records: Float64Array): number;
  /**
   * The same of everyone, strangers too: each look costs time for each live child. The first that is found after `limitMs` is the
   * last; fewer than there is room for before that: nobody else has ended.
   */
  reapWalk(records: Float64Array, limitMs: number): number;
  /** The same of these alone; a table look-up for each. */
  reapThese(records: Float64Array, pids: Int32Array): number;
  /** How many numbers a record has. */
  readonly reapFields: number;
  /** PR_SET_CHILD_SUBREAPER (prctl(2)): who loses its parent among our descendants becomes our child. @returns whether that is so */
  adoptOrphans(): boolean;
  /** Begins to list all processes (proc(5)), on a thread that nobody waits for; false: there is none, or it does so for the last call. */
  beginCensus(): boolean;
  /**
   * The list, once: four numbers for each: pid, its parent's, its process group, its start in ticks since boot; and how much of a processor
   * it took. null: it is not there yet, or it was taken.
   */
  takeCensus(): { readonly records: Float64Array; readonly tookMs: number } | null;
  readonly processFields: number;
  /**
   * pidfd_send_signal(2), by the thread that lists, before it begins the next list. Whoever is not the process any more that it was is
   * left alone. @param known three numbers for each: pid, its parent's, its start @returns false: too much waits for that thread
   */
  signalProcesses(known: Float64Array, signal: number): boolean;
  /** What the kernel is asked with about a TCP connection, also when that is a child's (sock_diag(7), SO_COOKIE); null: it tells nothing of it. */
  questionOf(connection: Fd): Buffer | null;
  /** SO_COOKIE: a number that no other socket ever has; 0: the kernel tells us nothing of this connection. */
  cookieOf(connection: Fd): number;
  /** Whether the kernel tells anything of TCP connections. */
  canAskSockets(): boolean;
  /** Begins to ask, one after the other, on a thread that nobody waits for. */
  askSockets(questions: readonly Buffer[]): SocketInquiry;
  /**
   * Of those who have been asked so far: the state (tcp_states.h; 0: there is no such socket; -1: it is not known), and for how many
   * milliseconds nothing was sent, and nothing received.
   */
  socketsSoFar(inquiry: SocketInquiry): [state: number, sinceSentMs: number, sinceReceivedMs: number][];
  /** No further one is asked about; who is being asked about now may keep the thread. */
  giveUpSockets(inquiry: SocketInquiry): void;
  /** Whether it has a thread. */
  isAskingSockets(inquiry: SocketInquiry): boolean;
  /** NETLINK_SOCK_DIAG (netlink(7)): the kernel tells of each TCP connection here when it is over and nobody has it any more. */
  openClosings(): Fd;
  /**
   * Some of what has come; the numbers of each: cookie, bytes from the peer (its end is one more) and acknowledged by it, smoothed round
   * trip in µs, retransmits. -1: not known. @returns how many; there may be more
   */
  readClosings(reader: Fd, records: Float64Array): number;
  /** How many numbers a record has. */
  readonly closingFields: number;
  /**
   * Taskstats: the kernel tells of each thread of our children when it ends, before its process can be reaped.
   * @throws SystemError EPERM: that takes CAP_NET_ADMIN
   */
  openExits(): Fd;
  /** Some of what has come: a process, its thread that ended, and the most memory that the process had by then, KiB. @returns as above */
  readExits(reader: Fd, records: Float64Array): number;
  readonly exitFields: number;
  /** Begins to read the environments of these, in place of those before, on a thread that nobody waits for. */
  askNames(pids: Int32Array): void;
  /** `SERVICE\0CONNECTION\0UID` (as whom it runs) of those who have been asked so far; empty: it has none, or is not for us to read. */
  namesSoFar(): string[];
  /**
   * socketpair(2) with SO_PASSCRED: children that are given the writer as fd 2 say things to us. Both are non-blocking.
   * @param old a writer, whose place the new one takes
   */
  openReports(old: Fd | null): { reader: Fd; writer: Fd };
  /** recvmsg(2) of one message, and never of a descriptor; null: there is none. */
  readReport(reader: Fd): Report | null;
  /** pipe2(2), fchown(2); the reader does not block. @param owner null: our own user */
  openPipe(owner: PipeOwner | null): { reader: Fd; writer: Fd };
  /** read(2): so many bytes; 0: its end; -1: nothing is there; -2: somebody holds the kernel's lock of it. */
  readPipe(reader: Fd, into: Uint8Array): number;
  /** false: somebody holds the kernel's lock of it; it is closed when they let go. */
  closePipe(reader: Fd): boolean;
  /** An end of a pipe that a program has had too: now or later, and nobody waits for it. */
  letGoOfPipe(fd: Fd): void;
  /** Line ends in this part of the bytes. */
  countLines(bytes: Uint8Array, from: number, to: number): number;
  /** write(2) or send(2); 0: it would have to wait. */
  writeSome(fd: number, bytes: Uint8Array, isSocket: boolean, mayWait: boolean): number;
  /** Starts the threads that do what may wait (native/aside.cc). @throws SystemError: there is no thread for us */
  startAside(): void;
  /** How many descriptors could be opened now: 64 at the most, and no more than asked for. */
  freeDescriptors(most: number): number;
  /** ioctl_tty(2): the width of a terminal; 0: it does not know. @throws SystemError when it is none */
  columnsOf(fd: number): number;
  /** _exit(2): threads that hang are not waited for. Whatever is to be written has been. */
  leave(status: number): never;
  /** O_NONBLOCK, which all holders of the socket share. */
  setBlocking(fd: Fd, isBlocking: boolean): void;
  /**
   * Puts right what a child may have changed, as far as the socket itself allows. Here and in the five calls below: what others hold
   * is looked at by another thread, with a limit. @throws SystemError ETIMEDOUT: somebody holds the kernel's lock of the socket
   */
  takeBack(fd: Fd, isDatagram: boolean): void;
  /** Whether a socket that came back from a child still listens; a datagram socket always does. */
  isUsable(fd: Fd, isDatagram: boolean): boolean;
  /** SO_BINDTOIFINDEX, if_nametoindex(3): whether the interface that it is bound to, if any, still is the one of that name. */
  isOnInterface(fd: Fd, name: string): boolean;
  /** SO_REUSEPORT, and nothing else: a child may have the socket. @throws SystemError as `takeBack` */
  sharePort(fd: Fd, isShared: boolean): void;
  /** SO_DETACH_FILTER; false: somebody has locked it as it is, or the socket. */
  dropFilter(fd: Fd): boolean;
  /** shutdown(2): nobody else who has the socket keeps its port from being listened on again. */
  stopListening(fd: Fd): void;
  /** Clients that wait to be accepted; where the kernel does not tell the number, 1 means some. */
  queueLength(listener: Fd): number;
  /** MSG_PEEK. */
  headOf(socket: Fd): DatagramHead | null;
  /** Throws one datagram away. */
  dropHead(socket: Fd): void;
  /** Moves a descriptor that we were started with out of the way of connections. @throws SystemError when it is no socket */
  takePassed(number: number): PassedSocketFacts;
  /**
   * open(2) with O_PATH, numbered from 1024 where the limit allows. @throws SystemError, as all that follow up to `removeOurs`;
   * ETIMEDOUT: somebody holds up the folder, and it may be done later on
   */
  openFolder(path: string): Fd;
  /** openat(2) with O_PATH, of a link that of the link itself. */
  openFile(folder: Fd, name: string): Fd;
  /** fstat(2). */
  factsOf(file: Fd): FileFacts;
  /** chmod(2), chown(2): of a descriptor opened with O_PATH too. */
  setMode(file: Fd, mode: number): void;
  setOwner(file: Fd, uid: number, gid: number): void;
  /** renameat(2), linkat(2), unlinkat(2). */
  renameIn(folder: Fd, from: string, to: string): void;
  linkIn(folder: Fd, from: string, to: string): void;
  removeIn(folder: Fd, name: string): void;
  makeFolderIn(folder: Fd, name: string, mode: number): void;
  removeEmptyIn(folder: Fd, name: string): void;
  /** Those that begin so; at most 64 of them. */
  namesIn(folder: Fd, prefix: string): string[];
  /** An empty one; now, or when nobody holds up the folder that it is in. */
  removeFolderIn(folder: Fd, name: string): void;
  /** While it is that file; now, or when nobody holds up the folder. */
  removeOurs(folder: Fd, name: string, dev: number, ino: number): void;
  /** getxattr(2): a short text; null: there is none, or it is not for us. */
  attributeOf(path: string, name: string): string | null;
  /** SIOCUNIXFILE: the file that a Unix socket is bound to, as O_PATH opens it; null: without CAP_NET_ADMIN the kernel does not tell. */
  fileOf(socket: Fd): Fd | null;
  /** connect(2) to a Unix socket; 0: somebody listens, else an errno (ECONNREFUSED: it is stale). */
  whoListens(address: NativeAddress): number;
  /** What has come of a line, not a byte beyond it; null: nothing yet; no text and no end: the client has left. */
  readLine(connection: Fd, limit: number): { readonly text: string; readonly isEnd: boolean } | null;
  /** Whether its client has said anything; `left`: there will be nothing. Nothing is taken. */
  firstByte(connection: Fd): 'here' | 'none' | 'left';
  /** send(2) without waiting; a client that is gone is no error. */
  sendNow(connection: Fd, text: string): void;
  /** Sends our end. @returns whether it may be held until its client leaves: of TCP; false: it is to be closed */
  endWriting(connection: Fd): boolean;
  /** Throws away what has come over TCP, unread. @returns whether its client has left */
  passOver(connection: Fd): boolean;
  /** if_nameindex(3); empty when it fails. */
  interfaces(): string[];
  /** if_nametoindex(3). */
  hasInterface(name: string): boolean;
  /** getpwnam_r(3), getpwuid_r(3). @throws SystemError for want of memory or descriptors; else there is none */
  findUser(
    nameOrId: string | number,
  ): { name: string; uid: number; gid: number; home: string; shell: string } | undefined;
  findGroup(nameOrId: string | number): { name: string; gid: number } | undefined;
  /** getgrouplist(3). */
  groupsOf(name: string, gid: number): number[];
  /** faccessat2(2), asked with the effective ids of this identity (null: our own); 0 or an errno; EAGAIN: there is no thread to ask. */
  whyNoAccess(path: string, access: 'execute' | 'read' | 'write', identity: NativeIdentity | null): number;
}

/** @throws AddonError when this file is imported and nothing was compiled */
export const addon = loadAddon() as Addon;

export const REAP_FIELDS = addon.reapFields;
export const PROCESS_FIELDS = addon.processFields;
export const ACCEPT_FIELDS = addon.acceptFields;
/** As many as the addon tells in one call. */
export const POLLER_BATCH = 64;
