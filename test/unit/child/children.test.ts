/**
 * The book of live children, on a pretended addon that has whatever exits a test wants.
 */
import { Children, type Child, type Errand, type Exit } from '../../../src/child/children';
import { Reaper } from '../../../src/child/reaper';
import type { Cgroup } from '../../../src/service/cgroup';
import type { Plan } from '../../../src/child/plan';
import type { Traffic } from '../../../src/child/reports';
import { addon, type Fd, type NativePlan, type Pid } from '../../../src/native/addon';
import { NO_USAGE } from '../service/sample';

type Record7 = [pid: number, status: number, signal: number, cpu: number, rss: number, step: number, errno: number];

const dead: Record7[] = [];
let wake: () => void = () => undefined;

jest.mock('../../../src/native/addon', () => ({
  REAP_FIELDS: 15,
  addon: {
    stepNames: ['none', 'close_range', 'setsid'],
    openReaper: (onExit: () => void) => (wake = onExit),
    spawn: jest.fn(),
    reap: (records: Float64Array) => {
      const batch = dead.splice(0, records.length / 15);
      for (const [index, record] of batch.entries()) records.set(record, index * 15);
      return batch.length;
    },
    reapWalk: () => 0,
  },
}));

jest.mock('../../../src/child/oom-scores', () => ({ OomScores: jest.fn(() => ({ add: () => undefined })) }));

const PLAN: Plan = {
  native: {} as NativePlan,
  varying: null,
  channel: null,
  hasOomScore: false,
  pipe: null,
  cgroup: null,
  stopSignal: 'SIGTERM',
  onlyUid: null,
};
const START = { fd: 5 as Fd, facts: '' };
/** In the unit of a reap record, KiB. */
const GIB = 1024 * 1024;
const kernel = jest.mocked(addon);

const add = jest.fn();
const settle = jest.fn<Traffic | undefined, [number]>();
let exits: [Child<string>, Exit][];
let children: Children<string>;

const cgroups = { take: jest.fn(), add: jest.fn(), putBack: jest.fn(), kill: jest.fn(), settle: jest.fn() };

const errand: Errand<string> = { onExit: (child, exit) => exits.push([child, exit]) };

jest.useFakeTimers();

beforeEach(() => {
  exits = [];
  dead.length = 0;
  children = new Children({ add }, { open: jest.fn(), add: jest.fn() }, cgroups);
  new Reaper(children, { settle }, { settle: jest.fn() }, cgroups);
});

function spawn(pid: number, start = START, forErrand = errand): Child<string> {
  kernel.spawn.mockReturnValueOnce(pid as Pid);
  return children.spawn(PLAN, start, `owner of ${pid}`, forErrand);
}

function die(...records: Record7[]): void {
  dead.push(...records);
  wake();
  jest.advanceTimersByTime(0);
}

test('an exit is told once, with the child that it ends', () => {
  const child = spawn(11);
  spawn(12);
  die([11, 7, 0, 0.25, 4 * GIB, 0, 0]);
  expect(exits).toEqual([
    [
      child,
      {
        status: 7,
        signal: null,
        hasCore: false,
        usage: { ...NO_USAGE, userSeconds: 0.25 },
        rssBytes: 4 * GIB * 1024,
        failure: null,
        traffic: undefined,
        group: undefined,
      },
    ],
  ]);
  expect(children.count).toBe(1);
});

test('what a plan has filled in for the child goes to the addon with its descriptor', () => {
  const start = { ...START, facts: 'A=1\0', words: 'cat\0', directory: '/srv' };
  spawn(11, start);
  expect(kernel.spawn).toHaveBeenLastCalledWith(PLAN.native, start);
});

test('the exit of a child goes to the errand that it was started for, and to no other', () => {
  const other = { onExit: jest.fn() };
  const child = spawn(11, START, other);
  spawn(12);
  die([11, 0, 0, 0, 0, 0, 0]);
  expect(other.onExit).toHaveBeenCalledTimes(1);
  expect(other.onExit).toHaveBeenCalledWith(child, expect.objectContaining({ status: 0 }));
  expect([exits, child.owner, child.endReason]).toEqual([[], 'owner of 11', undefined]);
});

test('when its errand hears of it, the child is in the book no more', () => {
  let isKnown = true;
  const child = spawn(11, START, { onExit: (ended) => (isKnown = children.has(ended)) });
  expect(children.has(child)).toBe(true);
  die([11, 0, 0, 0, 0, 0, 0]);
  expect([isKnown, children.count, [...children]]).toEqual([false, 0, []]);
});

test('a child that reports is heard from its start, and its account is part of its exit', () => {
  kernel.spawn.mockReturnValueOnce(11 as Pid);
  const channel = { writer: 17 as Fd, read: jest.fn() };
  const child = children.spawn({ ...PLAN, channel }, START, 'redirect', errand);
  expect(add.mock.calls).toEqual([[11, child, channel]]);
  settle.mockReturnValueOnce({ in: 6, out: 7 });
  die([11, 0, 0, 0, 0, 0, 0]);
  expect(exits[0]?.[1].traffic).toEqual({ in: 6, out: 7 });
});

