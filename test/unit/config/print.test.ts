import { printConfiguration } from '../../../src/config/print';
import { asAlice } from './pretend-host';
import { load, withKeys } from './loading';

const ELABORATE = `
limits: {max_connections: 50}
log: {format: json}
defaults: {env: {X: "1"}, user: alice}
services:
  one:
    description: "a: b # c"
    listen: [http, "127.0.0.1:10-12", "[::1]:99", 0, 70/tcp6, 71/tcp4]
    exec: |-
      tr 'a b' "" ' #' "- x: y"
    argv0: "- odd: name"
    env: {EMPTY: "", NUMBER: "080", YES: "yes", NL: "a\\nb ", TAB: "\\t", NULL: "null", TILDE: "~", E: "\\e\\x85\\u2028é"}
    pass_env: [TZ]
    umask: "7"
    stderr: null
    socket: {nodelay: true}
    stop_grace: 2h
  two: {listen: 7, exec: cat, user: root, group: games}
  three: {listen: 8, exec: cat, user: 4242, group: 4243, groups: [games, 1]}
  off: {listen: 8, exec: ./no/such, user: nosuch, enabled: false}
  gone: {listen: 8, exec: nosuch -x, enabled: false}
`;

test.each([
  ['as root', ELABORATE, {}],
  ['as another user', withKeys('group: alice\ndescription: x'), asAlice],
])('what is printed %s loads again to the same configuration', (_title, text, changes) => {
  const { configuration, effective } = load(text, changes);
  const again = load(printConfiguration(effective), changes);
  expect(again.configuration).toEqual(configuration);
  expect(printConfiguration(again.effective)).toBe(printConfiguration(effective));
});

test('shows defaults filled in and the program’s full path', () => {
  const text = printConfiguration(load(withKeys('exec: cat -u')).effective);
  expect(text).toMatch(/exec:\n +- \/.*\/cat\n +- -u\n/);
  expect(text).toContain('argv0: cat\n');
  expect(text).toContain('listen:\n      - "*:7007"\n');
  expect(text).toContain('umask: "0022"\n');
});

test('does not show the values of variables that are passed on', () => {
  expect(printConfiguration(load(withKeys('pass_env: [SECRET]')).effective)).not.toContain('SECRET: ');
});

test('a result can cross to another thread', () => {
  const result = load(ELABORATE);
  expect(structuredClone(result)).toEqual(result);
});
