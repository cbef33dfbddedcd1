import type { CgroupFacts, Machine } from '../../../../src/config/machine/machine';
import { load, problemsOf, processOf, service, withKeys } from '../loading';
import { DELEGATED } from '../pretend-machine';

function cgroup(keys: string) {
  return processOf(service(withKeys(keys))).cgroup;
}

test('without the key, or with nothing in it, a child stays in the group of stdiod', () => {
  expect(cgroup('umask: "022"')).toBeNull();
  expect(cgroup('cgroup: {}')).toBeNull();
  expect(cgroup('cgroup: {per_connection: {}}')).toBeNull();
});

test('limits of the service and of each connection are what the kernel is to be told, with the controllers that it takes', () => {
  const keys = `cgroup: {memory_max: 1G, cpu_quota: 150%, io_weight: 50, per_connection: {memory_high: 64M, processes_max: 20}}`;
  expect(cgroup(keys)).toEqual({
    name: 'a',
    controllers: ['cpu', 'io', 'memory', 'pids'],
    whole: [
      { file: 'memory.max', value: '1073741824' },
      { file: 'cpu.max', value: '150000 100000' },
      { file: 'io.weight', value: 'default 50' },
    ],
    each: [
      { file: 'memory.high', value: '67108864' },
      { file: 'pids.max', value: '20' },
    ],
  });
});

test('limits of the defaults lie under those of the service, key by key', () => {
  const text = `defaults: {cgroup: {memory_max: 1G, per_connection: {processes_max: 9}}}\n${withKeys('cgroup: {memory_max: 2G}')}`;
  expect(processOf(service(text)).cgroup).toMatchObject({
    whole: [{ file: 'memory.max', value: '2147483648' }],
    each: [{ file: 'pids.max', value: '9' }],
  });
});

test('what is printed says the same again', () => {
  const keys = 'cgroup: {memory_max: 1G, per_connection: {processes_max: 20}}';
  expect(load(withKeys(keys)).effective.services['a']).toMatchObject({
    cgroup: { memory_max: '1G', per_connection: { processes_max: 20 } },
  });
  expect(load(withKeys('cgroup: {}')).effective.services['a']).not.toHaveProperty('cgroup');
});

test.each([
  ['cgroup: {memory: 1G}', /unknown key "memory" \(the keys here are memory_max, memory_high,/],
  [
    'cgroup: {memory_max: lots}',
    /cgroup.memory_max: "lots" is not a limit \(write bytes, or a number and K, M or G: 256M\)/,
  ],
  ['cgroup: {processes_max: 0}', /not a limit \(write a number: 100\)/],
  ['cgroup: {cpu_quota: 2}', /not a limit \(write percent of one CPU: 50%, or 200% for two CPUs\)/],
  ['cgroup: {cpu_weight: 20000}', /not a limit \(write a number from 1 to 10000; 100 is what others have\)/],
  ['cgroup: {per_connection: {io_weight: idle}}', /cgroup.per_connection.io_weight: "idle" is not a limit/],
  ['wait: true\ncgroup: {per_connection: {processes_max: 3}}', /"per_connection" has no meaning where one child has/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('defaults for each connection are nothing to a service that waits', () => {
  const text = `defaults: {cgroup: {memory_max: 1G, per_connection: {processes_max: 9}}}\n${withKeys('wait: true')}`;
  expect(processOf(service(text)).cgroup).toMatchObject({ controllers: ['memory'], each: [] });
});

function withFacts(facts: Partial<CgroupFacts> | null): Partial<Machine> {
  return { cgroup: () => facts && { ...DELEGATED, ...facts } };
}

const FOLDER = DELEGATED.folder;

test.each<[string, Partial<CgroupFacts> | null, string]>([
  ['no cgroup v2', null, 'this machine has no cgroup v2 (mount it: mount -t cgroup2 none /sys/fs/cgroup)'],
  [
    'a unit without Delegate=yes',
    { isDelegated: false },
    `systemd has not delegated stdiod's control group, ${FOLDER} (write Delegate=yes into the unit of stdiod`,
  ],
  [
    'a group of somebody else',
    { isWritable: false },
    `stdiod may not change its control group, ${FOLDER} (write Delegate=yes into the unit of stdiod`,
  ],
  [
    'controllers that were not delegated',
    { controllers: ['pids'] },
    `stdiod's control group, ${FOLDER}, has no controller cpu, memory (write Delegate=yes into the unit of stdiod`,
  ],
  [
    'controllers of cgroup v1',
    { controllers: ['pids'], known: ['cpu', 'pids'] },
    'has no controller cpu, memory (boot with systemd.unified_cgroup_hierarchy=1',
  ],
  ['company', { strangers: [17, 18] }, `is not alone in its control group, ${FOLDER}: process 17 and 1 more (give`],
  ['an old kernel', { hasKill: false }, 'this kernel has no cgroup.kill (it takes Linux 5.14 or newer)'],
  [
    'a kernel without the file',
    { hasFile: (name) => name !== 'cpu.max' },
    'this kernel has no cpu.max (remove the key',
  ],
])('a service that asks for limits cannot be had with %s', (_, facts, problem) => {
  const keys = 'cgroup: {memory_max: 1G, per_connection: {cpu_quota: 10%}}';
  expect(problemsOf(withKeys(keys), withFacts(facts))).toEqual([expect.stringContaining(problem)]);
});

test('a service that asks for none has no use for any of it', () => {
  expect(problemsOf(withKeys('umask: "022"'), withFacts(null))).toEqual([]);
});
