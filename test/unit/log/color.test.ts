import { isColored } from '../../../src/log/color';

type Environment = Readonly<Record<string, string>>;

test.each<[Environment, isTerminal: boolean, expected: boolean]>([
  [{}, true, true],
  [{}, false, false],
  [{ TERM: 'xterm' }, true, true],
  [{ TERM: 'dumb' }, true, false],
  [{ NO_COLOR: '1' }, true, false],
  [{ NO_COLOR: '' }, true, true],
  [{ FORCE_COLOR: '1' }, false, false],
  [{ FORCE_COLOR: '1', TERM: 'dumb' }, true, true],
  [{ FORCE_COLOR: '0' }, true, false],
  [{ FORCE_COLOR: 'false' }, true, false],
  [{ FORCE_COLOR: '' }, false, false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
])('%j on a terminal (%s): colours %s', (env, isTerminal, expected) => {
  expect(isColored(isTerminal, env)).toBe(expected);
});
