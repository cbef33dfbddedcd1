/**
 * What is told of a connection whose child was reaped: once, as soon as it is known, and never much later.
 */
import { ConnectionAccounts, type ConnectionAccount } from '../../../src/child/connection-accounts';
import { addon, type Fd } from '../../../src/native/addon';
import type { Watcher } from '../../../src/native/poll-set';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    closingFields: 5,
    canAskSockets: jest.fn(() => true),
    openClosings: jest.fn(() => 1030),
    readClosings: jest.fn(() => 0),
    close: jest.fn(),
  },
}));

const kernel = jest.mocked(addon);
const MANY = 64;

let watchers: Map<Fd, Watcher>;
let lost: string[];
let told: [cookie: number, account: ConnectionAccount | undefined][];
let accounts: ConnectionAccounts;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  kernel.canAskSockets.mockReturnValue(true);
  kernel.readClosings.mockReturnValue(0);
  [watchers, lost, told] = [new Map(), [], []];
  accounts = new ConnectionAccounts({
    pollSet: { watch: (fd, watcher) => watchers.set(fd, watcher), unwatch: (fd) => watchers.delete(fd) },
    onLost: (why, pauseMs) => lost.push(`${why}, ${pauseMs}`),
  });
});

afterEach(() => jest.useRealTimers());

/** The kernel has this to say. */
function say(...records: readonly (readonly number[])[]): void {
  kernel.readClosings.mockImplementationOnce((_, into) => {
    into.set(records.flat());
    return records.length;
  });
}

function hear(...records: readonly (readonly number[])[]): void {
  say(...records);
  for (const watcher of watchers.values()) watcher.onReadable();
}

function settle(cookie: number): void {
  accounts.settle(cookie, (account) => told.push([cookie, account]));
}

function serve(...cookies: readonly number[]): void {
  accounts.begin();
  for (const cookie of cookies) accounts.expect(cookie);
}

const RECORD = [7, 1000, 5000, 45, 2];
const ACCOUNT = { in: 1000, out: 5000, rttSeconds: 0.000045, retransmits: 2 };

test('an account that has come before the end of its child is told with it', () => {
  serve(7);
  hear(RECORD);
  settle(7);
  expect(told).toEqual([[7, ACCOUNT]]);
});

test('one that comes after it is told when it comes, and once', () => {
  serve(7);
  settle(7);
  expect(told).toEqual([]);
  hear(RECORD);
  hear(RECORD);
  jest.advanceTimersByTime(10_000);
  expect(told).toEqual([[7, ACCOUNT]]);
});

test('one that does not come is waited for a second, each for its own', () => {
  serve(7, 8);
  settle(7);
  jest.advanceTimersByTime(600);
  settle(8);
  jest.advanceTimersByTime(399);
  expect(told).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(told).toEqual([[7, undefined]]);
  jest.advanceTimersByTime(600);
  expect(told).toEqual([
    [7, undefined],
    [8, undefined],
  ]);
});

test('one that says nothing of value, and one of which no round trip was measured', () => {
  serve(7, 8);
  hear([7, -1, -1, -1, -1], [8, 0, 0, 0, 0]);
  settle(7);
  settle(8);
  expect(told).toEqual([
    [7, undefined],
    [8, { in: 0, out: 0, rttSeconds: null, retransmits: 0 }],
  ]);
});

test('of very many that are waited for the oldest is told as it is', () => {
  const cookies = Array.from({ length: 4097 }, (_, at) => at + 1);
  serve(...cookies);
  for (const cookie of cookies) settle(cookie);
  expect(told).toEqual([[1, undefined]]);
});

test('at a stop all are told at once, with what has come by then', () => {
  serve(7, 8);
  settle(7);
  settle(8);
  say(RECORD);
  accounts.flush();
  jest.advanceTimersByTime(10_000);
  expect(told).toEqual([
    [7, ACCOUNT],
    [8, undefined],
  ]);
});

test('nothing is waited for where the kernel does not tell, or nobody asks any more', () => {
  kernel.canAskSockets.mockReturnValue(false);
  expect(accounts.begin()).toContain('tells nothing of TCP');
  accounts.expect(7);
  settle(7);
  kernel.canAskSockets.mockReturnValue(true);
  expect(accounts.begin()).toBeNull();
  accounts.expect(8);
  accounts.end();
  settle(8);
  expect(told).toEqual([
    [7, undefined],
    [8, undefined],
  ]);
  expect([watchers.size, kernel.close.mock.calls]).toEqual([0, [[1030]]]);
});

describe('where too much is about others', () => {
  /** More than the kernel may say of others at once. */
  function flood(): void {
    const foreign = Array.from({ length: MANY }, () => [99, 0, 0, 0, 0]);
    for (let batches = 0; batches < 400 && watchers.size > 0; batches += 1) hear(...foreign);
  }

  test('nobody listens, which is told once, and nothing is waited for', () => {
    serve(7, 8);
    settle(7);
    flood();
    expect(lost).toEqual(['the kernel tells too much that is about others, 60000']);
    settle(8);
    expect([told.map(([cookie]) => cookie), watchers.size]).toEqual([[7, 8], 0]);
    expect([accounts.begin(), accounts.why]).toEqual([accounts.why, expect.stringContaining('too much')]);
    expect(kernel.openClosings).toHaveBeenCalledTimes(1);
  });

  test('it is tried again after a pause, which grows', () => {
    serve();
    flood();
    jest.advanceTimersByTime(60_000);
    expect([watchers.size, accounts.why]).toEqual([1, null]);
    flood();
    expect(lost[1]).toContain('120000');
    kernel.openClosings.mockImplementationOnce(() => {
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE', syscall: 'netlink' });
    });
    jest.advanceTimersByTime(120_000);
    expect(watchers.size).toBe(0);
    jest.advanceTimersByTime(120_000);
    expect([watchers.size, accounts.why]).toEqual([1, null]);
  });

  test('those whose connections are ours are no such', () => {
    const cookies = Array.from({ length: 30_000 }, (_, at) => at + 1);
    serve(...cookies);
    for (let at = 0; at < cookies.length; at += 50)
      hear(...cookies.slice(at, at + 50).map((cookie) => [cookie, 0, 0, 0, 0]));
    expect([lost, watchers.size]).toEqual([[], 1]);
  });
});
