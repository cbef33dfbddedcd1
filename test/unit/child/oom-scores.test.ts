/**
 * Who is told to be ended before us when memory runs out, and when.
 */
import { OomScores } from '../../../src/child/oom-scores';
import { addon, type Pid } from '../../../src/native/addon';

jest.mock('../../../src/native/addon', () => ({ addon: { setOomScore: jest.fn() } }));

let running: Map<number, { readonly pid: Pid; readonly startedMs: number }>;
let scores: OomScores;

beforeEach(() => {
  jest.useFakeTimers();
  jest.mocked(addon).setOomScore.mockReset().mockReturnValue(true);
  running = new Map();
  scores = new OomScores((pid) => running.get(pid));
});

afterEach(() => jest.useRealTimers());

function start(count: number, first = 1): void {
  for (let number = first; number < first + count; number += 1) {
    const pid = number as Pid;
    running.set(pid, { pid, startedMs: performance.now() });
    scores.add(pid);
  }
}

function told(): number[] {
  return jest.mocked(addon).setOomScore.mock.calls.map(([pid]) => pid);
}

test('those who have lived for one to two seconds are told of, and nobody twice', () => {
  start(1);
  jest.advanceTimersByTime(1000);
  start(1, 2);
  expect(told()).toEqual([]);
  jest.advanceTimersByTime(1000);
  expect(told()).toEqual([1]);
  jest.advanceTimersByTime(10_000);
  expect([told(), jest.getTimerCount()]).toEqual([[1, 2], 0]);
});

test('those who have left are not', () => {
  start(3);
  running.delete(2);
  jest.advanceTimersByTime(2000);
  expect(told()).toEqual([1, 3]);
});

test('a younger one with the pid of one that has ended is told of at its own time', () => {
  start(1);
  jest.advanceTimersByTime(1500);
  start(1);
  jest.advanceTimersByTime(500);
  expect(told()).toEqual([]);
  jest.advanceTimersByTime(1000);
  expect(told()).toEqual([1]);
});

test('many at once hold up nobody: they are looked at in batches', () => {
  start(1000);
  jest.advanceTimersByTime(2000);
  expect(told()).toHaveLength(64);
  jest.advanceTimersByTime(1000);
  expect(told()).toHaveLength(1000);
});

test('while no more can wait for theirs nobody is passed over, and who comes and goes is forgotten', () => {
  start(2);
  jest.mocked(addon).setOomScore.mockReturnValue(false);
  jest.advanceTimersByTime(3000);
  for (let pid = 100; pid < 5000; pid += 1) {
    start(1, pid);
    running.delete(pid);
    if (pid % 100 === 0) jest.advanceTimersByTime(20);
  }
  expect(new Set(told())).toEqual(new Set([1]));
  jest.mocked(addon).setOomScore.mockClear().mockReturnValue(true);
  jest.advanceTimersByTime(10_000);
  expect([told(), jest.getTimerCount()]).toEqual([[1, 2], 0]);
});
