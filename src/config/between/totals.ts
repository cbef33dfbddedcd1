/**
 * How much all services come to together. A short text can ask for very much: a range of ports for each of 4096 addresses, or long
 * defaults under ten thousand services.
 */
import { type Layer, reporterFor } from '../keys/layers';
import type { Problems } from '../report/problems';
import type { Resolved } from '../resolve/resolve';
import { MOST_SOCKETS, tooManySockets } from '../resolve/listen';

/** Characters of defaults, once for each service that they lie under: 10,000 services may have 3,000 each … */
const MOST_INHERITED = 32 * 1024 * 1024;
/** … in 40 values: however short one is, it costs what so many characters do. */
const VALUE = 64;

export class Totals {
  private sockets = 0;
  private inherited = 0;

  constructor(private readonly problems: Problems) {}

  /** Once for each service that they lie under. @returns whether that is not too much */
  inherit(layers: readonly MeasuredLayer[]): boolean {
    for (const { length, values } of layers) this.inherited += length + VALUE * values;
    const [own] = layers;
    if (this.inherited <= MOST_INHERITED || own === undefined) return true;
    const message = `with ${own.length} characters in ${own.values} value${own.values === 1 ? '' : 's'} the defaults are too long for so many services`;
    const remedy = 'move what is long to the services that need it, or into a file that their programs read';
    reporterFor(own.tree, [], this.problems).report(own.base, { message, remedy });
    return false;
  }

  /** @returns whether those of all services so far are not too many */
  addSockets({ service, entries, layers }: Resolved): boolean {
    this.sockets += service.listen.reduce((count, { sockets }) => count + sockets.length, 0);
    if (this.sockets <= MOST_SOCKETS) return true;
    layers.report(entries[0]?.path ?? ['listen'], tooManySockets('this one and the services before it'));
    return false;
  }
}

export interface MeasuredLayer extends Layer {
  /** Of its data as JSON. */
  readonly length: number;
  /** That are neither maps nor lists. */
  readonly values: number;
}
