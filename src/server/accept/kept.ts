/**
 * Accepted connections for which the system had no process or no memory. Each keeps its descriptor and its slot until its
 * handler can take it; one that fails for good is dropped by its handler and does not block those behind it.
 */
import type { Endings } from '../hosted/endings';
import type { Connection, Hosted, Holder } from '../hosted/hosted';

export class Kept implements Holder {
  readonly #endings: Pick<Endings, 'drop'>;
  /** First come, first served. */
  #connections: Connection[] = [];

  constructor(endings: Pick<Endings, 'drop'>) {
    this.#endings = endings;
  }

  get count(): number {
    return this.#connections.length;
  }

  add(connection: Connection): void {
    this.#connections.push(connection);
  }

  /** @returns whether nobody is left */
  retry(): boolean {
    for (let next = this.#connections[0]; next !== undefined; next = this.#connections[0]) {
      if (next.handler.take(next) !== 'taken') return false;
      this.#connections.shift();
    }
    return true;
  }

  /** Nobody will serve these any more. */
  endAll(isDue: (hosted: Hosted) => boolean): void {
    const due = this.#connections.filter(({ hosted }) => isDue(hosted));
    this.#connections = this.#connections.filter(({ hosted }) => !isDue(hosted));
    for (const connection of due) this.#endings.drop(connection, 'clone', 'EAGAIN');
  }
}
