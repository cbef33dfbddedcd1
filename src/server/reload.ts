/**
 * HUP: the file is read again on a thread of its own, because parsing a large one would hold up the accept path; what it
 * says is applied on the main thread. Signals that arrive meanwhile lead to one more reload, not to many.
 */
import type { Diagnostic } from '../config/report/diagnostic';
import type { LogEvent } from '../log/events';
import type { ChooseFormat } from '../log/choose';
import type { Log } from '../log/log';
import { Loader, type Patience } from './loader';
import type { LoadOrder } from './load-thread';
import type { Reread } from './packets';
import type { Retrier } from './retry';
import type { Server } from './server';
import { MOST_TOLD, toldOf } from './told';

export class Reloader {
  readonly #file: string;
  readonly #loader: Loader;
  readonly #server: Pick<Server, 'reload'>;
  readonly #retrier: Pick<Retrier, 'begin'>;
  readonly #log: Pick<Log, 'emit' | 'setFormat'>;
  readonly #chooseFormat: ChooseFormat;
  #isRunning = false;
  #isWantedAgain = false;
  #isStopped = false;

  constructor(
    order: LoadOrder,
    server: Pick<Server, 'reload'>,
    retrier: Pick<Retrier, 'begin'>,
    log: Pick<Log, 'emit' | 'setFormat'>,
    chooseFormat: ChooseFormat,
    patience?: Patience,
  ) {
    const emit = (event: LogEvent): void => {
      log.emit(event);
    };
    this.#file = order.file;
    this.#loader = new Loader(order, emit, patience);
    this.#server = server;
    this.#retrier = retrier;
    this.#log = log;
    this.#chooseFormat = chooseFormat;
  }

  request(): void {
    if (this.#isStopped) return;
    this.#isWantedAgain = true;
    if (!this.#isRunning) void this.#run();
  }

  /** A server that drains takes no new configuration. */
  stop(): void {
    this.#isStopped = true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isNeeded()) {
      this.#isWantedAgain = false;
      const result = await this.#loader.load();
      if (!this.#isStopped) await this.#tryApply(result);
    }
    this.#isRunning = false;
  }

  #isNeeded(): boolean {
    return this.#isWantedAgain && !this.#isStopped;
  }

  /** What we did not foresee costs the reload, and not the server. */
  async #tryApply(result: Reread): Promise<void> {
    try {
      await this.#apply(result);
    } catch (error) {
      const place = { file: this.#file, line: 0, column: 0, path: '', source: '', sourceColumn: 1 };
      const message = `could not be applied: ${error instanceof Error ? error.message : String(error)}`;
      this.#rejectProblems([{ ...place, message, remedy: 'tell the authors of stdiod' }]);
    }
  }

  async #apply(result: Reread): Promise<void> {
    if (!result.ok) {
      this.#rejectProblems(result.diagnostics);
      return;
    }
    const { format } = result.configuration.log;
    for (const warning of result.warnings.slice(0, MOST_TOLD)) this.#log.emit(toldOf('warning', warning));
    const isInForce = await this.#server.reload(result.configuration);
    if (!isInForce || this.#isStopped) return;
    this.#retrier.begin(result.texts);
    this.#log.setFormat(this.#chooseFormat(format));
  }

  #rejectProblems(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics.slice(0, MOST_TOLD)) this.#log.emit(toldOf('problem', diagnostic));
    this.#log.emit({ event: 'rejected', problems: diagnostics.length });
  }
}
