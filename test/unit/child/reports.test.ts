/**
 * What children say, on a pretended socket that holds whatever a test wants said.
 */
import type { Channel } from '../../../src/child/report-channel';
import { Reports } from '../../../src/child/reports';
import { addon, type Fd, type Report } from '../../../src/native/addon';
import type { Watcher } from '../../../src/native/poll-set';
import { systemError } from '../server/pretended';

/** What lies in each pair, by the number of its reader. */
const said = new Map<number, Report[]>();
const watchers = new Map<number, Watcher>();
const END: Report = { pid: 0, text: '', isEnd: true };

jest.mock('../../../src/native/addon', () => ({
  addon: { openReports: jest.fn(), readReport: jest.fn(), close: jest.fn() },
}));

const kernel = jest.mocked(addon);

let [lastReader, lastWriter] = [1023, 16];
let lines: [speaker: string, line: string][];
let lost: [uid: number | null, pauseMs: number][];
let reports: Reports<string>;
/** Of our own user. */
let channel: Channel;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  for (const map of [said, watchers]) map.clear();
  [lastReader, lastWriter, lines, lost] = [1023, 16, [], []];
  kernel.openReports.mockImplementation((old) => ({
    reader: (lastReader += 1) as Fd,
    writer: old ?? ((lastWriter += 1) as Fd),
  }));
  kernel.readReport.mockImplementation((reader) => said.get(reader)?.shift() ?? null);
  const pollSet = {
    watch: (fd: Fd, watcher: Watcher): void => void watchers.set(fd, watcher),
    unwatch: (fd: Fd): void => void watchers.delete(fd),
  };
  const onLine = (speaker: string, line: string): void => void lines.push([speaker, line]);
  const onLost = (uid: number | null, pauseMs: number): void => void lost.push([uid, pauseMs]);
  reports = new Reports({ pollSet, onLine, onLost });
  channel = reports.channelOf(null);
});

afterEach(() => jest.useRealTimers());

/** Into the newest pair. */
function put(pid: number, ...texts: string[]): void {
  const lying = said.get(lastReader) ?? [];
  said.set(lastReader, [...lying, ...texts.map((text) => ({ pid, text, isEnd: false }))]);
}

function say(pid: number, ...texts: string[]): void {
  put(pid, ...texts);
  wake();
}

function wake(reader = lastReader): void {
  watchers.get(reader)?.onReadable();
}

/** Somebody shuts the newest pair down. */
function end(): void {
  said.set(lastReader, [...(said.get(lastReader) ?? []), END]);
  wake();
}

test('children of a user share a pair, and those of another have their own', () => {
  expect(reports.channelOf(null)).toBe(channel);
  expect([channel.writer, reports.channelOf(33).writer, reports.channelOf(33).writer]).toEqual([17, 18, 18]);
});

test('a line is told with the child that wrote it, without its line end', () => {
  reports.add(11, 'one', channel);
  reports.add(12, 'two', channel);
  say(12, 'hello\n');
  say(11, 'a\nb\n', 'c');
  expect(lines).toEqual([
    ['two', 'hello'],
    ['one', 'a\nb'],
    ['one', 'c'],
  ]);
});

test('nobody is heard but children that were given the socket, and they as long as they live', () => {
  reports.add(11, 'one', channel);
  reports.settle(11);
  say(11, 'late\n');
  say(4711, 'forged\n', '\x001 2');
  expect(lines).toEqual([]);
  expect(reports.settle(4711)).toBeUndefined();
});

test('an account is told when the child has ended, and to nobody before', () => {
  reports.add(11, 'one', channel);
  reports.add(12, 'two', channel);
  say(11, '\x006 7');
  expect(lines).toEqual([]);
  expect(reports.settle(12)).toBeUndefined();
  expect(reports.settle(11)).toEqual({ in: 6, out: 7 });
});

test('what lies in the socket when the child ends is heard first', () => {
  reports.add(11, 'one', channel);
  put(11, 'last words\n', '\x001 999999999999999');
  expect(reports.settle(11)).toEqual({ in: 1, out: 999_999_999_999_999 });
  expect(lines).toEqual([['one', 'last words']]);
});

