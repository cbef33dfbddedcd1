/**
 * Filters, run by a machine of our own: what the kernel would answer to each call.
 */
import { filterOf, type Filter } from '../../../src/child/filter';
import {
  CALL_GROUPS,
  groupAbout,
  callsOf,
  numbersOf,
  type Architecture,
  type CallGroup,
} from '../../../src/service/system-calls';

const AUDIT: Record<Architecture, number> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
const I386 = 0x4000_0003;
const X32 = 0x4000_0000;
const CLONE: Record<Architecture, number> = { x64: 56, arm64: 220 };
const [CLONE3, CLONE_NEWUSER, CLONE_NEWNS, CLONE_THREAD] = [435, 0x1000_0000, 0x2_0000, 0x1_0000];
const [ALLOW, EPERM, ENOSYS, KILL] = [0x7fff_0000, 0x5_0001, 0x5_0026, 0x8000_0000];
const BOTH: Architecture[] = ['x64', 'arm64'];
const OPENAT2 = 437;

type Arguments = readonly number[];
type Call = readonly [
  numbers: readonly [x64: number, arm64: number | null],
  denied: readonly Arguments[],
  made: readonly Arguments[],
];

const [READ, WRITE, EXECUTE, SET_UID, SET_GID] = [1, 2, 4, 0o4000, 0o2000];
const [O_CREAT, O_TMPFILE] = [0o101, 0o20200002];
const withMode = (numbers: Call[0], before: Arguments): Call => [
  numbers,
  [SET_UID, SET_GID, 0o6755].map((mode) => [...before, mode]),
  [[...before, 0o1777]],
];
/** Without O_CREAT what stands in the place of the mode is anything. */
const opened = (numbers: Call[0], before: Arguments): Call => [
  numbers,
  [O_CREAT, O_TMPFILE].map((flags) => [...before, flags, 0o4755]),
  [
    [...before, O_CREAT, 0o755],
    [...before, O_TMPFILE, 0o600],
    [...before, 0o2, 0o7777],
  ],
];

const PARTLY: [CallGroup, readonly Call[]][] = [
  [
    'code',
    [
      [
        [9, 222],
        [
          [0, 1, READ | WRITE | EXECUTE],
          [0, 1, WRITE | EXECUTE],
        ],
        [[0, 1, READ | WRITE], [0, 1, READ | EXECUTE], []],
      ],
      [[10, 226], [[0, 1, READ | EXECUTE]], [[0, 1, READ | WRITE]]],
      [[329, 288], [[0, 1, EXECUTE]], [[0, 1, READ]]],
      [[30, 196], [[1, 0, 0o100000]], [[1, 0, 0o10000]]],
    ],
  ],
  [
    'personality',
    [
      [
        [135, 92],
        [[0x40000], [8]],
        [[0], [0xffff_ffff]],
      ],
    ],
  ],
  [
    'set_id_files',
    [
      withMode([90, 52], [0]),
      withMode([268, 53], [0, 0]),
      withMode([452, 452], [0, 0]),
      withMode([83, null], [0]),
      withMode([258, 34], [0, 0]),
      withMode([259, 33], [0, 0]),
      opened([2, null], [0]),
      opened([257, 56], [0, 0]),
    ],
  ],
];

const COMPARE: Readonly<Record<number, (a: number, k: number) => boolean>> = {
  0x15: (a, k) => a === k,
  0x35: (a, k) => a >= k,
  0x45: (a, k) => (a & k) !== 0,
};

/** As Documentation/networking/filter.rst has it. */
function answer(filter: Filter, audit: number, number: number, ...args: readonly number[]): number {
  const given = Object.fromEntries(Array.from({ length: 6 }, (_, at) => [16 + 8 * at, args[at] ?? 0]));
  const data: Readonly<Record<number, number>> = { 0: number, 4: audit, ...given };
  let accumulator = 0;
  for (let at = 0; at < filter.length / 2; at += 1) {
    const [word = 0, k = 0] = filter.slice(2 * at, 2 * at + 2);
    const [code, yes, no] = [word & 0xffff, (word >>> 16) & 0xff, word >>> 24];
    const holds = COMPARE[code];
    if (code === 0x06) return k;
    if (holds === undefined) accumulator = data[k] ?? NaN;
    else at += holds(accumulator, k) ? yes : no;
  }
  throw new Error('the filter has no end');
}

