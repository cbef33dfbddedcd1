/**
 * What a child of a plan is told of a connection, and what is kept of that meanwhile.
 */
import { connectionFacts, connectionValues } from '../../child/facts';
import { fillPlan, type Plan } from '../../child/plan';
import type { Start } from '../../native/addon';
import { formatPeer } from '../../service/peer';
import type { Served } from '../hosted/endings';
import type { Connection } from '../hosted/hosted';

export function startFor(plan: Plan, { id, fd, hosted, peer, local }: Connection): Start {
  const names = { service: hosted.service.name, connection: id };
  const facts = connectionFacts(peer, local, names);
  return { fd, ...fillPlan(plan, facts, () => connectionValues(peer, local, names)) };
}

export function ownerOf({ id: connection, hosted, peer, slot }: Connection): Served {
  return { hosted, connection, peer: formatPeer(peer), slot };
}
