/**
 * The end of the server: accept no more, let children finish, then terminate what is left. For each service, `stop_grace`
 * passes between the signal and SIGTERM, and again between SIGTERM and SIGKILL.
 */
import type { Child, Children } from '../child/children';
import type { Log } from '../log/log';
import type { Connections } from './connections';
import type { Hosted } from './hosted';
import type { Mux } from './mux';
import type { Redirects } from './redirects';
import type { RetiredListeners } from './retired';
import type { Roster } from './roster';

/** After SIGKILL: a child that the kernel cannot end (in uninterruptible sleep) must not keep us. */
const GIVE_UP_MS = 2000;

/** Timers hold 31 bits and fire at once beyond: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface DrainParts {
  readonly log: Log;
  readonly roster: Roster;
  readonly retired: RetiredListeners;
  readonly children: Children<Hosted>;
  readonly connections: Connections;
  readonly redirects: Redirects;
  readonly mux: Mux;
}

export class Drain {
  readonly #parts: DrainParts;
  readonly #timers: NodeJS.Timeout[] = [];
  #settle: ((isClean: boolean) => void) | null = null;

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** @returns whether every child was collected */
  async start(signal: string): Promise<boolean> {
    const { log, roster, retired, children } = this.#parts;
    log.emit({ event: 'stopping', signal, children: children.count });
    const longest = this.#scheduleTermination();
    this.#after(longest, () => {
      this.#endOwn();
    });
    roster.close();
    const isClean = await new Promise<boolean>((resolve) => {
      this.#settle = resolve;
      this.#after(2 * longest + GIVE_UP_MS, () => {
        resolve(false);
      });
      retired.whenEmpty(() => {
        this.onChildrenEnded();
      });
    });
    for (const timer of this.#timers) clearTimeout(timer);
    log.emit({ event: 'stopped', children: children.count });
    return isClean;
  }

  /** Called whenever children were collected, and when the last listener is closed. */
  onChildrenEnded(): void {
    const { retired, children, connections, redirects, mux } = this.#parts;
    const left = retired.count + children.count + redirects.count + mux.count;
    if (left === 0 && !connections.hasStalled()) this.#settle?.(true);
  }

  /** Resets who still waits, ends every child. */
  killAll(signal: string): void {
    const { log, retired, children, connections } = this.#parts;
    log.emit({ event: 'terminating', signal, children: children.count });
    retired.closeNow(() => true);
    connections.dropStalled();
    this.#endOwn();
    for (const child of children) children.signal(child, 'SIGKILL');
    this.#after(GIVE_UP_MS, () => this.#settle?.(false));
    this.onChildrenEnded();
  }

  /** One pair of timers for each grace in use. @returns the longest grace */
  #scheduleTermination(): number {
    const { roster, children } = this.#parts;
    const services = [...[...roster].map(({ service }) => service), ...[...children].map(({ owner }) => owner.service)];
    const graces = new Set(services.map(({ stopGraceMs }) => stopGraceMs));
    for (const graceMs of graces) {
      const isDue = ({ owner }: Child<Hosted>): boolean => owner.service.stopGraceMs === graceMs;
      this.#after(graceMs, () => {
        this.#signalAll('SIGTERM', isDue);
      });
      this.#after(2 * graceMs, () => {
        this.#parts.connections.dropStalled();
        this.#signalAll('SIGKILL', isDue);
        this.onChildrenEnded();
      });
    }
    return Math.max(0, ...graces);
  }

  /** Connections that stdiod itself serves. */
  #endOwn(): void {
    this.#parts.redirects.endAll();
    this.#parts.mux.endAll();
  }

  #signalAll(signal: 'SIGTERM' | 'SIGKILL', isDue: (child: Child<Hosted>) => boolean): void {
    const { log, children } = this.#parts;
    const due = [...children].filter(isDue);
    if (due.length === 0) return;
    log.emit({ event: 'terminating', signal, children: due.length });
    for (const child of due) children.signal(child, signal);
  }

  #after(delayMs: number, action: () => void): void {
    this.#timers.push(setTimeout(action, Math.min(delayMs, LONGEST_TIMER_MS)));
  }
}
