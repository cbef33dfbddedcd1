/**
 * How much is collected when, on a pretended kernel that has whatever dead a test wants and a price for each look.
 */
import { Children } from '../../../src/child/children';
import { Reaper } from '../../../src/child/reaper';
import { addon, type Fd, type NativePlan, type Pid } from '../../../src/native/addon';

interface Kernel {
  /** Who has died, in the order of the list of all children. */
  dead: number[];
  /** Those of them whom SIGCHLD has named. */
  announced: number[];
  /** What a walk takes to find one, or nobody. */
  lookMs: number;
  nowMs: number;
}

const kernel: Kernel = { dead: [], announced: [], lookMs: 0, nowMs: 0 };
let wake: () => void = () => undefined;

function write(records: Float64Array, pids: readonly number[]): number {
  for (const [index, pid] of pids.entries()) records.set([pid, 0, 0, 0, 0, 0, 0], index * 15);
  kernel.dead = kernel.dead.filter((pid) => !pids.includes(pid));
  return pids.length;
}

function walk(records: Float64Array, limitMs: number): number {
  const found: number[] = [];
  const endMs = kernel.nowMs + limitMs;
  do {
    kernel.nowMs += kernel.lookMs;
    found.push(...kernel.dead.slice(found.length, found.length + 1));
  } while (found.length < Math.min(kernel.dead.length, records.length / 15) && kernel.nowMs < endMs);
  return write(records, found);
}

jest.mock('../../../src/native/addon', () => ({
  REAP_FIELDS: 15,
  addon: {
    stepNames: ['none'],
    openReaper: (onExit: () => void) => (wake = onExit),
    spawn: jest.fn(),
    reap: jest.fn(),
    reapWalk: jest.fn(),
    reapThese: jest.fn(),
  },
}));

jest.mock('../../../src/child/oom-scores', () => ({ OomScores: jest.fn(() => ({ add: () => undefined })) }));

const native = jest.mocked(addon);
const CHEAP_MS = 0.001;
const STRANGER = 100_000;

let children: Children<string>;
let reaper: Reaper<string>;
let exits: number[];
/** What is done about an exit. */
let onExit: () => void;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['performance'] });
  jest.spyOn(performance, 'now').mockImplementation(() => kernel.nowMs);
  Object.assign(kernel, { dead: [], announced: [], lookMs: CHEAP_MS, nowMs: 0 });
  [exits, onExit] = [[], () => undefined];
  const cgroups = { take: jest.fn(), add: jest.fn(), putBack: jest.fn(), kill: jest.fn(), settle: () => undefined };
  children = new Children({ add: jest.fn() }, { open: jest.fn(), add: jest.fn() }, cgroups);
  reaper = new Reaper(children, { settle: () => undefined }, { settle: () => undefined }, cgroups);
  jest.clearAllMocks();
  native.reap.mockImplementation((records) => write(records, kernel.announced.splice(0, records.length / 15)));
  native.reapWalk.mockImplementation(walk);
  native.reapThese.mockImplementation((records, pids) =>
    write(
      records,
      kernel.dead.filter((pid) => pids.includes(pid)),
    ),
  );
});

afterEach(() => jest.restoreAllMocks());

/** @returns their pids: 1 to `count` */
function spawnMany(count: number): number[] {
  const pids = Array.from({ length: count }, (_, index) => index + 1);
  const errand = {
    onExit: ({ pid }: { pid: Pid }) => {
      exits.push(pid);
      onExit();
    },
  };
  for (const pid of pids) {
    native.spawn.mockReturnValueOnce(pid as Pid);
    children.spawn(
      {
        native: {} as NativePlan,
        varying: null,
        channel: null,
        hasOomScore: false,
        pipe: null,
        cgroup: null,
        stopSignal: 'SIGTERM',
        onlyUid: null,
      },
      { fd: 5 as Fd, facts: '' },
      '',
      errand,
    );
  }
  return pids;
}

function strangers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => STRANGER + index);
}

/** One turn of the event loop: what is asked for in it belongs to the next. */
function turn(): void {
  const before = native.reap.mock.calls.length + native.reapWalk.mock.calls.length;
  jest.advanceTimersToNextTimer();
  expect(native.reap.mock.calls.length + native.reapWalk.mock.calls.length).toBeGreaterThan(before);
}

/** How many walks there are from a signal to so long after it. */
function walksAfter(waitMs: number): number {
  wake();
  native.reapWalk.mockClear();
  jest.advanceTimersByTime(waitMs);
  return native.reapWalk.mock.calls.length;
}

test('exits that come together are told one by one', () => {
  const pids = spawnMany(500);
  kernel.dead = [...pids];
  wake();
  jest.runAllTimers();
  expect(exits).toEqual(pids);
  expect(children.count).toBe(0);
});

test('thousands that end at once are collected turn by turn, without a pause between them', () => {
  const pids = spawnMany(5000);
  kernel.dead = [...pids];
  wake();
  // The pretended clock takes 1 ms for a turn.
  jest.advanceTimersByTime(20 + 5000 / 100);
  expect(exits).toHaveLength(5000);
  expect(native.reapWalk.mock.calls.length).toBeGreaterThanOrEqual(5000 / 256);
});

test('strangers who die faster than they are collected get no more than their share of a turn', () => {
  spawnMany(1);
  native.reap.mockImplementation((records) => records.length / 15);
  native.reapWalk.mockImplementation((records) => records.length / 15);
  wake();
  for (let turns = 1; turns <= 20; turns += 1) {
    turn();
    expect(native.reap.mock.calls.length).toBeLessThanOrEqual(turns);
    expect(native.reapWalk.mock.calls.length).toBeLessThanOrEqual(2 * turns);
  }
});

test('among many children one walk over all follows the announced ones, however many signals came', () => {
  spawnMany(100);
  for (let times = 0; times < 10; times += 1) wake();
  jest.runAllTimers();
  expect(native.reap).toHaveBeenCalledTimes(1);
  expect(native.reapWalk).toHaveBeenCalledTimes(1);
});

test('the next walk waits for fifty times what looking took, and not for what was done about those who were found', () => {
  spawnMany(100);
  onExit = () => (kernel.nowMs += 10_000);
  expect(walksAfter(19)).toBe(0);
  kernel.dead = [50];
  expect(walksAfter(1)).toBe(1);
  kernel.lookMs = 1;
  expect(walksAfter(20)).toBe(1);
  expect([walksAfter(49), walksAfter(1)]).toEqual([0, 1]);
});

test('where strangers make a walk dear, few children of ours do not make it cheap', () => {
  spawnMany(1);
  kernel.lookMs = 1;
  expect(walksAfter(0)).toBe(1);
  expect([walksAfter(49), walksAfter(1)]).toEqual([0, 1]);
  kernel.lookMs = CHEAP_MS;
  expect(walksAfter(50)).toBe(1);
  expect(walksAfter(0)).toBe(1);
});

test('ours are found by number where the walk meets strangers only', () => {
  const pids = spawnMany(300);
  kernel.dead = [...strangers(50), ...pids];
  kernel.lookMs = 1;
  wake();
  jest.advanceTimersByTime(25);
  expect([...exits].sort((one, other) => one - other)).toEqual(pids);
});

test('before the server leaves, every child of ours who has died is collected, and no stranger', () => {
  spawnMany(1000);
  kernel.dead = [...strangers(50), 5, 500, 1000];
  reaper.reapAll();
  expect([children.count, exits, jest.getTimerCount()]).toEqual([997, [5, 500, 1000], 0]);
  expect(kernel.dead).toEqual(strangers(50));
});
