import { nearestWord } from '../../../src/service/nearest';

const KEYS = ['listen', 'exec', 'user', 'group', 'groups', 'max_connections'];

test.each([
  ['lisen', 'listen'],
  ['litsen', 'listen'],
  ['Listen', 'listen'],
  ['exce', 'exec'],
  ['grups', 'groups'],
  ['max-connections', 'max_connections'],
  ['maxconnections', 'max_connections'],
])('takes %s for %s', (word, expected) => {
  expect(nearestWord(word, KEYS)).toBe(expected);
});

test('makes no guess that is far off', () => {
  expect(nearestWord('frobnicate', KEYS)).toBeUndefined();
  expect(nearestWord('x', KEYS)).toBeUndefined();
});

test('does not spend time on words that are too long to be misspelt', () => {
  expect(nearestWord('x'.repeat(10_000_000), KEYS)).toBeUndefined();
});