test.each(['\0', '\x001', '\x001 2 3', '\x00-1 2', '\x001 2\n', '\x00one two', `\x00${'1'.repeat(16)} 2`])(
  '%j is neither an account nor a line',
  (text) => {
    reports.add(11, 'one', channel);
    say(11, text);
    expect([lines, reports.settle(11)]).toEqual([[], undefined]);
  },
);

test('one who says much does not keep the others waiting: the rest is read in the next turn', () => {
  reports.add(11, 'one', channel);
  say(11, ...Array<string>(200).fill('again\n'));
  expect(lines.length).toBeLessThan(200);
  for (let turn = 0; turn < 200; turn += 1) wake();
  expect(lines).toHaveLength(200);
});

test('a pair that has ended is closed after its last words, and nobody looks at it again', () => {
  reports.add(11, 'one', channel);
  put(11, 'last words\n');
  end();
  expect([lines, watchers.size, kernel.close.mock.calls, lost]).toEqual([
    [['one', 'last words']],
    0,
    [[1024]],
    [[null, 100]],
  ]);
  expect(reports.settle(11)).toBeUndefined();
  expect(kernel.readReport).toHaveBeenCalledTimes(2);
});

test('after a pause another pair has its place, under the same number, and is heard', () => {
  end();
  jest.advanceTimersByTime(99);
  expect(watchers.size).toBe(0);
  jest.advanceTimersByTime(1);
  expect(kernel.openReports).toHaveBeenLastCalledWith(17);
  reports.add(11, 'one', reports.channelOf(null));
  say(11, 'again\n');
  expect([lines, channel.writer]).toEqual([[['one', 'again']], 17]);
});

test('a pair in which a thousand messages are nobody’s is ended, and the next one is heard', () => {
  put(4711, ...Array<string>(1000).fill('forged\n'));
  for (let turn = 0; turn < 20; turn += 1) wake();
  expect(lost).toEqual([]);
  say(4711, 'one more\n');
  expect([lost, watchers.size]).toEqual([[[null, 100]], 0]);
  jest.advanceTimersByTime(100);
  reports.add(11, 'one', channel);
  say(11, 'hello\n');
  expect(lines).toEqual([['one', 'hello']]);
});

test('a child of ours that never stops is not heard after ten thousand messages, and ends its pair', () => {
  reports.add(11, 'one', channel);
  put(11, ...Array<string>(11_001).fill('again\n'));
  for (let turn = 0; turn < 200; turn += 1) wake();
  expect([lines.length, lost]).toEqual([10_000, [[null, 100]]]);
});

test('a flood that is found when a child has died is one too', () => {
  reports.add(11, 'one', channel);
  put(4711, ...Array<string>(2000).fill('forged\n'));
  reports.settle(11);
  expect([lost, said.get(1024)?.length]).toEqual([[[null, 100]], 999]);
});

test('an end that is found when a child has died is one too', () => {
  reports.add(11, 'one', channel);
  put(11, '\x001 2');
  said.get(lastReader)?.push(END);
  expect([reports.settle(11), lost]).toEqual([{ in: 1, out: 2 }, [[null, 100]]]);
});

test('the pause grows to a minute while ends follow each other, and is short again after a calm time', () => {
  for (let time = 0; time < 12; time += 1) {
    end();
    jest.advanceTimersByTime(lost.at(-1)?.[1] ?? 0);
  }
  expect(lost.map(([, pauseMs]) => pauseMs)).toEqual([
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000,
  ]);
  jest.advanceTimersByTime(600_001);
  end();
  expect(lost.at(-1)).toEqual([null, 100]);
});

test('the end of one user’s pair concerns no other user', () => {
  const other = reports.channelOf(33);
  wake();
  said.set(1024, [END]);
  wake(1024);
  reports.add(12, 'two', other);
  say(12, 'still here\n');
  expect([lost, lines]).toEqual([[[null, 100]], [['two', 'still here']]]);
});

test('when there is no descriptor for a new pair, another time there is, and it is told once', () => {
  kernel.openReports.mockImplementationOnce(() => {
    throw systemError('EMFILE', 'socketpair');
  });
  end();
  jest.advanceTimersByTime(100);
  expect(watchers.size).toBe(0);
  jest.advanceTimersByTime(200);
  expect([watchers.size, lost]).toEqual([1, [[null, 100]]]);
});
