/**
 * How long a service may keep the main thread with looks at its sockets.
 */
import { addon } from '../../../../src/native/addon';
import type { Hosted, HostedListener } from '../../../../src/server/hosted/hosted';
import { Looks } from '../../../../src/server/lend/looks';
import { hostedService, PretendServer, systemError, udp } from '../pretended';

jest.mock('../../../../src/native/addon', () => ({ addon: { isUsable: jest.fn() } }));

const kernel = jest.mocked(addon);
const LATE_MS = 500;

let looks: Looks;
let owner: Hosted;
let listener: HostedListener;
let sibling: HostedListener;
let stranger: HostedListener;

beforeEach(() => {
  jest.useFakeTimers();
  kernel.isUsable.mockReset();
  const server = new PretendServer();
  [looks, owner] = [new Looks(), hostedService({ wait: true })];
  [listener, sibling] = [server.listen(owner, udp(1)), server.listen(owner, udp(2))];
  stranger = server.listen(hostedService({ name: 'other', wait: true }), udp(3));
});

afterEach(() => jest.useRealTimers());

/** A look that takes so long. */
function look(tookMs: number, at = listener): void {
  looks.ask(at, () => {
    jest.advanceTimersByTime(tookMs);
  });
}

/** One that finds the socket locked. */
function findLocked(at = listener): void {
  const question = (): never => {
    jest.advanceTimersByTime(LATE_MS);
    throw systemError('ETIMEDOUT', 'lock_sock');
  };
  expect(() => looks.ask(at, question)).toThrow('ETIMEDOUT');
}

test('ordinary looks cost nothing, however many there are', () => {
  for (let count = 0; count < 1000; count += 1) look(4);
  expect(looks.waitMs(listener)).toBe(0);
});

test('after a second of slow ones a service waits, and nobody else does', () => {
  look(LATE_MS);
  expect(looks.waitMs(listener)).toBe(0);
  for (let count = 0; count < 3; count += 1) look(LATE_MS);
  expect([looks.waitMs(listener) > 5000, looks.waitMs(sibling) > 5000, looks.waitMs(stranger)]).toEqual([
    true,
    true,
    0,
  ]);
});

test('in the long run slow looks are a tenth of the time at the most', () => {
  let spentMs = 0;
  const startMs = performance.now();
  while (performance.now() - startMs < 600_000) {
    jest.advanceTimersByTime(looks.waitMs(listener) + 1);
    look(LATE_MS);
    spentMs += LATE_MS;
  }
  expect(spentMs).toBeLessThan(70_000);
});

test('to ask whether a socket is still locked counts as well, whoever lets go of it in between', () => {
  findLocked();
  kernel.isUsable.mockImplementation(() => {
    jest.advanceTimersByTime(LATE_MS);
    throw systemError('ETIMEDOUT', 'lock_sock');
  });
  const startMs = performance.now();
  while (performance.now() - startMs < 600_000) jest.advanceTimersByTime(looks.waitMs(sibling) + 1);
  expect(kernel.isUsable.mock.calls.length * LATE_MS).toBeLessThan(70_000);
});

describe('while one socket is locked', () => {
  beforeEach(() => {
    findLocked();
    kernel.isUsable.mockImplementation(() => {
      throw systemError('ETIMEDOUT', 'lock_sock');
    });
  });

  test('the others of its service are left alone, and it is asked for again', () => {
    expect([looks.waitMs(listener), looks.waitMs(sibling) > 0, looks.waitMs(stranger)]).toEqual([0, true, 0]);
  });

  test('they are looked at again once it is free, in whatever state', () => {
    kernel.isUsable.mockReturnValue(false);
    expect(looks.waitMs(sibling)).toBe(0);
  });

  test.each([
    ['closed', (): unknown => (listener.phase = 'closed')],
    ['another service’s', (): unknown => (listener.owner = stranger.owner)],
    ['looked at', (): unknown => looks.ask(listener, () => true)],
  ])('they are looked at again once it is %s', (_what, change) => {
    change();
    expect(looks.waitMs(sibling)).toBe(0);
  });
});

test('what could not be looked at is owed a look, until there was one', () => {
  expect([looks.postpone(listener), looks.postpone(listener), looks.isUnseen(listener)]).toEqual([true, false, true]);
  looks.onSeen(listener);
  expect([looks.isUnseen(listener), looks.isUnseen(sibling), looks.postpone(listener)]).toEqual([false, false, true]);
});
