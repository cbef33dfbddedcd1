import { parseDuration } from '../../../src/service/duration';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['10m', 600_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['0s', 0],
])('reads %s as %d milliseconds', (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each(['', '5', 's', '5 s', '-5s', '1.5s', '5sec', '1h30m', '5S', '99999999999s', '5constructor'])(
  'does not take %j for a duration',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);
