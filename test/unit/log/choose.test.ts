import { formatChooser } from '../../../src/log/choose';
import { formatJson, formatText } from '../../../src/log/format';

const SCREEN = { columns: (): number => 80, isColored: false };

test('without a terminal events are JSON lines, or the text that was asked for', () => {
  const choose = formatChooser(null, false);
  expect([choose('auto'), choose('json'), choose('text')]).toEqual([formatJson, formatJson, formatText]);
});

test('on a terminal they are in columns, unless the configuration says JSON', () => {
  const choose = formatChooser(SCREEN, false);
  expect(choose('json')).toBe(formatJson);
  expect(choose('auto')({ event: 'lost', count: 1 }, new Date(2026, 0, 2))).toMatch(/^-- Fri 2026-01-02 --\n/);
});

test('a reload that changes nothing goes on as before, without a second date', () => {
  const choose = formatChooser(SCREEN, false);
  const now = new Date(2026, 0, 2, 9, 8, 7);
  choose('auto')({ event: 'lost', count: 1 }, now);
  expect(choose('text')({ event: 'lost', count: 2 }, now)).toBe('09:08:07 lost        count=2\n');
});

test('an operator who asked for JSON lines gets them, whatever the file says', () => {
  const choose = formatChooser(SCREEN, true);
  expect([choose('auto'), choose('json'), choose('text')]).toEqual([formatJson, formatJson, formatJson]);
});
