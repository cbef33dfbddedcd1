/**
 * A server without a kernel: sockets that are a set of bound addresses, with the kernel's answer for one that is taken, and
 * what stands around them in every test of `server`.
 */
import { Admission } from '../../../src/admission/admission';
import { isFull, serviceGate, Slots, type Slot } from '../../../src/admission/slots';
import type { Child, Errand } from '../../../src/child/children';
import type { Plan } from '../../../src/child/plan';
import { Listeners } from '../../../src/listener/listener';
import type { ListeningSocket, Origin } from '../../../src/listener/socket';
import type { Emit, LogEvent } from '../../../src/log/events';
import type { Fd, NativePlan, Pid } from '../../../src/native/addon';
import type { Watcher } from '../../../src/native/poll-set';
import { borrowerOf } from '../../../src/server/hosted/borrower';
import type { Served } from '../../../src/server/hosted/endings';
import type { Connection, Hosted, HostedListener } from '../../../src/server/hosted/hosted';
import { formatAddress, type SocketAddress } from '../../../src/service/address';
import type { Run, Service, SocketOptions } from '../../../src/service/service';
import { resetsOf, type SocketOption } from '../../../src/service/socket-options';
import { sampleExec, sampleService } from '../service/sample';

export const SAMPLE_PLAN: Plan = {
  native: {} as NativePlan,
  varying: null,
  channel: null,
  hasOomScore: false,
  pipe: null,
  cgroup: null,
  stopSignal: 'SIGTERM',
  onlyUid: null,
};

/** What is there beside the part that a test is about. */
export class PretendServer {
  readonly told: LogEvent[] = [];
  readonly emit: Emit = (event) => void this.told.push(event);
  readonly slots = new Slots(100);
  readonly sockets = new PretendSockets();
  readonly pollSet = new PretendPollSet();
  readonly listeners = new Listeners<Hosted>(this.sockets, this.pollSet, {
    onReadable: (listener): void => void listener.owner.intake.onReadable(listener),
    onFault: (_, error): never => {
      throw error;
    },
  });

  /** `paused echo`. */
  get events(): string[] {
    return this.told.map((event) => ('service' in event ? `${event.event} ${event.service}` : event.event));
  }

  /** A listener in service. */
  listen(owner: Hosted, address = tcp(80)): HostedListener {
    const listener = this.listeners.open(address, owner.service.socket, owner);
    owner.listeners.push(listener);
    this.listeners.letGo(listener, 'new');
    return listener;
  }

  isWatched({ fd }: HostedListener): boolean {
    return this.pollSet.watchers.has(fd);
  }

  takeSlot(hosted: Hosted): Slot {
    const slot = this.slots.take(hosted.gate);
    if (isFull(slot)) throw new Error(slot.full.whenFull);
    return slot;
  }

  /** One that was accepted just now. */
  connect(listener: HostedListener, fd: number): Connection {
    const { owner: hosted } = listener;
    const peer = { family: 'ipv4', address: '10.0.0.5', port: fd } as const;
    const ends = { peer, local: { address: '127.0.0.1', port: 80 } };
    return {
      id: `c${fd}`,
      hosted,
      listener,
      fd: fd as Fd,
      ...ends,
      slot: this.takeSlot(hosted),
      handler: hosted.handler,
    };
  }
}

export class PretendSockets {
  /** Addresses that somebody else holds. */
  readonly taken = new Set<string>();
  /** Those from which new clients are kept away. */
  readonly heldOff = new Set<Fd>();
  /** Those whose path or interface somebody has taken away. */
  readonly astray = new Set<Fd>();
  /** What the kernel says to a change of options. */
  refusal: Error | null = null;
  /** In the order in which they were bound. */
  readonly #bound = new Map<Fd, ListeningSocket>();
  readonly #sharing = new Set<Fd>();
  #lastFd = 1023;
  #lastPort = 39_999;

