import { load, problemsOf, processOf, service, withKeys } from '../loading';

const NEVER = { timeoutMs: null, idleMs: null, disconnectMs: null, leftover: null };

test('a session may last for ever unless the file says otherwise', () => {
  expect(service(withKeys('')).session).toEqual(NEVER);
  expect(service(withKeys('disconnect_delay: 1s')).session).toEqual(NEVER);
});

test.each(['idle_timeout: 1m', 'on_disconnect: terminate'])(
  'only of TCP the kernel tells what it takes: %s',
  (line) => {
    const key = line.replace(/:.*/, '');
    expect(problemsOf(withKeys(`listen: [7, "unix:/tmp/x"]\n${line}`))).toEqual([
      `4:5 services.a.${key}: "${key}" is for TCP: of this address (services.yaml:3:17) the kernel does not tell it` +
        ' (use "session_timeout", or make two services)',
    ]);
  },
);

test('what defaults say of it does not concern a Unix socket', () => {
  const { configuration, effective } = load(`defaults: {idle_timeout: 1m}\n${withKeys('listen: "unix:/tmp/x"')}`);
  expect(configuration.services[0]?.session).toEqual(NEVER);
  expect(effective.services['a']).not.toHaveProperty('idle_timeout');
});

test('who outlives a program that says nothing of it is not looked for', () => {
  const of = (keys: string) => service(withKeys(keys)).session.leftover;
  expect([of(''), of('leftover: keep'), of('leftover: kill')]).toEqual([null, 'keep', 'kill']);
  expect(load(withKeys('leftover: kill')).effective.services['a']).toMatchObject({ leftover: 'kill' });
  expect(load(withKeys('')).effective.services['a']).not.toHaveProperty('leftover');
});

test.each([
  ['leftover: keep\ncgroup: {processes_max: 9}', /"leftover" has no meaning with "cgroup" \(.*\): whoever is left/],
  ['leftover: keep\ncgroup: {per_connection: {memory_max: 64M}}', /"leftover" has no meaning with "cgroup"/],
  ['builtin: echo\nleftover: kill', /"leftover" has no meaning with "builtin"/],
  ['redirect: 127.0.0.1:9\nleftover: kill', /"leftover" has no meaning with "redirect"/],
  ['wait: true\nleftover: kill', /"leftover" has no meaning with "wait"/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test.each(['builtin: echo', 'wait: true', 'cgroup: {processes_max: 9}'])(
  'what defaults say of those who are left does not concern %s',
  (keys) => {
    const { configuration, effective } = load(`defaults: {leftover: keep}\n${withKeys(keys)}`);
    expect(configuration.services[0]?.session).toEqual(NEVER);
    expect(effective.services['a']).not.toHaveProperty('leftover');
  },
);

test('is shown as it holds', () => {
  const keys = 'session_timeout: 1h\nidle_timeout: 1m\non_disconnect: terminate';
  expect(load(withKeys(keys)).effective.services['a']).toMatchObject({
    session_timeout: '1h',
    idle_timeout: '1m',
    on_disconnect: 'terminate',
    disconnect_delay: '10s',
  });
  expect(load(withKeys('disconnect_delay: 1s')).effective.services['a']).not.toHaveProperty('disconnect_delay');
});

test('a program is asked to leave by a signal with or without SIG, in any letter case', () => {
  const of = (keys: string) => processOf(service(withKeys(keys))).stopSignal;
  expect([of(''), of('stop_signal: int'), of('stop_signal: SIGUSR1'), of('stop_signal: SigHup')]).toEqual([
    'SIGTERM',
    'SIGINT',
    'SIGUSR1',
    'SIGHUP',
  ]);
  expect(load(withKeys('stop_signal: int')).effective.services['a']).toMatchObject({ stop_signal: 'SIGINT' });
  expect(load(withKeys('')).effective.services['a']).not.toHaveProperty('stop_signal');
});

test.each([
  ['stop_signal: KILL', /not a signal to leave at \(no program can handle it: it comes after "stop_grace" anyway\)/],
  ['stop_signal: SIGSTOP', /no program can handle it, and who is stopped does not leave/],
  ['stop_signal: SIGCONT', /it goes along with each of them/],
  ['stop_signal: SIGTREM', /not a signal to leave at \(did you mean "SIGTERM"\?\)/],
  ['stop_signal: everything', /by name: SIGTERM/],
  ['stop_signal: 15', /expected a string/],
  ['builtin: echo\nstop_signal: INT', /"stop_signal" has no meaning with "builtin"/],
  ['redirect: 127.0.0.1:9\nstop_signal: INT', /"stop_signal" has no meaning with "redirect"/],
  ['builtin: tcpmux\nstop_signal: INT', /"stop_signal" has no meaning with "builtin"/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('what defaults say of it does not concern programs of our own', () => {
  const text = `defaults: {stop_signal: INT}\n${withKeys('builtin: echo')}`;
  expect(processOf(service(text)).stopSignal).toBe('SIGTERM');
  expect(load(text).effective.services['a']).not.toHaveProperty('stop_signal');
});
