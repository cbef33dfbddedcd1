/**
 * Who waits for clients, of all services: started here, known by pid to the reaper, and closed with their services. A clone of a template is our
 * child without our having started it: until it is in the book of children its pid is known to nobody but the kernel, which tells it with
 * what the clone says; so before an exit is told, whoever may have said something is heard.
 */
import { stat } from 'node:fs/promises';
import { addon, type NativePlan } from '../native/addon';
import type { PollSet } from '../native/poll-set';
import type { Warm } from '../service/service';
import type { Exit } from './children';
import { Parked } from './parked';
import { PidTable } from './pid-table';
import { describeSpawnFailure } from './spawn-errors';
import { Stock } from './stock';

/** What a service needs to have one. */
export interface Supply {
  readonly warm: Warm;
  /** As `prepareParked` makes it. */
  readonly plan: NativePlan;
  /** `NAME=value` strings, each ended by NUL. @param name of the program that waits */
  readonly factsOf: (name: string) => string;
  readonly onWarm: (waiting: number) => void;
  readonly onCold: (reason: string, pauseMs: number) => void;
}

export interface StocksParts {
  readonly pollSet: Pick<PollSet, 'watch' | 'unwatch'>;
  /** Whether the child with this pid is known already. */
  readonly isChild: (pid: number) => boolean;
  /** One was collected. */
  readonly onFreed: () => void;
}

/** Programs of all services that are on their way to their first touch: a start takes a processor for as long as it takes. */
const MOST_STARTING = 2;
/** All that may be said at a time. */
const MOST_MESSAGES = 1024;

export class Stocks {
  readonly #parts: StocksParts;
  readonly #byPid = new PidTable<{ readonly parked: Parked; readonly stock: Stock }>();
  readonly #open = new Set<Stock>();
  readonly #starting = new Set<Parked>();
  readonly #waiting = new Set<Stock>();
  readonly #supplies = new WeakMap<Stock, Supply>();
  /** To whom a client is under way. */
  readonly #asked = new Set<Parked>();
  /** They have been collected, and are about to be told of. */
  #collected: ReadonlySet<number> = new Set();
  #last = 0;

  constructor(parts: StocksParts) {
    this.#parts = parts;
  }

  /** Who is there, and has not been collected. */
  get count(): number {
    return this.#byPid.size;
  }

  /** Nothing is started before `keep` says so. */
  make(supply: Supply): Stock {
    const stock = new Stock(supply.warm, {
      start: (asking) => {
        this.#start(asking);
      },
      onWarm: supply.onWarm,
      onCold: supply.onCold,
      look,
      onAsked: (parked) => {
        this.#asked.add(parked);
      },
    });
    this.#supplies.set(stock, supply);
    return stock;
  }

  /** These and no others have anybody waiting. */
  keep(stocks: Iterable<Stock>): void {
    const kept = new Set(stocks);
    for (const stock of [...this.#open]) {
      if (!kept.has(stock)) this.#close(stock);
    }
    for (const stock of kept) {
      this.#open.add(stock);
      stock.open();
    }
  }

  /** Under the name of a request nobody else is asked. */
  nextName(): string {
    return String((this.#last += 1));
  }

  /** Whether a pid that nobody knows may be that of a client's. */
  get isAsking(): boolean {
    for (const parked of this.#asked) {
      if (parked.pendingCount > 0) return true;
      this.#asked.delete(parked);
    }
    return false;
  }

  /** These were collected: whoever of them had woken is known by the time this returns. */
  hear(collected: ReadonlySet<number>): void {
    this.#collected = collected;
    for (const parked of [...this.#asked]) parked.read(MOST_MESSAGES);
    this.#collected = new Set();
  }

  /** @returns whether it was one of ours */
  settle(pid: number, exit: () => Exit): boolean {
    const entry = this.#byPid.get(pid);
    if (entry === undefined) return false;
    this.#byPid.remove(pid);
    entry.parked.onExit(exit());
    this.#parts.onFreed();
    return true;
  }

  #close(stock: Stock): void {
    this.#open.delete(stock);
    this.#waiting.delete(stock);
    stock.close();
  }

  #start(stock: Stock): void {
    if (this.#starting.size >= MOST_STARTING) this.#waiting.add(stock);
    else this.#spawn(stock);
  }

  #spawn(stock: Stock): void {
    const supply = this.#supplies.get(stock);
    if (supply === undefined) return;
    try {
      const parked = this.#park(stock, supply);
      this.#starting.add(parked);
      stock.onStarted(parked);
    } catch (error) {
      const { step, error: code } = describeSpawnFailure(error);
      stock.onNotStarted(`it cannot be started: ${step} ${code}`);
    }
  }

  /** @throws SystemError */
  #park(stock: Stock, { warm, plan, factsOf }: Supply): Parked {
    const name = `w${this.nextName()}`;
    const [reader, pid] = spawnParked(plan, warm, factsOf(name));
    const parked = Parked.watch(pid, name, reader, {
      pollSet: this.#parts.pollSet,
      isTemplate: warm.mode === 'template',
      isOwn: (other) => this.#isOwn(other),
      onReady: (ready) => {
        stock.onReady(ready);
        this.#onStarted(ready);
      },
      onTaken: (taken) => {
        this.#byPid.remove(taken.pid);
        stock.onTaken(taken);
        this.#parts.onFreed();
      },
      onOver: (over, reason) => {
        stock.onOver(over, reason);
        this.#onStarted(over);
      },
    });
    this.#byPid.add(pid, { parked, stock });
    return parked;
  }

  /** A stranger that we shall have to collect, or have just collected. */
  #isOwn(pid: number): boolean {
    if (this.#byPid.get(pid) !== undefined || this.#parts.isChild(pid)) return false;
    return this.#collected.has(pid) || addon.isOwnChild(pid);
  }

  #onStarted(parked: Parked): void {
    if (!this.#starting.delete(parked)) return;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#spawn(next);
  }
}

/** @throws SystemError, and leaves nothing behind */
function spawnParked(
  plan: NativePlan,
  { family }: Warm,
  facts: string,
): [ReturnType<typeof addon.openReports>['reader'], ReturnType<typeof addon.spawn>] {
  const { reader, writer } = addon.openReports(null);
  try {
    const fd = addon.openUnconnected(family);
    try {
      return [reader, addon.spawn(plan, { fd, facts, control: writer })];
    } catch (error) {
      addon.close(fd);
      throw error;
    }
  } catch (error) {
    addon.close(reader);
    addon.close(writer);
    throw error;
  }
}

/** On a thread, as a path may hang. One that is not there is no change until it is there again. */
async function look(files: readonly string[]): Promise<string> {
  const facts = await Promise.all(
    files.map(async (file) => {
      const { dev, ino, size, mtimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs].join(' ');
    }),
  );
  return facts.join('\n');
}
