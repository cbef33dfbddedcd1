/**
 * The end of the server: accept no more, let children finish, then terminate what is left. For each service, `stop_grace`
 * passes between the signal and SIGTERM, and again between SIGTERM and SIGKILL.
 */
import type { Children } from '../child/children';
import type { Reaper } from '../child/reaper';
import type { Rest } from '../child/rest';
import type { Terminator } from '../child/terminate';
import type { Words } from '../child/words';
import type { Emit } from '../log/events';
import type { Endings, Served } from './hosted/endings';
import type { Holder, Hosted } from './hosted/hosted';
import type { RetiredListeners } from './roster/retired';
import type { Roster } from './roster/roster';

/** After SIGKILL: a child that the kernel cannot end (in uninterruptible sleep) must not keep us. */
const GIVE_UP_MS = 2000;

/** For who was left behind by a child that took all the time there was. */
const SHORTEST_GRACE_MS = 100;

/** Timers hold 31 bits and fire at once beyond: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface DrainParts {
  readonly emit: Emit;
  readonly roster: Pick<Roster, 'close' | 'leaving'> & Iterable<Hosted>;
  readonly retired: Pick<RetiredListeners, 'count' | 'closeAll'> & Iterable<{ readonly owner: Hosted }>;
  readonly children: Pick<Children<Served>, 'count' | typeof Symbol.iterator>;
  readonly reaper: Pick<Reaper<Served>, 'reapAll'>;
  readonly endings: Pick<Endings, 'flush'>;
  readonly words: Pick<Words<unknown>, 'flush'>;
  readonly terminator: Pick<Terminator<Served>, 'begin' | 'end'>;
  /** Whom children have left behind. */
  readonly rest: Pick<Rest, 'end' | 'hurry'>;
  /** Those who hold connections without a child. */
  readonly holders: readonly Holder[];
}

export class Drain {
  readonly #parts: DrainParts;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Graces that have passed, milliseconds. */
  readonly #passed = new Set<number>();
  /** Graces whose children have not got SIGKILL yet. */
  #outstanding = 0;
  #longestGraceMs = 0;
  /** performance.now: the last child has got SIGKILL by then; whom it has left behind has as much time, and no more. */
  #lastMs = 0;
  #isEnding = false;
  #settle: ((isClean: boolean) => void) | null = null;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#settle !== null;
  }

  /** @returns whether every child was collected */
  async start(signal: string): Promise<boolean> {
    const { emit, roster, children, endings, words } = this.#parts;
    emit({ event: 'stopping', signal, children: children.count });
    const isClean = await new Promise<boolean>((resolve) => {
      this.#settle = resolve;
      const graces = this.#graces();
      this.#longestGraceMs = Math.max(0, ...graces);
      this.#lastMs = performance.now() + 2 * this.#longestGraceMs;
      this.#schedule(graces);
      roster.close();
      this.check();
    });
    for (const timer of this.#timers) clearTimeout(timer);
    endings.flush();
    words.flush();
    emit({ event: 'stopped', children: children.count });
    return isClean;
  }

  /** To be called whenever children were collected, a connection has ended, or the last listener is closed. */
  check(): void {
    const { retired, children, holders } = this.#parts;
    if (retired.count === 0 && children.count === 0 && holders.every(({ count }) => count === 0)) this.#endRest();
  }

  /** Resets who still waits, ends every child. */
  killAll(): void {
    const { retired, children, terminator, holders, rest } = this.#parts;
    retired.closeAll(() => true);
    for (const holder of holders) holder.endAll(() => true);
    terminator.end([...children], 'stop');
    this.#lastMs = 0;
    rest.hurry();
    this.#giveUpSoon();
    this.check();
  }

  /** Of every service that has, or may still get, a child or a connection. */
  #graces(): ReadonlySet<number> {
    const { roster, retired, children } = this.#parts;
    const hosted = [
      ...roster,
      ...roster.leaving,
      ...[...retired].map(({ owner }) => owner),
      ...[...children].map(({ owner }) => owner.hosted),
    ];
    return new Set(hosted.map(({ service }) => service.stopGraceMs));
  }

  #schedule(graces: ReadonlySet<number>): void {
    this.#outstanding = graces.size;
    if (graces.size === 0) this.#giveUpSoon();
    for (const graceMs of graces) {
      this.#after(graceMs, () => {
        this.#end(graceMs);
      });
    }
  }

  /** From here on no child of these services is started, so that the signal misses nobody. */
  #end(graceMs: number): void {
    const { retired, children, terminator, holders } = this.#parts;
    this.#passed.add(graceMs);
    const isDue = ({ service }: Hosted): boolean => this.#passed.has(service.stopGraceMs);
    retired.closeAll(({ owner }) => isDue(owner));
    for (const holder of holders) holder.endAll(isDue);
    const due = [...children].filter(({ owner }) => owner.hosted.service.stopGraceMs === graceMs);
    terminator.begin(due, graceMs, 'stop', () => {
      this.#outstanding -= 1;
      if (this.#outstanding === 0) this.#giveUpSoon();
    });
    this.check();
  }

  #endRest(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const leftMs = Math.min(this.#longestGraceMs, this.#lastMs - performance.now());
    const { rest, children } = this.#parts;
    rest.end(Math.max(SHORTEST_GRACE_MS, leftMs), () => this.#settle?.(children.count === 0));
  }

  /** From the moment in which the last SIGKILL was sent: to signal many takes time, of which they would have less to leave. */
  #giveUpSoon(): void {
    this.#after(GIVE_UP_MS, () => {
      this.#parts.reaper.reapAll();
      this.#parts.rest.hurry();
      this.#endRest();
    });
  }

  #after(delayMs: number, action: () => void): void {
    this.#timers.push(setTimeout(action, Math.min(delayMs, LONGEST_TIMER_MS)));
  }
}
