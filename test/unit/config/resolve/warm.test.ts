/**
 * `warm`: what is started ahead of clients, and what excludes it.
 */
import type { Warm } from '../../../../src/service/service';
import { load, problemsOf, service, withKeys } from '../loading';

function warm(keys: string): Warm | null {
  const { run } = service(withKeys(keys));
  return run.kind === 'exec' ? run.warm : null;
}

test('without it, and with none, nobody waits', () => {
  expect([warm('umask: "022"'), warm('warm: none'), warm('warm: {mode: none}')]).toEqual([null, null, null]);
});

test('a word stands for a map with nothing but the mode', () => {
  expect(warm('warm: pool')).toMatchObject({ mode: 'pool', size: 4, maxAgeMs: 3_600_000, startMs: 10_000 });
  expect(warm('warm: template')).toMatchObject({ mode: 'template', size: 1, maxUses: 100_000, mayAskAddress: false });
  expect(warm('warm: {mode: template}')).toEqual(warm('warm: template'));
  const keys = 'mode: template, size: 2, max_age: 1m, max_uses: 9, start_timeout: 300ms, early: [getsockname]';
  const said = { size: 2, maxAgeMs: 60_000, maxUses: 9, startMs: 300, mayAskAddress: true };
  expect(warm(`warm: {${keys}}`)).toMatchObject(said);
});

test('a process of a pool has one client, however many they are', () => {
  expect(warm('warm: {mode: pool, max_uses: 9}')?.maxUses).toBe(Number.MAX_SAFE_INTEGER);
});

test('waits with a socket of the family that its clients come from', () => {
  expect(warm('warm: pool\nlisten: "[::1]:7"')?.family).toBe('inet6');
  expect(warm('warm: pool\nlisten: unix:/run/it')?.family).toBe('unix');
  expect(warm('warm: pool\nlisten: 127.0.0.1:7')?.family).toBe('inet');
});

test('is made anew when its program changes, or a file that its command names', () => {
  expect(warm('warm: pool')?.files).toEqual(['/usr/bin/cat']);
  expect(warm('warm: pool\nexec: [cat, /bin/cat, -n, /no/such/file]')?.files).toEqual(['/usr/bin/cat', '/bin/cat']);
});

test('what is printed says the same again', () => {
  expect(load(withKeys('warm: pool')).effective.services['a']).toMatchObject({ warm: 'pool' });
  expect(load(withKeys('warm: none')).effective.services['a']).not.toHaveProperty('warm');
});

test.each([
  ['warm: yes', /warm: expected none, pool, template or a map/],
  ['warm: {mode: pool, size: 0}', /size: must be at least 1, got 0/],
  ['warm: {mode: pool, early: [read]}', /early\[0\]: expected getsockname/],
  ['warm: pool\nexec: [cat, "%{peer.address}"]', /"exec" has placeholders, which the client fills in/],
  ['warm: pool\nenv: {WHO: "%{peer.address}"}', /"env" has placeholders/],
  ['warm: pool\ndirectory: /tmp/%{service}', /"directory" has placeholders/],
  ['warm: pool\nstderr: /var/log/it', /"stderr" is a file, which each child opens for itself/],
  ['warm: pool\nsandbox: strict', /the sandbox lets nobody trace it/],
  ['warm: template\nleftover: kill', /"leftover" has no meaning with a template/],
  ['warm: pool\nlisten: vsock:7', /its clients must come over TCP or a Unix stream/],
  ['warm: pool\nwait: true', /"warm" has no meaning with "wait"/],
  ['warm: pool\nlisten: 7/udp', /"warm" has no meaning with "listen"/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys)).filter((each) => problem.test(each))).toHaveLength(1);
});

test.each([
  ['builtin: echo', /"warm" has no meaning with "builtin"/],
  ['redirect: localhost:8', /"warm" has no meaning with "redirect"/],
  ['builtin: tcpmux', /"warm" has no meaning with "builtin"/],
])('%s has none', (run, problem) => {
  const problems = problemsOf(`services: {a: {listen: 7, ${run}, warm: pool}}`);
  expect(problems.filter((each) => problem.test(each))).toHaveLength(1);
});

test('defaults do not say it', () => {
  const problems = problemsOf('defaults: {warm: pool}\nservices: {a: {listen: 7, exec: cat}}');
  expect(problems).toEqual([expect.stringContaining('every service says its own "warm"')]);
});
