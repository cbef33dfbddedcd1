import { load, problemsOf, processOf, service, withKeys } from '../loading';

const CONTEXT = 'system_u:system_r:httpd_t:s0-s0:c0.c1023';

function labels(keys: string): object {
  return processOf(service(withKeys(keys))).labels;
}

test('without them the modules decide by their own rules', () => {
  expect(labels('umask: "022"')).toEqual({ apparmor: null, selinux: null });
});

test('a profile and a context are taken as they are written', () => {
  expect(labels('apparmor: web')).toEqual({ apparmor: 'web', selinux: null });
  expect(labels('apparmor: "mail//child"')).toMatchObject({ apparmor: 'mail//child' });
  expect(labels(`selinux: "${CONTEXT}"`)).toEqual({ apparmor: null, selinux: CONTEXT });
});

test.each(['unconfined', ':other:web', 'web//&mail'])('%s need not be in the list of profiles', (profile) => {
  expect(labels(`apparmor: "${profile}"`)).toMatchObject({ apparmor: profile });
});

test('what is printed says the same again', () => {
  const { effective } = load(withKeys(`apparmor: web\nselinux: "${CONTEXT}"`));
  expect(effective.services['a']).toMatchObject({ apparmor: 'web', selinux: CONTEXT });
});

test.each([
  ['apparmor: ""', /must not be empty/],
  ['apparmor: "two words"', /must be one word/],
  ['apparmor: "user-%{service}"', /there are no placeholders here/],
  ['apparmor: wb', /AppArmor has no profile "wb" \(load it: apparmor_parser -r FILE\)/],
  ['selinux: httpd_t', /not a context of SELinux \(write USER:ROLE:TYPE/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('a module that is not there is told, and a list that is not for us to see is not', () => {
  const noProfiles = { apparmorProfiles: () => null };
  expect(problemsOf(withKeys('apparmor: web'), noProfiles)).toEqual([
    expect.stringMatching(/apparmor: this kernel has no AppArmor, or it is switched off/),
  ]);
  expect(problemsOf(withKeys('selinux: "a:b:c"'), { hasSelinux: false })).toEqual([
    expect.stringMatching(/selinux: this kernel has no SELinux, or it is switched off/),
  ]);
  expect(problemsOf(withKeys('apparmor: hidden'), { apparmorProfiles: () => 'unknown' })).toEqual([]);
});
