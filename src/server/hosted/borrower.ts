/**
 * Whose children had a socket, and whether the service that has it now is the same, under the same user: what a child may have
 * set on it (a filter, a buffer of one byte, a time to linger) is its own service's affair, and no other's.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Borrower } from '../../listener/socket';
import type { Service } from '../../service/service';
import type { HostedListener } from './hosted';

export function borrowerOf({ name, run }: Service): Borrower {
  return { service: name, identity: run.kind === 'exec' ? run.process.identity : null };
}

export function hasChangedHands({ socket, owner }: HostedListener): boolean {
  const { borrower } = socket.past;
  return borrower !== null && !isDeepStrictEqual(borrower, borrowerOf(owner.service));
}