describe.each(BOTH)('on %s', (architecture) => {
  const all = filterOf(CALL_GROUPS, architecture);
  const audit = AUDIT[architecture];

  test('a group denies its own calls and no others', () => {
    for (const group of CALL_GROUPS) {
      const { numbers } = numbersOf([group], architecture);
      const filter = filterOf([group], architecture);
      const denied = Array.from({ length: 470 }, (_, number) => number).filter(
        (number) => answer(filter, audit, number) === EPERM,
      );
      expect(denied).toEqual(numbers);
    }
  });

  test.each(PARTLY)('%s is denied with some arguments and made with others', (group, calls) => {
    const filter = filterOf([group], architecture);
    for (const [numbers, denied, made] of calls) {
      const number = numbers[architecture === 'x64' ? 0 : 1];
      if (number === null) continue;
      for (const args of denied)
        expect([number, args, answer(filter, audit, number, ...args)]).toEqual([number, args, EPERM]);
      for (const args of made)
        expect([number, args, answer(filter, audit, number, ...args)]).toEqual([number, args, ALLOW]);
      expect(answer(all, audit, number, ...(denied[0] ?? []))).toBe(EPERM);
    }
  });

  test('a call whose arguments no filter can read is not there', () => {
    expect(answer(filterOf(['set_id_files'], architecture), audit, OPENAT2)).toBe(ENOSYS);
    expect(answer(all, audit, OPENAT2)).toBe(ENOSYS);
    expect(answer(filterOf(['clock'], architecture), audit, OPENAT2)).toBe(ALLOW);
  });

  test('namespaces of its own are denied to clone as well, and clone3 is not there', () => {
    const clone = CLONE[architecture];
    expect(answer(all, audit, clone, CLONE_NEWUSER)).toBe(EPERM);
    expect(answer(all, audit, clone, CLONE_NEWNS | 17)).toBe(EPERM);
    expect(answer(all, audit, clone, CLONE_THREAD)).toBe(ALLOW);
    expect(answer(all, audit, CLONE3)).toBe(ENOSYS);
    const others = filterOf(['mounts'], architecture);
    expect(answer(others, audit, clone, CLONE_NEWNS)).toBe(ALLOW);
    expect(answer(others, audit, CLONE3)).toBe(ALLOW);
  });

  test('a call of another architecture ends the program', () => {
    const other = architecture === 'x64' ? AUDIT.arm64 : AUDIT.x64;
    for (const audit of [I386, other]) expect(answer(all, audit, 1)).toBe(KILL);
  });
});

test('x32 is denied whole', () => {
  const filter = filterOf(['clock'], 'x64');
  for (const number of [X32, X32 + 39, X32 + 159]) expect(answer(filter, AUDIT.x64, number)).toBe(EPERM);
});

test('what a child does between its filter and its program is in no group', () => {
  const needed = {
    x64: { rt_sigprocmask: 14, nanosleep: 35, getpid: 39, recvfrom: 45, shutdown: 48, execve: 59, exit_group: 231 },
    arm64: {
      exit_group: 94,
      nanosleep: 101,
      rt_sigprocmask: 135,
      getpid: 172,
      recvfrom: 207,
      shutdown: 210,
      execve: 221,
    },
  };
  for (const architecture of BOTH) {
    const { numbers } = numbersOf(CALL_GROUPS, architecture);
    expect(Object.values(needed[architecture]).filter((number) => numbers.includes(number))).toEqual([]);
  }
});

test('an architecture whose calls are not known has no filter that lets everything through', () => {
  expect(() => filterOf(['clock'], 'riscv64')).toThrow('no system calls are known of riscv64');
});

test('each group says what it is about, and no call is in two', () => {
  for (const group of CALL_GROUPS) expect(groupAbout(group)).not.toBe('');
  const names = CALL_GROUPS.flatMap(callsOf);
  expect(new Set(names).size).toBe(names.length);
});
