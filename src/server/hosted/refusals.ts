/**
 * What is told of clients that are refused: of the first ones in a second each, of all further ones together how many they were.
 * A flood of them costs its service its log, and not the machine its disk.
 */
import type { Emit, LogEvent } from '../../log/events';
import type { Hosted } from './hosted';

/** For each service and reason, in a second. */
const MOST_TOLD = 32;
const WINDOW_MS = 1000;

type Refused = Extract<LogEvent, { event: 'refused' }>;

interface Window {
  /** performance.now. */
  readonly startMs: number;
  told: number;
  /** The first one that was not told; a later one may have come while another limit held. */
  untold: Refused | null;
  count: number;
}

export class Refusals {
  readonly #emit: Emit;
  /** The last one of each service and reason. */
  readonly #windows = new WeakMap<Hosted, Map<Refused['reason'], Window>>();
  /** Those of which something is left to be told. */
  readonly #pending = new Set<Window>();

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  tell(hosted: Hosted, refused: Refused): void {
    const window = this.#windowOf(hosted, refused.reason);
    if (window.told < MOST_TOLD) {
      window.told += 1;
      this.#emit(refused);
      return;
    }
    if (window.untold === null) this.#closeLater(window);
    window.untold ??= refused;
    window.count += 1;
  }

  /** Tells at once what is left to be told: there may be no other time. */
  flush(): void {
    for (const window of [...this.#pending]) this.#close(window);
  }

  #windowOf(hosted: Hosted, reason: Refused['reason']): Window {
    const windows = this.#windows.get(hosted) ?? new Map<Refused['reason'], Window>();
    this.#windows.set(hosted, windows);
    const [known, startMs] = [windows.get(reason), performance.now()];
    if (known !== undefined && startMs < known.startMs + WINDOW_MS) return known;
    const window = { startMs, told: 0, untold: null, count: 0 };
    windows.set(reason, window);
    return window;
  }

  #closeLater(window: Window): void {
    this.#pending.add(window);
    const close = (): void => {
      this.#close(window);
    };
    setTimeout(close, window.startMs + WINDOW_MS - performance.now()).unref();
  }

  #close(window: Window): void {
    this.#pending.delete(window);
    const { untold, count } = window;
    if (untold === null) return;
    const { event, service, reason, limit } = untold;
    this.#emit({ event, service, reason, limit, count });
    [window.untold, window.count] = [null, 0];
  }
}
