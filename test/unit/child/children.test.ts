/**
 * The book of live children, on a pretended addon that has whatever exits a test wants.
 */
import { Children, type Child, type Exit } from '../../../src/child/children';
import type { Plan } from '../../../src/child/plan';
import type { Traffic } from '../../../src/child/reports';
import { addon, type Fd } from '../../../src/native/addon';

type Record7 = [pid: number, status: number, signal: number, cpu: number, rss: number, step: number, errno: number];

const dead: Record7[] = [];
let wake: () => void = () => undefined;

jest.mock('../../../src/native/addon', () => ({
  REAP_FIELDS: 7,
  addon: {
    stepNames: ['none', 'close_range', 'setsid'],
    openReaper: (onExit: () => void) => (wake = onExit),
    spawn: jest.fn(),
    reap: jest.fn((records: Float64Array) => {
      const batch = dead.splice(0, records.length / 7);
      for (const [index, record] of batch.entries()) records.set(record, index * 7);
      return batch.length;
    }),
  },
}));

const PLAN = { native: {}, varying: null, isReporting: false } as unknown as Plan;
const FD = 5 as Fd;
const FILLED = { facts: '' };
const ABOUT = { owner: 'echo', connection: 'c1', peer: '::1', startedMs: 0, onEnd: null };
const GIB = 1024 * 1024;

const add = jest.fn();
const settle = jest.fn<Traffic | undefined, [number]>();
let exits: [Child<string>, Exit][];
let batches: number;
let children: Children<string>;

beforeEach(() => {
  [exits, batches] = [[], 0];
  dead.length = 0;
  children = new Children(
    (child, exit) => exits.push([child, exit]),
    () => (batches += 1),
    { add, settle },
  );
});

function spawn(pid: number): Child<string> {
  jest.mocked(addon).spawn.mockReturnValueOnce(pid as Child<string>['pid']);
  return children.spawn(PLAN, FD, FILLED, { ...ABOUT, connection: `c${pid}` });
}

function die(...records: Record7[]): void {
  dead.push(...records);
  wake();
}

test('an exit is told once, with the child that it ends', () => {
  const child = spawn(11);
  spawn(12);
  die([11, 7, 0, 0.25, 4 * GIB, 0, 0]);
  expect(exits).toEqual([
    [child, { status: 7, signal: null, cpuSeconds: 0.25, rssBytes: 4 * GIB * 1024, failure: null }],
  ]);
  expect(children.count).toBe(1);
});

test('what a plan has filled in for the child goes to the addon with its descriptor', () => {
  jest.mocked(addon).spawn.mockReturnValueOnce(11 as Child<string>['pid']);
  children.spawn(PLAN, FD, { facts: 'A=1\0', words: 'cat\0', directory: '/srv' }, ABOUT);
  expect(jest.mocked(addon).spawn).toHaveBeenLastCalledWith(PLAN.native, {
    fd: FD,
    facts: 'A=1\0',
    words: 'cat\0',
    directory: '/srv',
  });
});

test('who lent the child its socket is known by the child when it ends', () => {
  const onEnd = jest.fn();
  jest.mocked(addon).spawn.mockReturnValueOnce(11 as Child<string>['pid']);
  const child = children.spawn(PLAN, FD, FILLED, { ...ABOUT, onEnd });
  die([11, 0, 0, 0, 0, 0, 0]);
  expect(exits[0]?.[0]).toBe(child);
  expect(child.onEnd).toBe(onEnd);
});

test('a child that reports is heard from its start, and its account is part of its exit', () => {
  jest.mocked(addon).spawn.mockReturnValueOnce(11 as Child<string>['pid']);
  const child = children.spawn({ ...PLAN, isReporting: true }, FD, FILLED, ABOUT);
  expect(add.mock.calls).toEqual([[11, child]]);
  settle.mockReturnValueOnce({ in: 6, out: 7 });
  die([11, 0, 0, 0, 0, 0, 0]);
  expect(exits[0]?.[1].traffic).toEqual({ in: 6, out: 7 });
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

test('exits that come together are told one by one and end in one batch', () => {
  const pids = Array.from({ length: 200 }, (_, index) => index + 1);
  for (const pid of pids) spawn(pid);
  jest.useFakeTimers();
  die(...pids.map((pid): Record7 => [pid, 0, 0, 0, 0, 0, 0]));
  expect(exits.map(([{ pid }]) => pid)).toEqual(pids);
  expect([children.count, batches]).toEqual([0, 1]);
  jest.useRealTimers();
});

test('among many children one walk over all follows the announced ones, however many signals came', () => {
  jest.useFakeTimers();
  for (let pid = 1; pid <= 100; pid += 1) spawn(pid);
  jest.mocked(addon).reap.mockClear();
  for (let times = 0; times < 10; times += 1) wake();
  jest.runAllTimers();
  const walks = jest.mocked(addon).reap.mock.calls.filter(([, everyone]) => everyone);
  expect(jest.mocked(addon).reap).toHaveBeenCalledTimes(11);
  expect(walks).toHaveLength(1);
  jest.useRealTimers();
});

describe('a signal', () => {
  const kill = jest.spyOn(process, 'kill').mockReturnValue(true);

  beforeEach(() => kill.mockClear());

  test('goes to the whole process group of the child', () => {
    children.signal(spawn(11), 'SIGTERM');
    expect(kill.mock.calls).toEqual([[-11, 'SIGTERM']]);
  });

  test('goes to the child itself while it has no group yet', () => {
    kill.mockImplementationOnce(() => {
      throw new Error('ESRCH');
    });
    children.signal(spawn(11), 'SIGTERM');
    expect(kill.mock.calls).toEqual([
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
  jest.mocked(addon).spawn.mockImplementationOnce(() => {
    throw new Error('EAGAIN');
  });
  expect(() => children.spawn(PLAN, FD, FILLED, ABOUT)).toThrow('EAGAIN');
  expect(children.count).toBe(0);
});
