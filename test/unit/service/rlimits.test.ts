import { RLIMITS, isAbove, parseRlimit } from '../../../src/service/rlimits';

const { address_space, cpu_time, processes, realtime_time } = RLIMITS;

test.each([
  [processes, 20, [20, 20]],
  [processes, '20:40', [20, 40]],
  [processes, '20:unlimited', [20, -1]],
  [processes, 'unlimited', [-1, -1]],
  [processes, 0, [0, 0]],
  [address_space, '512M', [536870912, 536870912]],
  [address_space, '64K:1G', [65536, 1073741824]],
  [address_space, 4096, [4096, 4096]],
  [cpu_time, '2m', [120, 120]],
  [cpu_time, '30:60s', [30, 60]],
  [realtime_time, '200ms', [200_000, 200_000]],
  [realtime_time, 1500, [1500, 1500]],
])('a limit on %j is read from %j: one value is soft and hard', (kind, written, [soft, hard]) => {
  expect(parseRlimit(kind, written)).toEqual({ resource: kind.resource, soft, hard });
});

test.each([
  [processes, '20K'],
  [processes, '-1'],
  [processes, '20:'],
  [processes, ':20'],
  [processes, '1:2:3'],
  [processes, ''],
  [processes, 1.5],
  [address_space, '30s'],
  [cpu_time, '1500ms'],
  [cpu_time, '64M'],
])('a limit on %j is not read from %j', (kind, written) => {
  expect(parseRlimit(kind, written)).toBeUndefined();
});

test('nothing is above no limit, and no limit is above every number', () => {
  expect([isAbove(5, -1), isAbove(-1, -1), isAbove(-1, 5), isAbove(5, 5), isAbove(6, 5)]).toEqual([
    false,
    false,
    true,
    false,
    true,
  ]);
});
