/**
 * Which failed spawns are worth another try.
 */
import { classifySpawnError, describeSpawnFailure } from '../../../src/child/spawn-errors';

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

test('a limit below the lowest number that a lent descriptor may have is one on open files', () => {
  const failed = Object.assign(new Error('fcntl: EINVAL'), { code: 'EINVAL', syscall: 'fcntl' });
  expect(describeSpawnFailure(failed)).toEqual({ step: 'fcntl', error: 'EINVAL', shortage: 'open-files' });
});
