import { matchesPattern } from '../../../../src/config/text/file-pattern';

test.each([
  ['*.yaml', 'a.yaml', true],
  ['*.yaml', '.yaml', true],
  ['*.yaml', 'a.yml', false],
  ['a*b*c', 'aXbXbc', true],
  ['a*b*c', 'aXbXb', false],
  ['?', 'é', true],
  ['?', '😀', true],
  ['?', '', false],
  ['*', '', true],
  ['[a-c]x', 'bx', true],
  ['[a-c]x', 'dx', false],
  ['[!a-c]x', 'dx', true],
  ['[^a-c]x', 'ax', false],
  ['[]]', ']', true],
  ['[-a]', '-', true],
  ['[', '[', true],
  ['a.b', 'axb', false],
  ['(+', '(+', true],
])('%s and %s: %s', (pattern, name, expected) => {
  expect(matchesPattern(name, pattern)).toBe(expected);
});

test('takes no time over a pattern that would keep a regular expression busy', () => {
  expect(matchesPattern('a'.repeat(255), `${'*a'.repeat(60)}*x`)).toBe(false);
});
