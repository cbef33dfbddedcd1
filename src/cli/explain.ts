/**
 * What the file says of a client with this address: may it come, by which rule, and how much of each service it may have. Pure.
 */
import { explainAccess, type Whom } from '../service/access';
import type { Rate } from '../service/rate';
import type { Peer } from '../service/peer';
import type { Configuration, Service } from '../service/service';

/** For one service. */
export interface Explanation {
  readonly service: string;
  readonly verdict: 'admitted' | 'refused' | 'not-asked' | 'unavailable' | 'disabled';
  /** Of a refusal, as its event has it. */
  readonly reason: string | null;
  /** The rule that decides, as it was written; null: none is about the address. */
  readonly rule: string | null;
  /** In words. */
  readonly why: string;
  /** Of those who may come. */
  readonly limits: readonly string[];
}

/** null: not one client is meant, but a network or all of a kind. */
export function peerOf(whom: Whom, text: string): Peer | null {
  if (whom.kind === 'uid') return { family: 'unix', path: '', credentials: { pid: 0, uid: whom.uid, gid: 0 } };
  if (whom.kind !== 'network' || text.includes('/')) return null;
  return { family: whom.family === 4 ? 'ipv4' : 'ipv6', address: text, port: 0 };
}

export function explain({ services, lacks }: Configuration, peer: Peer): Explanation[] {
  const reasons = new Map(lacks.map(({ name, reason }) => [name, reason]));
  return services.map((service) => explainOne(service, reasons.get(service.name), peer));
}

/** A line for each, in columns. */
export function formatExplanations(explanations: readonly Explanation[]): string {
  const widthOf = (texts: readonly string[]): number => Math.max(...texts.map(({ length }) => length));
  const name = widthOf(explanations.map(({ service }) => service));
  const verdict = widthOf(explanations.map((each) => each.verdict));
  const lines = explanations.map((each) => {
    const more = [each.why, ...each.limits].join('; ');
    return `${each.service.padEnd(name)}  ${each.verdict.padEnd(verdict)}  ${more}\n`;
  });
  return lines.join('');
}

function explainOne(service: Service, lack: string | undefined, peer: Peer): Explanation {
  const { name, enabled, wait, admission } = service;
  const nothing = { service: name, reason: null, rule: null, limits: [] };
  if (!enabled) return { ...nothing, verdict: 'disabled', why: 'the service is not enabled' };
  if (lack !== undefined) return { ...nothing, verdict: 'unavailable', why: lack };
  if (wait) return { ...nothing, verdict: 'not-asked', why: 'its program takes from the socket what it wants' };
  if (admission.access === null)
    return { ...nothing, verdict: 'admitted', why: 'there are no rules', limits: limitsOf(service) };
  const { isAllowed, rule } = explainAccess(admission.access, peer);
  if (!isAllowed) return { ...nothing, verdict: 'refused', reason: 'address', rule, why: rule ?? NOT_AMONG };
  return { ...nothing, verdict: 'admitted', rule, why: rule ?? NO_RULE, limits: limitsOf(service) };
}

const NOT_AMONG = 'it is not among those that "allow" names';
const NO_RULE = 'no rule is about it';

function limitsOf({ admission, maxConnections }: Service): string[] {
  const { maxPerPeer, ratePerPeer, rate, times } = admission;
  return [
    `${maxPerPeer ?? maxConnections} of ${maxConnections} children`,
    ...(ratePerPeer === null ? [] : [`it comes ${often(ratePerPeer)}`]),
    ...(rate === null ? [] : [`all come ${often(rate)}`]),
    ...(times === null ? [] : ['only when it is open']),
  ];
}

function often({ count, perMs }: Rate): string {
  const seconds = perMs / 1000;
  return `${count} times in ${seconds === 1 ? 'a second' : `${seconds} s`}`;
}
