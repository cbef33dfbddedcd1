/**
 * What children say, on a pretended socket that holds whatever a test wants said.
 */
import { Reports } from '../../../src/child/reports';
import type { Fd, Report } from '../../../src/native/addon';
import type { Watcher } from '../../../src/native/poll-set';

const said: Report[] = [];
let wake: () => void = () => undefined;

jest.mock('../../../src/native/addon', () => ({
  addon: {
    openReports: () => ({ reader: 1024, writer: 17 }),
    readReport: () => said.shift() ?? null,
  },
}));

let lines: [speaker: string, line: string][];
let reports: Reports<string>;

beforeEach(() => {
  said.length = 0;
  lines = [];
  const pollSet = {
    watch: (_: Fd, { onReadable }: Watcher): void => {
      wake = onReadable;
    },
  };
  reports = new Reports(pollSet, (speaker, line) => lines.push([speaker, line]));
});

function say(pid: number, ...texts: string[]): void {
  said.push(...texts.map((text) => ({ pid, text })));
  wake();
}

test('the writing end is what children get', () => {
  expect(reports.writer).toBe(17);
});

test('a line is told with the child that wrote it, without its line end', () => {
  reports.add(11, 'one');
  reports.add(12, 'two');
  say(12, 'hello\n');
  say(11, 'a\nb\n', 'c');
  expect(lines).toEqual([
    ['two', 'hello'],
    ['one', 'a\nb'],
    ['one', 'c'],
  ]);
});

test('nobody is heard but children that were given the socket, and they as long as they live', () => {
  reports.add(11, 'one');
  reports.settle(11);
  say(11, 'late\n');
  say(4711, 'forged\n', '\x001 2');
  expect(lines).toEqual([]);
  expect(reports.settle(4711)).toBeUndefined();
});

test('an account is told when the child has ended, and to nobody before', () => {
  reports.add(11, 'one');
  reports.add(12, 'two');
  say(11, '\x006 7');
  expect(lines).toEqual([]);
  expect(reports.settle(12)).toBeUndefined();
  expect(reports.settle(11)).toEqual({ in: 6, out: 7 });
});

test('what lies in the socket when the child ends is heard first', () => {
  reports.add(11, 'one');
  said.push({ pid: 11, text: 'last words\n' }, { pid: 11, text: '\x001 999999999999999' });
  expect(reports.settle(11)).toEqual({ in: 1, out: 999_999_999_999_999 });
  expect(lines).toEqual([['one', 'last words']]);
});

test.each(['\0', '\x001', '\x001 2 3', '\x00-1 2', '\x001 2\n', '\x00one two', `\x00${'1'.repeat(16)} 2`])(
  '%j is neither an account nor a line',
  (text) => {
    reports.add(11, 'one');
    say(11, text);
    expect([lines, reports.settle(11)]).toEqual([[], undefined]);
  },
);

test('one who says much does not keep the others waiting: the rest is read in the next turn', () => {
  reports.add(11, 'one');
  say(11, ...Array<string>(200).fill('again\n'));
  expect(lines.length).toBeLessThan(200);
  while (said.length > 0) wake();
  expect(lines).toHaveLength(200);
});
