/**
 * Who is told to be ended before us when memory runs out, and when.
 */
import { OomScores } from '../../../src/child/oom-scores';
import { addon, type Pid } from '../../../src/native/addon';

jest.mock('../../../src/native/addon', () => ({ addon: { setOomScore: jest.fn() } }));

interface Child {
  readonly pid: Pid;
  readonly startedMs: number;
}

let gone: Set<number>;
let scores: OomScores<Child>;

beforeEach(() => {
  jest.useFakeTimers();
  jest.mocked(addon).setOomScore.mockClear();
  gone = new Set();
  scores = new OomScores(({ pid }) => !gone.has(pid));
});

afterEach(() => jest.useRealTimers());

function start(count: number, first = 1): void {
  for (let pid = first; pid < first + count; pid += 1) scores.add({ pid: pid as Pid, startedMs: performance.now() });
}

function told(): number[] {
  return jest.mocked(addon).setOomScore.mock.calls.map(([pid]) => pid);
}

test('those who have lived for a second are told of, and nobody twice', () => {
  start(1);
  jest.advanceTimersByTime(600);
  start(1, 2);
  jest.advanceTimersByTime(399);
  expect(told()).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(told()).toEqual([1]);
  jest.advanceTimersByTime(10_000);
  expect([told(), jest.getTimerCount()]).toEqual([[1, 2], 0]);
});

test('those who have left are not', () => {
  start(3);
  gone.add(2);
  jest.advanceTimersByTime(1000);
  expect(told()).toEqual([1, 3]);
});

test('many at once hold up nobody: they are told of in batches', () => {
  start(1000);
  jest.advanceTimersByTime(1000);
  expect(told()).toHaveLength(64);
  jest.advanceTimersByTime(1000);
  expect(told()).toHaveLength(1000);
});
