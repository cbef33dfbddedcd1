import { load, problemsOf, service, withKeys } from '../loading';

test('is off for connections and on for datagrams', () => {
  expect(service(withKeys('')).wait).toBe(false);
  expect(service(withKeys('wait: true')).wait).toBe(true);
  for (const listen of ['69/udp', 'unix-dgram:/tmp/x']) expect(service(withKeys(`listen: ${listen}`)).wait).toBe(true);
});

test('cannot be off for datagrams', () => {
  expect(problemsOf(withKeys('listen: 69/udp\nwait: false'))).toEqual([
    '4:11 services.a.wait: a datagram (services.yaml:3:5) has no connection to hand over' +
      ' (leave out "wait", or set it to true)',
  ]);
});

test('has to be written for datagrams and connections together', () => {
  expect(problemsOf(withKeys('listen: [7, 7/udp]'))).toEqual([
    '3:17 services.a.listen[1]: a service cannot take both datagrams and connections (services.yaml:3:14)' +
      ' (make two services, or add "wait: true" if the program accepts connections itself)',
  ]);
  expect(problemsOf(withKeys('wait: true\nlisten: [7, 7/udp]'))).toEqual([]);
});

test('is no way out where a built-in is to take datagrams and connections', () => {
  expect(problemsOf('services:\n  a: {listen: [7, 7/udp], builtin: echo}\n').join()).toMatch(/\(make two services\)$/);
});

test.each(['max_connections: 5', 'when_full: refuse', 'session_timeout: 10m', 'idle_timeout: 1m'])(
  'leaves nothing to limit: %s',
  (line) => {
    const key = line.replace(/:.*/, '');
    expect(problemsOf(withKeys(`wait: true\n${line}`))).toEqual([
      `4:5 services.a.${key}: "${key}" has no meaning with "wait" (services.yaml:3:5):` +
        ` one child has the socket, and takes from it what it wants (remove "${key}")`,
    ]);
    expect(problemsOf(withKeys(`listen: 69/udp\n${line}`)).join()).toContain('with "listen" (services.yaml:3:5)');
  },
);

test('does not use what defaults say of connections: each socket has one child', () => {
  const defaults = 'defaults: {max_connections: 50, when_full: refuse, session_timeout: 10m}\n';
  expect(service(`${defaults}${withKeys('wait: true')}`)).toMatchObject({
    maxConnections: 2,
    whenFull: 'wait',
    session: { timeoutMs: null, idleMs: null, disconnectMs: null },
  });
  const { effective } = load(`${defaults}${withKeys('wait: true\nlisten: 7/tcp4')}`);
  expect(effective.services['a']).not.toHaveProperty('max_connections');
  expect(effective.services['a']).not.toHaveProperty('session_timeout');
});

test('is said by each service, not by defaults', () => {
  expect(problemsOf(`defaults: {wait: true}\n${withKeys('')}`).join()).toContain('every service says its own "wait"');
});
