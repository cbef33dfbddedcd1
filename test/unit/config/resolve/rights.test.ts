import { load, problemsOf, processOf, service, withKeys } from '../loading';
import { asAlice } from '../pretend-machine';

function rights(keys: string) {
  return processOf(service(withKeys(keys))).rights;
}

test('whoever is not root gets no new rights, unless the file says so', () => {
  expect(rights('umask: "022"')).toEqual({ noNewPrivileges: true, capabilities: null, securebits: null });
  expect(rights('user: root')).toEqual({ noNewPrivileges: false, capabilities: null, securebits: null });
  expect(rights('no_new_privileges: false').noNewPrivileges).toBe(false);
  expect(rights('user: root\nno_new_privileges: true').noNewPrivileges).toBe(true);
});

test('capabilities have their names in any letter case', () => {
  const set = { numbers: [10, 13], isBound: true };
  expect(rights('capabilities: [CAP_NET_RAW, net_bind_service, Net_Raw]').capabilities).toEqual(set);
  expect(rights('capabilities: []').capabilities).toEqual({ numbers: [], isBound: true });
});

test('what is printed says the same again', () => {
  const { effective } = load(withKeys('capabilities: [net_raw]'));
  expect(effective.services['a']).toMatchObject({ capabilities: ['net_raw'], no_new_privileges: true });
});

test.each([
  ['capabilities: [net_rwa]', /not a capability \(did you mean "net_raw"\?\)/],
  ['capabilities: [everything]', /not a capability \(capabilities\(7\) has their names\)/],
  ['no_new_privileges: perhaps', /./],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('what stdiod cannot give or cannot keep away is told', () => {
  expect(problemsOf(withKeys('capabilities: [net_raw]'), asAlice)).toEqual([
    expect.stringMatching(/stdiod itself lacks CAP_NET_RAW/),
  ]);
  expect(problemsOf(withKeys('capabilities: []\nno_new_privileges: false'), asAlice)).toEqual([
    expect.stringMatching(/without CAP_SETPCAP stdiod cannot keep the program from having others/),
  ]);
  expect(problemsOf(withKeys('capabilities: []'), asAlice)).toEqual([]);
});

test('secure bits have the names that systemd gives them, and take a right of stdiod', () => {
  expect(rights('securebits: [noroot, noroot-locked]').securebits).toBe(3);
  expect(rights('securebits: [keep-caps-locked, no-setuid-fixup, no-setuid-fixup]').securebits).toBe(36);
  expect(rights('securebits: []').securebits).toBeNull();
  expect(load(withKeys('securebits: [noroot]')).effective.services['a']).toMatchObject({ securebits: ['noroot'] });
  expect(problemsOf(withKeys('securebits: [noroot]'), asAlice)).toEqual([
    expect.stringContaining('stdiod lacks CAP_SETPCAP, which this takes'),
  ]);
  expect(problemsOf(withKeys('securebits: [no-root]'))).toHaveLength(1);
});
