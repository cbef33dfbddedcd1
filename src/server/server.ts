/**
 * The conductor: the one place that knows listeners, admission, children and log, and introduces them to each other.
 *
 * The life of a connection. Its listener is readable (native/poll-set), which means clients to whoever takes in for the
 * service (accept/acceptor, or lend/lender under `wait`). A slot is taken, the connection accepted and given to its handler
 * (handlers/programs, handlers/tcpmux), which has a child spawned that takes over the socket. The child is reaped, the
 * connection ends (hosted/endings), and whoever waited for its slot gets a turn (accept/pauses).
 *
 * roster/roster tells the step from one configuration to the next, drain.ts the end.
 */
import { openSync } from 'node:fs';
import { Slots } from '../admission/slots';
import type { Outlet } from '../child/allowance';
import { Cgroups } from '../child/cgroups';
import { Children, type Child } from '../child/children';
import { Reaper } from '../child/reaper';
import { Families } from '../child/families';
import { ConnectionAccounts } from '../child/connection-accounts';
import { Peaks } from '../child/peaks';
import { Reports } from '../child/reports';
import { Rest } from '../child/rest';
import { Terminator } from '../child/terminate';
import { Words } from '../child/words';
import { Listeners } from '../listener/listener';
import type { PassedSockets } from '../listener/passed';
import { Sockets } from '../listener/sockets';
import { Sandboxes } from '../child/sandboxes';
import { Stocks } from '../child/stocks';
import type { Emit } from '../log/events';
import { addon } from '../native/addon';
import { PollSet } from '../native/poll-set';
import { atOnce, Slices, type Work } from '../native/slices';
import { OncePerTurn } from '../native/turn';
import type { Configuration, Service } from '../service/service';
import { Accounting } from './accounting';
import { Acceptor } from './accept/acceptor';
import { Kept } from './accept/kept';
import { Pauses } from './accept/pauses';
import { Drain } from './drain';
import { Before } from './handlers/before';
import { FirstByte } from './handlers/first-byte';
import type { Watch } from './handlers/programs';
import { Tcpmux } from './handlers/tcpmux';
import { Endings, sessionName, type Served } from './hosted/endings';
import { Farewells } from './hosted/farewell';
import type { Holder, Hosted, HostedListener } from './hosted/hosted';
import { logFailed } from './hosted/listening';
import { Replacer } from './hosted/replace';
import { Looks } from './lend/looks';
import { ListenKeys, type ListenFailure } from './roster/open-listeners';
import { RetiredListeners } from './roster/retired';
import { Sessions } from './sessions';
import { RoleMaker } from './roles';
import { Roster, type Need } from './roster/roster';
import type { Change, Shortfall } from './roster/lacking';
import { mustFork, thisKernel } from './plain-fork';

/** Programs that waited for clients, until they are collected. They were ended when the server was told to stop. */
class Waiting implements Holder {
  readonly #stocks: Pick<Stocks, 'count'>;

  constructor(stocks: Pick<Stocks, 'count'>) {
    this.#stocks = stocks;
  }

  get count(): number {
    return this.#stocks.count;
  }

  endAll(): void {
    // They have been.
  }
}

/** In hexadecimal, from `c1`. */
function countIds(): () => string {
  let last = 0;
  return () => `c${(last += 1).toString(16)}`;
}

/** More would be a line that nobody reads. */
const MOST_NAMES = 20;

/** The last one stands for those that are not named. */
function namesOf(services: readonly Service[]): string[] {
  const names = services.slice(0, MOST_NAMES).map(({ name }) => name);
  const left = services.length - names.length;
  return left === 0 ? names : [...names, `+${left}`];
}

