/**
 * A service while stdiod hosts it: the resolved service with all that hangs on it. One per name; it outlives a reload, and
 * when its service is removed it stays until its last child is reaped.
 */
import type { Gate } from '../admission/slots';
import type { Plan } from '../child/plan';
import type { Listener } from '../listener/listener';
import type { Service } from '../service/service';

export interface Hosted {
  service: Service;
  /** null: nothing is run (redirect, tcpmux). */
  plan: Plan | null;
  readonly gate: Gate;
  /** In the order of the configuration's `listen`. */
  listeners: HostedListener[];
  /** How many of the listeners are paused: the events tell the first and the last. */
  pausedListeners: number;
}

export type HostedListener = Listener<Hosted>;
