/** Token buckets as single numbers, by a clock that the test has. */
import { FULL, PeerBuckets, takeToken, waitForToken } from '../../../src/admission/rate';
import { parseRate, type Rate } from '../../../src/service/rate';

const START = 5_000_000;

/** When these come, who is admitted. */
function admitted(rate: Rate, times: readonly number[]): number[] {
  let full: number = FULL;
  return times.filter((time) => {
    const after = takeToken(rate, full, START + time);
    full = after ?? full;
    return after !== null;
  });
}

test.each([
  ['50/s', { count: 50, perMs: 1000 }],
  ['300/m', { count: 300, perMs: 60_000 }],
  ['1000/10s', { count: 1000, perMs: 10_000 }],
  ['1/1d', { count: 1, perMs: 86_400_000 }],
  ['5/24h', { count: 5, perMs: 86_400_000 }],
  ['5/25h', undefined],
  ['0/s', undefined],
  ['5', undefined],
  ['5/x', undefined],
  ['1/0s', undefined],
])('%s', (text, rate) => {
  expect(parseRate(text)).toEqual(rate);
});

test('so many at once, then one in each part of the time', () => {
  const rate = { count: 4, perMs: 1000 };
  expect(admitted(rate, [0, 0, 0, 0, 0, 249, 250, 251, 499, 500])).toEqual([0, 0, 0, 0, 250, 500]);
});

test('a bucket holds no more than it holds', () => {
  const rate = { count: 2, perMs: 1000 };
  expect(admitted(rate, [0, 0, 1_000_000, 1_000_000, 1_000_000])).toEqual([0, 0, 1_000_000, 1_000_000]);
});

test('in no stretch of time are there more than the rate and what one bucket holds', () => {
  for (const count of [1, 3, 7, 50]) {
    const times = Array.from({ length: 20_000 }, (_, at) => at);
    const inAll = admitted({ count, perMs: 1000 }, times).length;
    expect(inAll).toBeGreaterThanOrEqual(count * 20 - 1);
    expect(inAll).toBeLessThanOrEqual(count * 20 + count);
  }
});

test('says how long until there is a token, and then there is one', () => {
  for (const rate of [
    { count: 1, perMs: 1000 },
    { count: 3, perMs: 1000 },
    { count: 7, perMs: 60_000 },
  ]) {
    let full: number = FULL;
    for (let at = 0; at < rate.count; at += 1) full = takeToken(rate, full, START) ?? Number.NaN;
    const wait = waitForToken(rate, full, START);
    expect(takeToken(rate, full, START + wait - 1)).toBeNull();
    expect(takeToken(rate, full, START + wait)).not.toBeNull();
  }
});

describe('the buckets of peers', () => {
  test('are forgotten when they are full again, a few for each that comes', () => {
    const buckets = new PeerBuckets();
    for (let at = 0; at < 100; at += 1) buckets.set(`peer ${at}`, START + 10, START);
    expect(buckets.size).toBe(100);
    for (let at = 0; at < 100; at += 1) buckets.set('new', START + 50, START + 20);
    expect(buckets.size).toBe(1);
  });

  test('are never more than so many, whoever comes', () => {
    const buckets = new PeerBuckets(50);
    for (let at = 0; at < 100_000; at += 1) buckets.set(`random ${at}`, START + 1000, START);
    expect(buckets.size).toBe(50);
  });

  test('of one who takes all the time outlives a sweep of others', () => {
    const buckets = new PeerBuckets(50);
    buckets.set('greedy', START + 60_000, START);
    for (let at = 0; at < 1000; at += 1) buckets.set(`random ${at}`, START + 1000, START);
    expect(buckets.get('greedy')).toBe(START + 60_000);
    expect(buckets.get('random 0')).toBe(FULL);
  });
});
