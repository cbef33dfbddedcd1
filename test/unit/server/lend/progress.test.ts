/**
 * Whether a child took anything, seen from the queue before and after.
 */
import type { Exit } from '../../../../src/child/children';
import { addon, type DatagramHead } from '../../../../src/native/addon';
import type { HostedListener } from '../../../../src/server/hosted/hosted';
import { hasMoved, isExcused, queueOf, senderOf, type Queue } from '../../../../src/server/lend/progress';
import type { SocketAddress } from '../../../../src/service/address';
import { hostedService, PretendServer, tcp, udp } from '../pretended';
import { NO_USAGE } from '../../service/sample';

jest.mock('../../../../src/native/addon', () => ({ addon: { queueLength: jest.fn(), headOf: jest.fn() } }));

const kernel = jest.mocked(addon);
const WELL: Exit = { status: 0, signal: null, hasCore: false, usage: NO_USAGE, rssBytes: null, failure: null };
const UNIX: SocketAddress = { family: 'unix', type: 'stream', path: '/run/web' };
const UNIX_DATAGRAM: SocketAddress = { family: 'unix', type: 'datagram', path: '/run/log' };

function on(address: SocketAddress): HostedListener {
  return new PretendServer().listen(hostedService(), address);
}

function head(identity: string, peerAddress = '10.0.0.5', peerPort = 1069): DatagramHead {
  return { identity, peerAddress, peerPort };
}

/** What stands in the queue now. */
function setQueue(queue: number | DatagramHead | null): void {
  kernel.queueLength.mockReturnValue(typeof queue === 'number' ? queue : 0);
  kernel.headOf.mockReturnValue(typeof queue === 'number' ? null : queue);
}

test('a queue is the first datagram, or the number of clients', () => {
  setQueue(3);
  expect(queueOf(on(tcp(80)))).toEqual({ length: 3 });
  setQueue(head('a'));
  expect(queueOf(on(udp(69)))).toEqual({ head: head('a') });
});

test('what woke us may be gone when it is looked at', () => {
  setQueue(null);
  expect([on(tcp(80)), on(udp(69))].map(queueOf)).toEqual([null, null]);
});

test.each<[string, SocketAddress, Queue, number | DatagramHead | null, boolean]>([
  ['the same datagram', udp(69), { head: head('a') }, head('a'), false],
  ['another datagram', udp(69), { head: head('a') }, head('b'), true],
  ['no datagram', udp(69), { head: head('a') }, null, true],
  ['as many clients', tcp(80), { length: 2 }, 2, false],
  ['more clients', tcp(80), { length: 2 }, 3, false],
  ['fewer clients', tcp(80), { length: 2 }, 1, true],
  ['no client', tcp(80), { length: 1 }, 0, true],
])('afterwards there is %s: %#', (_, address, before, now, expected) => {
  setQueue(now);
  expect(hasMoved(on(address), before)).toBe(expected);
});

test.each<[string, SocketAddress, number, number, Partial<Exit>, boolean]>([
  ['one client, and one now', tcp(80), 1, 1, {}, false],
  ['several clients', tcp(80), 2, 2, {}, true],
  ['one client, and several now', tcp(80), 1, 2, {}, true],
  ['a kernel that does not tell how many', UNIX, 1, 1, {}, true],
  ['a child that failed', tcp(80), 2, 2, { status: 1 }, false],
  ['a child that a signal ended', tcp(80), 2, 2, { status: null, signal: 'SIGSEGV' }, false],
  ['a program that was never started', tcp(80), 2, 2, { failure: { step: 'execve', error: 'ENOENT' } }, false],
])('the benefit of the doubt with %s: %#', (_, address, length, now, exit, expected) => {
  setQueue(now);
  expect(isExcused(on(address), { length }, { ...WELL, ...exit })).toBe(expected);
});

test('a datagram that was left unread leaves no doubt', () => {
  setQueue(head('a'));
  expect(isExcused(on(udp(69)), { head: head('a') }, WELL)).toBe(false);
});

test.each<[Queue, SocketAddress, string]>([
  [{ head: head('a') }, udp(69), '10.0.0.5:1069'],
  [{ head: head('a', 'fe80::1%eth0') }, udp(69, '::'), '[fe80::1%eth0]:1069'],
  [{ head: head('a', '@client', 0) }, UNIX_DATAGRAM, 'unix:@client'],
  [{ length: 5 }, tcp(80), '-'],
])('who has sent it: %#', (queue, address, expected) => {
  expect(senderOf(queue, on(address))).toBe(expected);
});
