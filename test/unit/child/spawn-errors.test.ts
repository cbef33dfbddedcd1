/**
 * Which failed spawns are worth another try.
 */
import { classifySpawnError } from '../../../src/child/spawn-errors';

test.each([
  ['EAGAIN', 'processes'],
  ['ENOMEM', 'memory'],
  ['EMFILE', 'open-files'],
  ['ENFILE', 'open-files'],
  ['EPERM', null],
  ['EINVAL', null],
])('%s means a shortage of %s', (code, shortage) => {
  expect(classifySpawnError(code)).toBe(shortage);
});
