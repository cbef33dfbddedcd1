import { parseCpus, parseIoPriority, parseScheduling } from '../../../src/service/scheduling';

test.each([
  ['0', [0]],
  ['0-3,8', [0, 1, 2, 3, 8]],
  ['8,0, 2-1', undefined],
  ['2,0-2', [0, 1, 2]],
  ['8191', [8191]],
  ['8192', undefined],
  ['', undefined],
  ['1-', undefined],
  ['a', undefined],
])('CPUs %j', (text, cpus) => {
  expect(parseCpus(text)).toEqual(cpus);
});

test.each([
  ['other', { policy: 0, priority: 0 }],
  ['batch', { policy: 3, priority: 0 }],
  ['idle', { policy: 5, priority: 0 }],
  ['fifo:1', { policy: 1, priority: 1 }],
  ['round-robin:99', { policy: 2, priority: 99 }],
  ['fifo', undefined],
  ['fifo:0', undefined],
  ['fifo:100', undefined],
  ['batch:1', undefined],
  ['constructor', undefined],
])('scheduling %j', (text, scheduling) => {
  expect(parseScheduling(text)).toEqual(scheduling);
});

test.each([
  ['idle', 3 << 13],
  ['best-effort:0', 2 << 13],
  ['best-effort:7', (2 << 13) + 7],
  ['realtime:4', (1 << 13) + 4],
  ['best-effort', undefined],
  ['best-effort:8', undefined],
  ['idle:1', undefined],
])('I/O priority %j', (text, priority) => {
  expect(parseIoPriority(text)).toBe(priority);
});
