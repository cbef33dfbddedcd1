/**
 * An operator whose program fails looks into the log, and its words are not there: where they went, and the key to write, is told once
 * for each service.
 */
import type { Service } from '../../service/service';
import type { Hosted } from './hosted';

export class StderrHints {
  readonly #given = new WeakSet<Hosted>();

  /** For a service whose program has failed; undefined: it was told, or there is nothing to tell. */
  take(hosted: Hosted): string | undefined {
    const { run, wait }: Service = hosted.service;
    const isElsewhere = run.kind === 'exec' && run.process.stderr === 'socket';
    if (!isElsewhere || this.#given.has(hosted)) return undefined;
    this.#given.add(hosted);
    const where = wait ? 'to the socket, which takes no words' : 'to its client';
    return `what it wrote to stderr went ${where}; stderr: log brings it here`;
  }
}
