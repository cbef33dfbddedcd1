import type { Account } from '../../../../src/config/machine/machine';
import { asAlice } from '../pretend-machine';
import { problemsOf, processOf, service, withKeys } from '../loading';

test.each([
  ['', { user: 'nobody', uid: 65534, gid: 65534, groups: [65534] }],
  ['user: alice', { user: 'alice', uid: 1000, gid: 1000, groups: [1000, 60] }],
  ['user: 1000', { user: 'alice', uid: 1000, gid: 1000, groups: [1000, 60] }],
  ['user: "1000"', { user: 'alice', uid: 1000, gid: 1000, groups: [1000, 60] }],
  ['user: root', { user: 'root', uid: 0, gid: 0, groups: [0] }],
  ['user: alice\ngroup: games', { user: 'alice', uid: 1000, gid: 60, groups: [] }],
  ['user: alice\ngroups: [games, 7]', { user: 'alice', uid: 1000, gid: 1000, groups: [60, 7] }],
  ['user: alice\ngroup: games\ngroups: []', { user: 'alice', uid: 1000, gid: 60, groups: [] }],
  ['user: 4242\ngroup: 4243', { user: '4242', uid: 4242, gid: 4243, groups: [] }],
])('as root, %j runs the program as its user', (keys, identity) => {
  expect(processOf(service(withKeys(keys))).identity).toEqual(identity);
});

test.each(['', 'user: alice', 'user: 1000', 'group: alice', 'user: alice\ngroup: 1000'])(
  'without root, %j is stdiod’s own identity',
  (keys) => {
    expect(processOf(service(withKeys(keys), asAlice)).identity).toBeNull();
  },
);

test.each([
  ['user: nosuch', 'unknown user "nosuch" (create it (useradd --system nosuch), or name another one)'],
  ['user: 4242', 'user id 4242 has no account, and so no group (add "group: ID")'],
  ['user: 4294967295', 'must be at most 4294967294'],
  ['user: -1', 'must be at least 0'],
  ['user: "99999999999"', 'unknown user "99999999999"'],
  ['group: nosuch', 'unknown group "nosuch"'],
  ['groups: [games, nosuch]', '3:21 services.a.groups[1]: unknown group "nosuch"'],
])('refuses %j', (keys, expected) => {
  expect(problemsOf(withKeys(keys)).join()).toContain(expected);
});

test.each([
  ['user: root', 'only root can start a program as user root (run stdiod as root, or remove "user")'],
  ['user: nosuch', 'unknown user "nosuch"'],
  ['group: games', 'only root can start a program as group games'],
  ['group: nosuch', 'unknown group "nosuch"'],
  ['groups: [alice]', 'only root can start a program as the groups'],
])('without root, refuses %j', (keys, expected) => {
  expect(problemsOf(withKeys(keys), asAlice).join()).toContain(expected);
});

test('says so when there is no nobody to run as', () => {
  expect(problemsOf(withKeys(''), { user: () => undefined }).join()).toContain('there is no user "nobody" to run as');
});

describe('the environment', () => {
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

  test('is clean: PATH, LANG and what the user is', () => {
    expect(processOf(service(withKeys('user: alice'))).environment).toEqual({
      PATH,
      LANG: 'C.UTF-8',
      HOME: '/home/alice',
      USER: 'alice',
      LOGNAME: 'alice',
      SHELL: '/bin/zsh',
    });
  });

  test.each(['', '/usr/sbin/nologin', '/bin/false', '/bin/true'])('has no SHELL that runs nothing: "%s"', (shell) => {
    const account: Account = { name: 'app', uid: 999, gid: 999, home: '/', shell };
    const { environment } = processOf(service(withKeys('user: app'), { user: () => account }));
    expect(environment).not.toHaveProperty('SHELL');
  });

  test.each(['REMOTE_ADDR', 'TCPREMOTEIP', 'LISTEN_PID', 'STDIOD_SERVICE'])('cannot set %s, a fact', (name) => {
    const problem = `"${name}" is a fact of the connection, which stdiod tells (remove it, or choose another name)`;
    expect(problemsOf(withKeys(`env: {${name}: x}`)).join()).toContain(`services.a.env.${name}: ${problem}`);
  });

  test('is that of stdiod’s own user without root', () => {
    expect(processOf(service(withKeys(''), asAlice)).environment).toMatchObject({ HOME: '/home/alice', USER: 'alice' });
  });

  test('lets the named variables through, passes by missing ones, and env has the last word', () => {
    const keys = 'pass_env: [TZ, PATH, NOT_SET, toString]\nenv: {TZ: CET, LANG: C}';
    const { environment } = processOf(service(withKeys(keys)));
    expect(environment).toMatchObject({ TZ: 'CET', LANG: 'C', PATH: '/usr/bin:/bin' });
    expect(Object.keys(environment)).not.toContain('NOT_SET');
    expect(Object.keys(environment)).not.toContain('toString');
    expect(Object.keys(environment)).not.toContain('SECRET');
  });
});

test('as user:group is two keys', () => {
  expect(problemsOf(withKeys('user: nobody:www-data')).join()).toContain(
    '"nobody:www-data" is no user (write "user: nobody" and "group: www-data")',
  );
});