  get addresses(): string[] {
    return [...this.#bound.values()].map(({ address }) => formatAddress(address));
  }

  /** Those that would let another one be bound beside them. */
  get sharing(): string[] {
    return [...this.#bound.values()]
      .filter(({ fd }) => this.#sharing.has(fd))
      .map(({ address }) => formatAddress(address));
  }

  open(configured: SocketAddress, options: SocketOptions): ListeningSocket {
    const address = this.#withPort(configured);
    if (this.#isTaken(address, options)) throw systemError('EADDRINUSE', 'bind');
    const fd = (this.#lastFd += 1) as Fd;
    const socket = { fd, address, configured, origin: originOf(configured), options, past: { borrower: null } };
    this.#bound.set(fd, socket);
    this.#share(fd, options);
    return socket;
  }

  holdOff({ fd, origin }: ListeningSocket): void {
    this.heldOff.add(fd);
    if (origin.kind === 'path') this.#bound.delete(fd);
  }

  welcome({ fd }: ListeningSocket): void {
    this.heldOff.delete(fd);
  }

  isInPlace({ fd }: ListeningSocket): boolean {
    return !this.astray.has(fd);
  }

  /** Whoever took its path away has not taken another one's. */
  lose({ fd }: ListeningSocket): void {
    this.astray.add(fd);
    this.#bound.delete(fd);
  }

  change(socket: ListeningSocket, options: SocketOptions): readonly SocketOption[] {
    if (this.refusal !== null) throw this.refusal;
    const { stuck } = resetsOf(socket.options.extra, options.extra);
    socket.options = options;
    return stuck;
  }

  sharePort(socket: ListeningSocket, options: SocketOptions, isShared: boolean): void {
    this.#share(socket.fd, isShared ? { ...options, extra: { SO_REUSEPORT: 1 } } : options);
    socket.options = options;
  }

  giveWay(socket: ListeningSocket, isGiven: boolean): void {
    if (socket.origin.kind !== 'path') this.sharePort(socket, socket.options, isGiven);
    else if (isGiven) this.#bound.delete(socket.fd);
    else if (!this.#isTaken(socket.address, socket.options)) this.#bound.set(socket.fd, socket);
  }

  close({ fd }: ListeningSocket): void {
    this.#bound.delete(fd);
  }

  #share(fd: Fd, { extra }: SocketOptions): void {
    if (extra.SO_REUSEPORT === 1) this.#sharing.add(fd);
    else this.#sharing.delete(fd);
  }

  #isTaken(address: SocketAddress, { extra }: SocketOptions): boolean {
    if (this.taken.has(formatAddress(address))) return true;
    const others = [...this.#bound.values()].filter((other) => isExclusive(other.address, address));
    return others.some(({ fd }) => extra.SO_REUSEPORT !== 1 || !this.#sharing.has(fd));
  }

  #withPort(address: SocketAddress): SocketAddress {
    return 'port' in address && address.port === 0 ? { ...address, port: (this.#lastPort += 1) } : address;
  }
}

export class PretendPollSet {
  readonly watchers = new Map<Fd, Watcher>();
  /** The user has no epoll watch left. */
  isFull = false;

  watch(fd: Fd, watcher: Watcher): void {
    if (this.isFull) throw systemError('ENOSPC', 'epoll_ctl');
    this.watchers.set(fd, watcher);
  }

  unwatch(fd: Fd): void {
    this.watchers.delete(fd);
  }

  /** The kernel tells of it, if anybody watches it. */
  makeReady(fd: Fd): void {
    const watcher = this.watchers.get(fd);
    try {
      watcher?.onReadable();
    } catch (error) {
      watcher?.onFault(error);
    }
  }
}

/** Children that start unless they are refused, and end when the test says so. */
export class PretendChildren {
  readonly running: Child<Served>[] = [];
  readonly started: { readonly fd: Fd; readonly facts: string }[] = [];
  refusal: Error | null = null;

  spawn(_plan: Plan, start: { fd: Fd; facts: string }, owner: Served, errand: Errand<Served>): Child<Served> {
    if (this.refusal !== null) throw this.refusal;
    this.started.push(start);
    return this.adopt(_plan, (4710 + this.started.length) as Pid, owner, errand);
  }

  adopt(_plan: Plan, pid: Pid, owner: Served, errand: Errand<Served>): Child<Served> {
    const child = {
      pid,
      owner,
      startedMs: performance.now(),
      errand,
      stopSignal: 'SIGTERM' as const,
      onlyUid: null,
    };
    this.running.push(child);
    return child;
  }
}

/** A service whose listeners and connections nobody serves, unless the test gives it who does. */
export function hostedService(
  fields: Partial<Service> = {},
  roles: Partial<Pick<Hosted, 'intake' | 'handler'>> = {},
): Hosted {
  const service = sampleService(fields);
  const [intake, handler] = [{ onReadable: () => 'empty' as const }, { isBusy: false, take: () => 'taken' as const }];
  const admission = Admission.of(service.admission);
  return {
    service,
    intake,
    handler,
    ...roles,
    admission,
    gate: serviceGate(service.maxConnections),
    listeners: [],
    keys: [],
  };
}

/** A program under this user. */
export function runAs(uid: number): Run {
  return sampleExec({ identity: { user: `user ${uid}`, uid, gid: uid, groups: [] } });
}

/** A child of its service has had it. */
export function markLent({ socket, owner }: HostedListener): void {
  socket.past.borrower = borrowerOf(owner.service);
}

export function tcp(port: number, address = '127.0.0.1'): SocketAddress {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', type: 'stream', address, port };
}

export function udp(port: number, address = '127.0.0.1'): SocketAddress {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', type: 'datagram', address, port };
}

export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });
}

function originOf(address: SocketAddress): Origin {
  if (address.family === 'passed') return { kind: 'passed' };
  return address.family === 'unix' && !address.path.startsWith('@')
    ? { kind: 'path', folder: 1024 as Fd, device: 1, inode: 1 }
    : { kind: 'bound' };
}

/** The same address or path, or a wildcard and one of its own. */
function isExclusive(one: SocketAddress, other: SocketAddress): boolean {
  if ('path' in one && 'path' in other) return one.path === other.path;
  if (formatAddress(one) === formatAddress(other)) return true;
  if (!('address' in one) || !('address' in other) || one.port !== other.port) return false;
  return one.family === other.family && one.type === other.type && (isWildcard(one) || isWildcard(other));
}

function isWildcard({ address }: { address: string }): boolean {
  return address === '0.0.0.0' || address === '::';
}
