/**
 * What is told of a listener: that it listens, and what came in its way.
 */
import type { Emit, LogEvent } from '../../log/events';
import { formatAddress } from '../../service/address';
import type { HostedListener } from './hosted';

type Failed = Extract<LogEvent, { event: 'failed' }>;

export function logListening(emit: Emit, { address, owner }: HostedListener): void {
  const { name: service, socket } = owner.service;
  const backlog = address.type === 'datagram' ? undefined : socket.backlog;
  emit({ event: 'listening', service, address: formatAddress(address), backlog });
}

/** @param what the verb of `failed`, what it said, and what was done about it */
export function logFailed(
  emit: Emit,
  { address, owner }: HostedListener,
  { verb, error, action }: Pick<Failed, 'verb' | 'error' | 'action'>,
): void {
  emit({ event: 'failed', verb, address: formatAddress(address), service: owner.service.name, error, action });
}
