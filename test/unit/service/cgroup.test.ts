import { CGROUP_LIMITS, hasMemoryLimit, parseCgroupLimit, type CgroupLimit } from '../../../src/service/cgroup';

test.each<[CgroupLimit, string | number, string | undefined]>([
  ['memory_max', '512M', '536870912'],
  ['memory_max', 4096, '4096'],
  ['memory_max', '64G', '68719476736'],
  ['memory_high', '1K', '1024'],
  ['memory_max', 0, undefined],
  ['memory_max', '50%', undefined],
  ['processes_max', 50, '50'],
  ['processes_max', '1K', undefined],
  ['processes_max', 0, undefined],
  ['cpu_quota', '50%', '50000 100000'],
  ['cpu_quota', '250%', '250000 100000'],
  ['cpu_quota', '1%', '1000 100000'],
  ['cpu_quota', '0%', undefined],
  ['cpu_quota', 50, undefined],
  ['cpu_quota', '-5%', undefined],
  ['cpu_weight', 10_000, '10000'],
  ['cpu_weight', 10_001, undefined],
  ['cpu_weight', 0, undefined],
  ['io_weight', '7', 'default 7'],
  ['io_weight', 'idle', undefined],
])('%s: %s is what the kernel takes as %s', (name, written, value) => {
  const kind = CGROUP_LIMITS[name];
  expect(parseCgroupLimit(kind, written)).toEqual(value === undefined ? undefined : { file: kind.file, value });
});

test('only with memory_max may the kernel end a process for want of memory', () => {
  const base = { name: 'a', controllers: ['memory'], whole: [], each: [] } as const;
  const [max, high] = [[{ file: 'memory.max', value: '4096' }], [{ file: 'memory.high', value: '4096' }]];
  expect(hasMemoryLimit({ ...base, whole: high, each: high })).toBe(false);
  expect(hasMemoryLimit({ ...base, whole: max })).toBe(true);
  expect(hasMemoryLimit({ ...base, each: max })).toBe(true);
});
