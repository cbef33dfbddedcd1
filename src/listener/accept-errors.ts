/**
 * What a failed accept4 means for the listener: one table, read by listener.ts. From accept(2), "Error handling".
 */

/**
 * gone: that client left, or its network failed; take the next one.
 * tired: we are out of something; leave the clients in the queue and come back.
 * broken: anything else; the listener is left alone for a while.
 */
export type AcceptFault = 'gone' | 'tired' | 'broken';

const FAULTS: ReadonlyMap<string, AcceptFault> = new Map([
  ['ECONNABORTED', 'gone'],
  ['EPERM', 'gone'],
  ['EPROTO', 'gone'],
  ['ENOPROTOOPT', 'gone'],
  // One number, two names.
  ['EOPNOTSUPP', 'gone'],
  ['ENOTSUP', 'gone'],
  ['ENETDOWN', 'gone'],
  ['ENETUNREACH', 'gone'],
  ['EHOSTDOWN', 'gone'],
  ['EHOSTUNREACH', 'gone'],
  ['ENONET', 'gone'],
  ['ETIMEDOUT', 'gone'],
  ['EINTR', 'gone'],
  ['EMFILE', 'tired'],
  ['ENFILE', 'tired'],
  ['ENOMEM', 'tired'],
  ['ENOBUFS', 'tired'],
]);

export function classifyAcceptError(code: string): AcceptFault {
  return FAULTS.get(code) ?? 'broken';
}
