import { load, problemsOf, processOf, service, withKeys } from '../loading';
import type { Machine } from '../../../../src/config/machine/machine';

const [NOFILE, CORE, NPROC, AS] = [7, 4, 6, 9];

function resources(keys: string) {
  return processOf(service(withKeys(keys))).resources;
}

test('every child has a soft limit of 1024 open files and writes no core, unless the file says otherwise', () => {
  const core = { resource: CORE, soft: 0, hard: -2 };
  const files = { resource: NOFILE, soft: 1024, hard: -2 };
  expect(resources('umask: "022"').limits).toEqual([files, core]);
  expect(resources('rlimits: {open_files: 64}').limits).toEqual([core, { resource: NOFILE, soft: 64, hard: 64 }]);
  expect(resources('rlimits: {core_size: unlimited}').limits).toEqual([files, { resource: CORE, soft: -1, hard: -1 }]);
});

test('limits of the defaults lie under those of the service, key by key', () => {
  const text = `defaults: {rlimits: {processes: 20, address_space: 1G}}\n${withKeys('rlimits: {processes: "5:9"}')}`;
  expect(processOf(service(text)).resources.limits).toEqual(
    expect.arrayContaining([
      { resource: NPROC, soft: 5, hard: 9 },
      { resource: AS, soft: 2 ** 30, hard: 2 ** 30 },
    ]),
  );
});

test('the place beside others is as the file says, and else our own', () => {
  const none = { nice: null, cpus: null, scheduling: null, ioPriority: null };
  expect(resources('umask: "022"')).toMatchObject(none);
  expect(resources('nice: 5\ncpu_affinity: 0-1\nscheduling: batch\nio_priority: idle')).toMatchObject({
    nice: 5,
    cpus: [0, 1],
    scheduling: { policy: 3, priority: 0 },
    ioPriority: 24576,
  });
  expect(resources('cpu_affinity: 1')).toMatchObject({ cpus: [1] });
});

test('what is printed says the same again', () => {
  const { effective } = load(withKeys('rlimits: {cpu_time: "30s:1m"}\nnice: 3\ncpu_affinity: 0,1'));
  expect(effective.services['a']).toMatchObject({ rlimits: { cpu_time: '30s:1m' }, nice: 3, cpu_affinity: '0,1' });
});

test.each([
  ['rlimits: {proceses: 3}', /unknown key "proceses"; did you mean "processes"/],
  ['rlimits: {processes: 20K}', /not a limit \(write a number: 100/],
  ['rlimits: {address_space: lots}', /not a limit \(write bytes, or a number and K, M or G/],
  ['rlimits: {processes: "9:5"}', /the soft limit is above the hard one/],
  ['nice: 20', /20/],
  ['oom_score_adjust: 1001', /1000/],
  ['cpu_affinity: all', /not a list of CPUs \(write numbers and ranges: "0-3,8"\)/],
  ['scheduling: fast', /not a scheduling policy \(write other, batch/],
  ['io_priority: best-effort', /not an I\/O priority \(write idle, best-effort:0/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

const WEAK: Partial<Machine> = {
  hasCapability: () => false,
  highestLimit: () => 100,
  lowestNice: () => 0,
};

test.each([
  ['rlimits: {processes: 101}', 'stdiod may give 100 at most, its own hard limit'],
  ['rlimits: {processes: "5:unlimited"}', 'stdiod may give 100 at most, its own hard limit'],
  ['nice: -1', 'stdiod may give 0 at the lowest'],
  ['scheduling: fifo:1', 'real time takes a right that stdiod lacks'],
  ['io_priority: realtime:1', 'real time takes a right that stdiod lacks'],
  ['oom_score_adjust: -1', 'stdiod may give 0 at the lowest, its own'],
  ['cpu_affinity: 7', 'this machine has none of these CPUs for stdiod; it has 0,1'],
])('what stdiod has no right to give is told: %s', (keys, problem) => {
  expect(problemsOf(withKeys(keys), WEAK)).toEqual([expect.stringContaining(problem)]);
});

test('a score that nobody could be given is told', () => {
  const problem = 'stdiod does not find its children in /proc';
  expect(problemsOf(withKeys('oom_score_adjust: 500'), { oomScore: () => null })).toEqual([
    expect.stringContaining(problem),
  ]);
});

test('what stdiod may give passes', () => {
  const keys =
    'rlimits: {processes: 100}\nnice: 0\noom_score_adjust: 0\nscheduling: idle\nio_priority: best-effort:0\ncpu_affinity: 1,7';
  expect(problemsOf(withKeys(keys), WEAK)).toEqual([]);
});
