import { constants } from 'node:os';
import {
  asSystemError,
  describeSystemError,
  errnoName,
  isSystemError,
  signalName,
} from '../../../src/native/system-error';

function systemError(code: string): Error & { code: string; syscall: string } {
  return Object.assign(new Error(code), { code, syscall: 'bind' });
}

test.each([
  [1, 'EPERM'],
  [2, 'ENOENT'],
  [8, 'ENOEXEC'],
  [11, 'EAGAIN'],
  [13, 'EACCES'],
  [24, 'EMFILE'],
  [40, 'ELOOP'],
  [98, 'EADDRINUSE'],
])('errno %i is %s', (number, name) => {
  expect(errnoName(number)).toBe(name);
});

test('an errno that nobody knows is told by number', () => {
  expect(errnoName(4711)).toBe('E4711');
});

test('every errno that Node knows has a name that means that number', () => {
  const numbers = constants.errno as Record<string, number>;
  for (const number of Object.values(numbers)) expect(numbers[errnoName(number)]).toBe(number);
});

test.each([
  [1, 'SIGHUP'],
  [6, 'SIGABRT'],
  [9, 'SIGKILL'],
  [11, 'SIGSEGV'],
  [15, 'SIGTERM'],
  [17, 'SIGCHLD'],
  [29, 'SIGIO'],
  [31, 'SIGSYS'],
  [32, 'SIG32'],
  [34, 'SIGRTMIN'],
  [35, 'SIGRTMIN+1'],
  [64, 'SIGRTMIN+30'],
])('signal %i is %s', (number, name) => {
  expect(signalName(number)).toBe(name);
});

test('all 64 signals have names of their own', () => {
  expect(new Set(Array.from({ length: 64 }, (_, index) => signalName(index + 1))).size).toBe(64);
});

test('a failed system call is described by its name and its meaning', () => {
  expect(describeSystemError(systemError('EADDRINUSE'))).toBe('EADDRINUSE address already in use');
  expect(describeSystemError(systemError('EWHATEVER'))).toBe('EWHATEVER');
});

test('tells a failed system call from a fault of ours, which it throws on', () => {
  expect(isSystemError(systemError('EIO'))).toBe(true);
  expect(asSystemError(systemError('EIO')).code).toBe('EIO');
  for (const fault of [new TypeError('ours'), 'EIO', null]) {
    expect(isSystemError(fault)).toBe(false);
    expect(() => asSystemError(fault)).toThrow();
  }
});
