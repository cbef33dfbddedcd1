/**
 * Who may live for so long, on pretended children.
 */
import type { Child } from '../../../src/child/children';
import { Deadlines } from '../../../src/child/deadlines';
import type { Pid } from '../../../src/native/addon';

const LIMIT_MS = 10_000;

let alive: Set<Child<number>>;
/** The owners of those that were due together. */
let due: number[][];
let deadlines: Deadlines<number>;

beforeEach(() => {
  jest.useFakeTimers();
  [alive, due] = [new Set(), []];
  deadlines = new Deadlines({ has: (child): boolean => alive.has(child) }, LIMIT_MS, (children) => {
    due.push(children.map(({ owner }) => owner));
  });
});

afterEach(() => jest.useRealTimers());

function start(owner: number): Child<number> {
  const startedMs = Math.round(performance.now());
  const child = {
    pid: (owner + 1) as Pid,
    owner,
    startedMs,
    errand: { onExit: () => undefined },
    stopSignal: 'SIGTERM' as const,
    onlyUid: null,
  };
  alive.add(child);
  deadlines.add(child);
  return child;
}

test('a child is due when it is as old as it may be, and once', () => {
  start(1);
  jest.advanceTimersByTime(LIMIT_MS - 1);
  expect(due).toEqual([]);
  jest.advanceTimersByTime(2);
  expect(due).toEqual([[1]]);
  jest.runAllTimers();
  expect([due, jest.getTimerCount()]).toEqual([[[1]], 0]);
});

test('each has its own time, and there is one timer for all', () => {
  start(1);
  jest.advanceTimersByTime(3000);
  start(2);
  start(3);
  expect(jest.getTimerCount()).toBe(1);
  jest.advanceTimersByTime(LIMIT_MS - 3000 + 1);
  expect(due).toEqual([[1]]);
  jest.advanceTimersByTime(3000);
  expect(due).toEqual([[1], [2, 3]]);
});

test('nobody is told of who has ended by itself', () => {
  const [first] = [start(1), start(2)];
  alive.delete(first);
  jest.runAllTimers();
  expect(due).toEqual([[2]]);
});

test('thousands that are due together are told in parts', () => {
  for (let owner = 0; owner < 200; owner += 1) start(owner);
  jest.runAllTimers();
  expect(due.map(({ length }) => length)).toEqual([64, 64, 64, 8]);
  expect(new Set(due.flat()).size).toBe(200);
});

test('of those who come and go, no more are remembered than live, and a few', () => {
  const has = jest.fn((child: Child<number>) => alive.has(child));
  deadlines = new Deadlines({ has }, LIMIT_MS, () => undefined);
  for (let owner = 0; owner < 100_000; owner += 1) alive.delete(start(owner));
  // Each time that it tidies up, it looks at no more than it keeps.
  expect(has.mock.calls.length).toBeLessThanOrEqual(100_000);
  has.mockClear();
  jest.advanceTimersByTime(LIMIT_MS + 1);
  expect(has.mock.calls.length).toBeLessThanOrEqual(64);
});

test('the timer keeps nobody from leaving', () => {
  jest.useRealTimers();
  const setTimer = jest.spyOn(globalThis, 'setTimeout');
  start(1);
  const [timer] = setTimer.mock.results.map(({ value }) => value as NodeJS.Timeout);
  setTimer.mockRestore();
  expect(timer?.hasRef()).toBe(false);
  clearTimeout(timer);
});
