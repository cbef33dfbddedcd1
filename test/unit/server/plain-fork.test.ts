import { mustFork } from '../../../src/server/plain-fork';

test.each([
  ['5.10.0-28-amd64', 2, true, true],
  ['5.15.0-91-generic', 2, true, true],
  ['4.19.0', 1, true, true],
  ['5.16.0', 2, true, false],
  ['6.1.0-18-amd64', 2, true, false],
  ['10.2', 2, true, false],
  ['5.10.0', 0, true, false],
  ['5.10.0', 2, false, false],
])('on Linux %s with suid_dumpable=%d (root: %s) children are made by a plain fork: %s', (...facts) => {
  const [release, suidDumpable, isRoot, isExpected] = facts;
  expect(mustFork({ release, suidDumpable }, isRoot)).toBe(isExpected);
});
