/**
 * What is due at some time each.
 */
import { DueQueue } from '../../../src/child/due-queue';

let told: string[][];
let unwanted: Set<string>;
let queue: DueQueue<string>;

beforeEach(() => {
  jest.useFakeTimers();
  [told, unwanted] = [[], new Set()];
  queue = new DueQueue(
    3,
    (item) => !unwanted.has(item),
    (items) => told.push([...items]),
  );
});

afterEach(() => jest.useRealTimers());

function add(item: string, inMs: number): void {
  queue.add(item, performance.now() + inMs);
}

test('each is told when it is due, in whatever order they came', () => {
  for (const ms of [50, 10, 40, 20, 30]) add(String(ms), ms);
  expect(jest.getTimerCount()).toBe(1);
  jest.advanceTimersByTime(9);
  expect(told).toEqual([]);
  for (let step = 0; step < 50; step += 1) jest.advanceTimersByTime(1);
  expect(told.flat()).toEqual(['10', '20', '30', '40', '50']);
  expect(jest.getTimerCount()).toBe(0);
});

test('one that is due sooner than all others is not late', () => {
  add('late', 1000);
  add('soon', 10);
  jest.advanceTimersByTime(11);
  expect(told).toEqual([['soon']]);
});

test('many that are due together are told in parts', () => {
  for (let number = 0; number < 8; number += 1) add(String(number), 10);
  jest.runAllTimers();
  expect(told.map(({ length }) => length)).toEqual([3, 3, 2]);
});

test('who is wanted no more is not told, and not kept', () => {
  for (let number = 0; number < 10_000; number += 1) {
    add(`gone ${number}`, 1000 + number);
    unwanted.add(`gone ${number}`);
  }
  add('there', 5000);
  jest.runAllTimers();
  expect(told).toEqual([['there']]);
});
