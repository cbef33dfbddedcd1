/**
 * HUP: the file is read again on a thread of its own, because parsing a large one would hold up the accept path; what it
 * says is applied on the main thread. Signals that arrive meanwhile lead to one more reload, not to many.
 */
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { Worker } from 'node:worker_threads';
import type { LoadResult } from '../config/load';
import type { Diagnostic } from '../config/report/diagnostic';
import { chooseFormat } from '../log/format';
import type { Log } from '../log/log';
import { describeSystemError } from '../native/system-error';
import { formatAddress } from '../service/address';
import type { LoadOrder } from './load-thread';
import type { ListenFailure } from './roster/open-listeners';
import type { Server } from './server';

const STDERR = 2;

export class Reloader {
  readonly #order: LoadOrder;
  readonly #server: Pick<Server, 'reload'>;
  readonly #log: Pick<Log, 'emit' | 'setFormat'>;
  readonly #isJson: boolean;
  #isRunning = false;
  #isWantedAgain = false;
  #isStopped = false;

  /** @param isJson the operator asked for JSON lines, whatever the file says */
  constructor(order: LoadOrder, server: Pick<Server, 'reload'>, log: Pick<Log, 'emit' | 'setFormat'>, isJson: boolean) {
    this.#order = order;
    this.#server = server;
    this.#log = log;
    this.#isJson = isJson;
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
    while (this.#isWantedAgain) {
      this.#isWantedAgain = false;
      const result = await loadOnThread(this.#order);
      if (!this.#isStopped) this.#apply(result);
    }
    this.#isRunning = false;
  }

  #apply(result: LoadResult): void {
    if (!result.ok) {
      this.#rejectProblems(result.diagnostics);
      return;
    }
    const { format } = result.configuration.log;
    const failures = this.#server.reload(result.configuration);
    if (failures.length > 0) this.#rejectFailures(failures);
    else if (!this.#isJson) this.#log.setFormat(chooseFormat(format, isatty(STDERR)));
  }

  #rejectProblems(diagnostics: readonly Diagnostic[]): void {
    for (const { file, line, column, path, message, remedy } of diagnostics) {
      this.#log.emit({ event: 'problem', file, line, column, path, message, remedy });
    }
    this.#log.emit({ event: 'rejected', problems: diagnostics.length });
  }

  #rejectFailures(failures: readonly ListenFailure[]): void {
    for (const { service, address, error } of failures) {
      const text = describeSystemError(error);
      const action = 'the configuration before stays in force';
      this.#log.emit({
        event: 'failed',
        verb: 'listen',
        address: formatAddress(address),
        service,
        error: text,
        action,
      });
    }
    this.#log.emit({ event: 'rejected', problems: failures.length });
  }
}

/** A loader that fails in a way that we did not foresee must not end the server either: it reads as a problem of the file. */
function loadOnThread(order: LoadOrder): Promise<LoadResult> {
  const { file } = order;
  return new Promise((resolve) => {
    const worker = startThread(order);
    if (worker instanceof Error) {
      resolve(asProblem(file, worker));
      return;
    }
    worker.once('message', (result: LoadResult) => {
      resolve(result);
    });
    worker.once('error', (error) => {
      resolve(asProblem(file, error));
    });
    worker.once('exit', () => {
      resolve(asProblem(file, new Error('the loader ended without a word')));
    });
  });
}

/** With its own ends of stdout and stderr: ours would be opened as streams, which makes them non-blocking for all who share them. */
function startThread(order: LoadOrder): Worker | Error {
  try {
    return new Worker(join(__dirname, 'load-thread.js'), { workerData: order, stdout: true, stderr: true });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function asProblem(file: string, error: Error): LoadResult {
  const message = `could not be loaded: ${error.message}`;
  const place = { file, line: 0, column: 0, path: '', source: '', sourceColumn: 1 };
  return { ok: false, diagnostics: [{ ...place, message, remedy: null }] };
}
