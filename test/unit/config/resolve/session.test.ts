import { load, problemsOf, service, withKeys } from '../loading';

const NEVER = { timeoutMs: null, idleMs: null, disconnectMs: null };

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
