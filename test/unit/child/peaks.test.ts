/**
 * The most memory that a child had, by what each of its threads said when it ended.
 */
import { Peaks } from '../../../src/child/peaks';
import { addon } from '../../../src/native/addon';

jest.mock('../../../src/native/addon', () => ({
  addon: { exitFields: 3, openExits: jest.fn(() => 1031), readExits: jest.fn(() => 0), close: jest.fn() },
}));

const kernel = jest.mocked(addon);
let watched: number;
let lost: string[];
let peaks: Peaks;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  [watched, lost] = [0, []];
  peaks = new Peaks({
    pollSet: { watch: () => (watched += 1), unwatch: () => (watched -= 1) },
    onLost: (why) => lost.push(why),
  });
});

afterEach(() => jest.useRealTimers());

/** What is there at the next look. */
function say(...records: readonly (readonly [pid: number, thread: number, kib: number])[]): void {
  kernel.readExits.mockImplementationOnce((_, into) => {
    into.set(records.flat());
    return records.length;
  });
}

test('is there when the child is reaped, and given once', () => {
  peaks.begin();
  peaks.expect(7);
  say([6, 6, 100], [7, 7, 2048]);
  expect([peaks.take(7), peaks.take(7)]).toEqual([2048 * 1024, null]);
});

test('is the largest that any thread had seen when it ended, whichever ends last', () => {
  peaks.begin();
  peaks.expect(7);
  say([7, 8, 3000], [7, 7, 1000], [7, 9, 2000]);
  expect(peaks.take(7)).toBe(3000 * 1024);
});

test('is not known of a child whose message was lost, and nothing is read for one that nobody asks about', () => {
  peaks.begin();
  peaks.expect(7);
  expect([peaks.take(7), peaks.take(8)]).toEqual([null, null]);
  expect(kernel.readExits).toHaveBeenCalledTimes(1);
});

test('a program with very many threads that end is not listened to for ever', () => {
  peaks.begin();
  peaks.expect(7);
  for (let batches = 0; batches < 400; batches += 1) {
    kernel.readExits.mockImplementation((_, into) => {
      into.set(Array.from({ length: 64 }, (__, at) => [7, 1000 + at, 5]).flat());
      return 64;
    });
    peaks.expect(8);
    peaks.take(8);
  }
  expect([lost, watched]).toEqual([['the kernel tells too much that is about others'], 0]);
});

test('the right to ask may be missing', () => {
  kernel.openExits.mockImplementationOnce(() => {
    throw Object.assign(new Error('taskstats: EPERM'), { code: 'EPERM', syscall: 'taskstats' });
  });
  expect([peaks.begin(), peaks.why]).toEqual(['taskstats: EPERM', 'taskstats: EPERM']);
  peaks.expect(7);
  expect(peaks.take(7)).toBeNull();
  expect([peaks.begin(), watched]).toEqual([null, 1]);
});