describe('with a control group', () => {
  const wish: Cgroup = { name: 'it', controllers: ['memory'], whole: [], each: [] };
  const grouped: Plan = { ...PLAN, cgroup: wish };
  const leaf = { folder: '/sys/fs/cgroup/it/1', fd: 1030 as Fd };

  beforeEach(() => {
    cgroups.take.mockReset().mockReturnValue(leaf);
    cgroups.add.mockReset();
  });

  test('a child is born in a leaf, and what the kernel counted there is part of its exit', () => {
    kernel.spawn.mockReturnValueOnce(11 as Pid);
    children.spawn(grouped, START, 'it', errand);
    expect(cgroups.take).toHaveBeenCalledWith(wish);
    expect(kernel.spawn).toHaveBeenLastCalledWith(PLAN.native, { ...START, group: leaf.fd });
    expect(cgroups.add).toHaveBeenCalledWith(11, leaf);
    cgroups.settle.mockReturnValueOnce({ cpuSeconds: 3, memoryBytes: 4096, hadOomKill: true });
    die([11, -1, 9, 0.25, 0, 0, 0]);
    expect(exits[0]?.[1]).toMatchObject({ group: { cpuSeconds: 3, hadOomKill: true } });
  });

  test('a leaf in which no child was born is put back, and what is to be told of it is thrown', () => {
    const [refused, told] = [new Error('clone3'), new Error('told')];
    kernel.spawn.mockImplementationOnce(() => {
      throw refused;
    });
    cgroups.putBack.mockReturnValueOnce(told);
    expect(() => children.spawn(grouped, START, 'it', errand)).toThrow(told);
    expect(cgroups.putBack).toHaveBeenCalledWith(leaf, refused);
    expect([children.count, cgroups.add.mock.calls]).toEqual([0, []]);
  });
});

test('a child without a control group costs no look at any', () => {
  cgroups.take.mockClear();
  cgroups.add.mockClear();
  spawn(11);
  expect([cgroups.take.mock.calls, cgroups.add.mock.calls]).toEqual([[], []]);
});

test('a child that does not report is not listened to', () => {
  add.mockClear();
  spawn(11);
  expect(add).not.toHaveBeenCalled();
});

test('a death by signal has the name of the signal and no status', () => {
  spawn(11);
  die([11, -1, 11, 0, 0, 0, 0]);
  expect(exits[0]?.[1]).toMatchObject({ status: null, signal: 'SIGSEGV' });
});

test('a program that was never started has the step and the error', () => {
  spawn(11);
  die([11, 127, 0, 0, 0, 2, 1]);
  expect(exits[0]?.[1]).toMatchObject({ failure: { step: 'setsid', error: 'EPERM' } });
});

test('a peak of memory that may be our own is not told', () => {
  spawn(11);
  die([11, 0, 0, 0, 1024, 0, 0]);
  expect(exits[0]?.[1].rssBytes).toBeNull();
});

test('an orphan that we inherited is collected without a word', () => {
  spawn(11);
  die([4711, 0, 0, 0, 0, 0, 0]);
  expect(exits).toEqual([]);
  expect(children.count).toBe(1);
});

test('one that has ended is not taken for another that has its number now', () => {
  const first = spawn(11);
  die([11, 0, 0, 0, 0, 0, 0]);
  const second = spawn(11);
  expect([children.has(first), children.has(second)]).toEqual([false, true]);
});

describe('a signal', () => {
  const kill = jest.spyOn(process, 'kill').mockReturnValue(true);

  beforeEach(() => kill.mockClear());

  test('goes to the whole process group of the child', () => {
    children.signal(spawn(11), 'SIGTERM');
    expect(kill.mock.calls[0]).toEqual([-11, 'SIGTERM']);
  });

  test('that asks it to leave reaches one that is stopped: it goes on', () => {
    const child = spawn(11);
    for (const name of ['SIGTERM', 'SIGKILL'] as const) children.signal(child, name);
    expect(kill.mock.calls).toEqual([
      [-11, 'SIGTERM'],
      [-11, 'SIGCONT'],
      [-11, 'SIGKILL'],
    ]);
  });

  test('that cannot be ignored reaches whoever has left the process group for as long as there is a control group', () => {
    cgroups.kill.mockReset();
    const child = spawn(11);
    children.signal(child, 'SIGTERM');
    expect(cgroups.kill).not.toHaveBeenCalled();
    children.signal(child, 'SIGKILL');
    expect(cgroups.kill).toHaveBeenCalledWith(11);
  });

  test('goes to the child itself while it has no group yet', () => {
    kill.mockImplementationOnce(() => {
      throw new Error('ESRCH');
    });
    children.signal(spawn(11), 'SIGTERM');
    expect(kill.mock.calls.slice(0, 2)).toEqual([
      [-11, 'SIGTERM'],
      [11, 'SIGTERM'],
    ]);
  });

  test('goes to nobody once the child is reaped, because its number may be a stranger', () => {
    const child = spawn(11);
    die([11, 0, 0, 0, 0, 0, 0]);
    children.signal(child, 'SIGKILL');
    expect(kill).not.toHaveBeenCalled();
  });
});

test('a spawn that the system refuses is thrown on and counts no child', () => {
  kernel.spawn.mockImplementationOnce(() => {
    throw new Error('EAGAIN');
  });
  expect(() => children.spawn(PLAN, START, 'echo', errand)).toThrow('EAGAIN');
  expect(children.count).toBe(0);
});
