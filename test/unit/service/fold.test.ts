import { fold, widthOf, type Paint } from '../../../src/service/fold';

const loud: Paint = (text) => `<${text}>`;

test.each<[text: string, columns: number, folded: string]>([
  ['', 10, ''],
  ['one two three', 13, 'one two three'],
  ['one two three', 12, 'one two\n  three'],
  ['one two three', 7, 'one two\n  three'],
  ['one two three', 6, 'one\n  two\n  three'],
  ['one two three', 1, 'one\n  two\n  three'],
  ['one two three', 0, 'one two three'],
  ['overlong two', 5, 'overlong\n  two'],
  ['one  two', 20, 'one  two'],
  ['  one two', 6, '  one\n  two'],
  ['日本 日本', 9, '日本 日本'],
  ['日本 日本', 8, '日本\n  日本'],
])('%j in %i columns', (text, columns, folded) => {
  expect(fold([{ text }], columns, 2)).toBe(folded);
});

test('pieces stand behind each other, and each is painted in one go on each of its lines', () => {
  const pieces = [{ text: 'at:' }, { text: 'so it goes', paint: loud }, { text: 'on' }];
  expect(fold(pieces, 0, 2)).toBe('at: <so it goes> on');
  expect(fold(pieces, 9, 2)).toBe('at: <so it>\n  <goes> on');
});

test('no line is wider than it may be, and nothing is lost', () => {
  const text = Array.from({ length: 60 }, (_, at) => 'x'.repeat((at * 7) % 11)).join(' ');
  for (let columns = 14; columns < 100; columns += 1) {
    const folded = fold([{ text }], columns, 3);
    expect(Math.max(...folded.split('\n').map(widthOf))).toBeLessThanOrEqual(columns);
    expect(folded.replace(/\s+/g, '')).toBe(text.replace(/\s+/g, ''));
  }
});