export class Server {
  readonly #emit: Emit;
  readonly #slots: Slots;
  readonly #pauses: Pauses;
  readonly #roster: Roster;
  readonly #drain: Drain;
  readonly #accounting: Accounting;
  readonly #roles: RoleMaker;
  readonly #stocks: Stocks;
  readonly #cgroups = new Cgroups();
  readonly #sandboxes = new Sandboxes();
  /** Of what is served: one reload or retry at a time. */
  readonly #changes = new Slices();
  /** Room that came free is given away once in a turn of the loop. */
  readonly #settle = new OncePerTurn(() => {
    this.#pauses.onRoom(this.#slots.takeFreed());
    if (this.#drain.isRunning) this.#drain.check();
  });

  /** @param hasRoom whether the log has room for words of programs */
  constructor(emit: Emit, hasRoom: Outlet['hasRoom'], maxConnections: number, passed: PassedSockets) {
    if (process.env['STDIOD_SPAWN'] === 'fork' || mustFork(thisKernel(), process.geteuid?.() === 0))
      addon.setPlainFork(true);
    // Opened before any connection, so that their numbers are low: a child copies the descriptor table up to them.
    const nullFd = openSync('/dev/null', 'r+');
    const pollSet = new PollSet();
    const reports = new Reports<Child<Served>>({
      pollSet,
      onLine: (child, line) => {
        this.#onSaid(child, line);
      },
      onLost: (user, pauseMs) => {
        emit({ event: 'unheard', user, duration: pauseMs / 1000 });
      },
    });
    const words = new Words<Pick<Child<Served>, 'owner'>, Child<Served>>({
      pollSet,
      hasRoom,
      serviceOf: ({ owner }) => owner.hosted,
      onLine: (child, line) => {
        this.#onSaid(child, line);
      },
      onLeftOut: ({ owner: { hosted } }, count) => {
        emit({ event: 'said', service: hosted.service.name, count });
      },
      onDeaf: ({ owner: { hosted } }, pauseMs) => {
        emit({ event: 'unheard', service: hosted.service.name, duration: pauseMs / 1000 });
      },
    });
    const sinks = { nullFd, channelOf: (uid: number | null) => reports.channelOf(uid) };
    const onFreed = (): void => {
      this.#onFreed();
    };
    const onFault = (listener: HostedListener, error: unknown): void => {
      this.onFault(listener, error);
    };
    const nextId = countIds();
    const slots = new Slots(maxConnections);
    const children = new Children<Served>(reports, words, this.#cgroups);
    const isChild = (pid: number): boolean => children.at(pid) !== undefined;
    const stocks = new Stocks({ pollSet, isChild, onFreed });
    const reaper = new Reaper<Served>(children, reports, words, this.#cgroups, stocks);
    const accounts = new ConnectionAccounts({
      pollSet,
      onLost: (why, pauseMs) => {
        accounting.onLost('accounts', why, pauseMs);
      },
    });
    const peaks = new Peaks({
      pollSet,
      onLost: (why, pauseMs) => {
        accounting.onLost('peaks', why, pauseMs);
      },
    });
    const accounting = new Accounting({ accounts, peaks, emit });
    const farewells = new Farewells(pollSet);
    const endings = new Endings(slots, emit, onFreed, accounts, peaks, farewells);
    const listeners = new Listeners<Hosted>(new Sockets(passed), pollSet, this);
    const kept = new Kept(endings);
    const pauses = new Pauses({
      emit,
      listeners,
      kept,
      server: slots.server,
      makeRoom: () => {
        tcpmux.makeRoom();
        farewells.makeRoom();
        firstByte.makeRoom();
      },
      onFault,
    });
    const replacer = new Replacer(listeners, emit, (listener) => {
      pauses.release(listener);
    });
    const acceptor = new Acceptor({ slots, endings, listeners, pauses, kept, replacer, nextId });
    const families = new Families<Served>({ children, nameOf: sessionName });
    const terminator = new Terminator<Served>(
      children,
      (signal, count) => {
        emit({ event: 'terminating', signal, children: count });
      },
      families,
    );
    const endBorrowers = (listener: HostedListener): void => {
      const borrowers = [...children].filter(({ owner, endReason }) => owner.lent === listener && !endReason);
      terminator.begin(borrowers, listener.owner.service.stopGraceMs, 'removed');
    };
    const retired = new RetiredListeners(listeners, pauses, onFreed, endBorrowers, onFault);
    const services = (): Iterable<Hosted> => this.#roster;
    const tcpmux = new Tcpmux({
      slots,
      endings,
      pollSet,
      services,
      onFreed,
      serve: (connection) => acceptor.serve(connection),
    });
    const waits = new WeakMap<HostedListener, number>();
    const lending = {
      emit,
      slots,
      children,
      endings,
      listeners,
      pauses,
      replacer,
      retired,
      nextId,
      waits,
      looks: new Looks(),
    };
    const sandboxes = this.#sandboxes;
    const quietTerminator = new Terminator<Served>(children, () => undefined, families);
    const sessions = new Sessions({ children, terminator: quietTerminator, kin: families, emit });
    const firstByte = new FirstByte({ endings, pollSet, serve: (connection) => acceptor.serve(connection) });
    const before = new Before({
      children,
      endings,
      terminator: quietTerminator,
      serve: (connection) => acceptor.serve(connection),
    });
    const watchFor = (service: Service): Watch | null => accounting.watchFor(service, sessions.watchFor(service));
    const roles = new RoleMaker({
      acceptor,
      tcpmux,
      before,
      firstByte,
      lending,
      children,
      endings,
      emit,
      sinks,
      sandboxes,
      stocks,
      watchFor,
      errandFor: (service) => sessions.errandFor(service, endings),
      leftoversFor: (service) => sessions.leftoversFor(service),
    });
    const keys = new ListenKeys((name) => passed.numberOf(name));
    this.#accounting = accounting;
    this.#roles = roles;
    this.#stocks = stocks;
    this.#emit = emit;
    this.#slots = slots;
    this.#pauses = pauses;
    this.#roster = new Roster({ emit, slots, listeners, pauses, retired, replacer, keys, roles, sandboxes });
    this.#drain = new Drain({
      emit,
      roster: this.#roster,
      retired,
      children,
      reaper,
      endings,
      words,
      terminator,
      rest: new Rest(families, (signal, left) => {
        emit({ event: 'terminating', signal, children: children.count, left });
      }),
      holders: [kept, tcpmux, before, firstByte, new Waiting(stocks)],
    });
  }

  /** The first configuration. @returns why it is not taken: what is needed is not there */
  start(configuration: Configuration, need: Need): readonly ListenFailure[] | null {
    const applied = atOnce(this.#roster.apply(configuration, need));
    if (!applied.ok) return applied.failures;
    this.#adopt();
    this.#logLacking(applied.change);
    return null;
  }

  /** All is up. */
  logServing({ services: wanted }: Configuration, version: string, file: string | null): void {
    const hosted = [...this.#roster];
    const listeners = hosted.reduce((count, each) => count + each.listeners.length, 0);
    const { pid } = process;
    const [services, unavailable] = [hosted.length, this.#unavailable];
    this.#emit({ event: 'serving', version, pid, file, services, listeners, unavailable });
    this.#logIdle(wanted.length);
  }

  /**
   * Takes this configuration in place of the one before, as far as it can be had, while clients are served.
   * @returns whether it is in force: a stop may have come first
   */
  async reload(configuration: Configuration): Promise<boolean> {
    return (await this.#changes.run(this.#reload(configuration))) !== null;
  }

  /**
   * Comes to nothing while a reload is under way, which tries everything itself.
   * @param found the configuration that is in force, with what the machine says about it now
   */
  async retry(found: Configuration): Promise<void> {
    if (!this.#changes.isBusy) await this.#changes.run(this.#retry(found));
  }

  /** Whether a service is not served as the file wants. */
  get isLacking(): boolean {
    return this.#roster.shortfalls.size > 0;
  }

  /** Drains, then terminates what is left. @returns when nothing is left; whether that took more than SIGKILL */
  async stop(signal: string): Promise<boolean> {
    this.#changes.end();
    this.#stocks.keep([]);
    const isClean = await this.#drain.start(signal);
    this.#cgroups.close();
    this.#sandboxes.close();
    return isClean;
  }

  /** Ends every child now; `stop` settles soon after. */
  stopAtOnce(): void {
    this.#drain.killAll();
  }

  logStatus(): void {
    for (const [service, shortfall] of this.#roster.shortfalls) this.#logUnavailable(service, shortfall);
    for (const { service, listeners, gate } of this.#roster) {
      const { inUse: children, limit } = gate;
      const open = listeners.filter(({ phase }) => phase === 'open').length;
      const unaccounted = this.#accounting.whyLacking(service);
      this.#emit({ event: 'status', service: service.name, listeners: open, children, limit, unaccounted });
    }
  }

  onReadable(listener: HostedListener): void {
    listener.owner.intake.onReadable(listener);
  }

  /** No client may stop the server: what we did not foresee costs its listener a moment. */
  onFault(listener: HostedListener, error: unknown): void {
    logFailed(this.#emit, listener, { verb: 'serve', error: String(error), action: 'tried again in a moment' });
  }

  #onSaid({ pid, owner: { hosted, connection } }: Child<Served>, line: string): void {
    this.#emit({ event: 'said', service: hosted.service.name, connection, pid, line });
  }

  #onFreed(): void {
    if (this.#pauses.isWaiting || this.#drain.isRunning) this.#settle.request();
  }

  /** @param count of the services in the file, none of which is enabled */
  #logIdle(count: number): void {
    const isIdle = !this.isLacking && [...this.#roster].length === 0;
    if (isIdle) this.#emit({ event: 'idle', disabled: count });
  }

  /** undefined: none, and it is not written. */
  get #unavailable(): number | undefined {
    return this.isLacking ? this.#roster.shortfalls.size : undefined;
  }

  *#reload(configuration: Configuration): Work<true> {
    const applied = yield* this.#roster.apply(configuration);
    if (!applied.ok) return true;
    this.#adopt();
    this.#logLacking(applied.change);
    const { added, changed, removed, kept } = applied.diff;
    this.#emit({
      event: 'reloaded',
      added: namesOf(added),
      changed: namesOf(changed.map(({ after }) => after)),
      removed: namesOf(removed),
      kept: kept.length,
      unavailable: this.#unavailable,
    });
    this.#logIdle(configuration.services.length);
    return true;
  }

  *#retry(found: Configuration): Work<void> {
    const change = yield* this.#roster.retry(found);
    this.#adopt();
    this.#logLacking(change);
  }

  /**
   * Groups before a first child is born in them, where that can be; and accounts that nobody asks for any more are not kept. Programs
   * that wait for clients are those of the services that are in force.
   */
  #adopt(): void {
    const wishes = [...this.#roster].flatMap(({ service: { run } }) =>
      run.kind === 'exec' ? (run.process.cgroup ?? []) : [],
    );
    this.#cgroups.adopt(wishes);
    this.#stocks.keep([...this.#roster].flatMap(({ service }) => this.#roles.stockOf(service) ?? []));
    this.#accounting.adopt([...this.#roster].map(({ service }) => service));
  }

  #logLacking({ unavailable }: Change): void {
    for (const [service, shortfall] of unavailable) this.#logUnavailable(service, shortfall);
  }

  #logUnavailable(service: string, { reason, served }: Shortfall): void {
    this.#emit({ event: 'unavailable', service, reason, served });
  }
}
