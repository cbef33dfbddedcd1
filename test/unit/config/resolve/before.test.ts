/**
 * `before`: commands like `exec`, each by itself.
 */
import type { Before } from '../../../../src/service/service';
import { load, problemsOf, service, withKeys } from '../loading';

function before(keys: string): Before | null {
  const { run } = service(withKeys(keys));
  return run.kind === 'exec' ? run.before : null;
}

test('without it there is nothing to wait for', () => {
  expect(before('umask: "022"')).toBeNull();
  expect(before('before_timeout: 3s')).toBeNull();
});

test('each is a string or a list of words, and is found as a program is', () => {
  expect(before('before: ["tr a-z \'A Z\'", [/bin/cat, "%{peer.address}"]]')).toEqual({
    commands: [
      { path: '/usr/bin/tr', argv: ['/usr/bin/tr', 'a-z', 'A Z'] },
      { path: '/bin/cat', argv: ['/bin/cat', '%{peer.address}'] },
    ],
    timeoutMs: 5000,
  });
  expect(before('before: [cat]\nbefore_timeout: 300ms')?.timeoutMs).toBe(300);
});

test('what is printed says the same again', () => {
  const { effective } = load(withKeys('before: [cat, [tr, a, b]]\nbefore_timeout: 1m'));
  const printed = { before: [['/usr/bin/cat'], ['/usr/bin/tr', 'a', 'b']], before_timeout: '1m' };
  expect(effective.services['a']).toMatchObject(printed);
  expect(load(withKeys('umask: "022"')).effective.services['a']).not.toHaveProperty('before_timeout');
});

test.each([
  ['before: cat', /before: expected a list, got "cat" \(write a list of commands: \["PROGRAM ARGUMENT…"\]\)/],
  ['before: []', /before: the list is empty/],
  ['before: [""]', /before\[0\]: the command is empty/],
  ['before: [cat, "cat | tr a b"]', /before\[1\]: no shell reads the command: \| would be an ordinary character/],
  ['before: [cat, [cat, "50%"]]', /before\[1\]\[1\]: "%" begins a placeholder/],
  ['before: [[cat, "%{fd}"]]', /before\[0\]\[1\]: %\{fd\} has no meaning here/],
  ['before: ["%{service}"]', /before\[0\]: the program cannot depend on the connection/],
  ['before: [no-such-program]', /before\[0\]: there is no program "no-such-program"/],
  ['before: [./no-such-file]', /before\[0\]: .*no-such-file/],
  ['before: [cat]\nbefore_timeout: 0s', /before_timeout: "0s" is shorter than 1ms/],
  ['before: [cat]\nwait: true', /"before" has no meaning with "wait"/],
  ['before: [cat]\nlisten: 7/udp', /"before" has no meaning with "listen"/],
  ['before: [cat]\nbuiltin: tcpmux', /"before" has no meaning with "builtin" .*: tcpmux starts no process of its own/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('one that is not there stays in its place, so that nobody is let in without it', () => {
  const result = load(`services: {a: {listen: 7, exec: cat, enabled: false, before: [no-such-program, cat]}}`);
  const [first] = result.configuration.services;
  const run = first?.run;
  expect(run?.kind === 'exec' ? run.before?.commands : []).toHaveLength(2);
});

test('what all services have said for them is no place for it: some would go without', () => {
  expect(problemsOf(`defaults: {before: [cat]}\n${withKeys('umask: "022"')}`)).toEqual([
    expect.stringMatching(/defaults: "before"|before/),
  ]);
});

test('a client that was told that it is served cannot be refused any more', () => {
  const mux = 'services:\n  mux: {listen: 1, builtin: tcpmux}\n  a: {exec: cat, before: [cat], tcpmux: plus}\n';
  expect(problemsOf(mux)).toEqual([
    expect.stringMatching(/"before" has no meaning with "tcpmux" .*: its reply says that the client is served/),
  ]);
  expect(problemsOf(mux.replace('plus', 'true'))).toEqual([]);
});
