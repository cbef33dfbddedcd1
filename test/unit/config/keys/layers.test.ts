import { problemsOf, processOf, service, withKeys } from '../loading';

describe('defaults', () => {
  test('lie under every service', () => {
    const text = `defaults: {max_connections: 5, umask: "077"}\n${withKeys('max_connections: 6')}`;
    expect(service(text)).toMatchObject({ maxConnections: 6, run: { process: { umask: 0o077 } } });
  });

  test('are laid under key by key for env and socket, and replaced for lists', () => {
    const defaults = 'defaults: {env: {A: "1", B: "1"}, socket: {backlog: 1, nodelay: true}, pass_env: [TZ]}\n';
    const loaded = service(`${defaults}${withKeys('env: {B: "2"}\nsocket: {backlog: 2}\npass_env: []')}`);
    const { environment } = processOf(loaded);
    expect(environment).toMatchObject({ A: '1', B: '2' });
    expect(environment['TZ']).toBeUndefined();
    expect(loaded.socket).toMatchObject({ backlog: 2, nodelay: true, keepalive: true });
  });

  test('are reported once, however many services have them', () => {
    const services = 'services:\n  a: {listen: 1, exec: cat}\n  b: {listen: 2, exec: cat}\n';
    expect(problemsOf(`defaults: {user: nosuch, umask: 7, frob: 1}\n${services}`)).toEqual([
      '1:18 defaults.user: unknown user "nosuch" (create it (useradd --system nosuch), or name another one)',
      '1:33 defaults.umask: expected a string, got the number 7 (write the mode in quotes: "0007")',
      expect.stringContaining('1:36 defaults: unknown key "frob"') as string,
    ]);
  });

  test('may not say what runs where', () => {
    expect(problemsOf(`defaults: {listen: 7}\n${withKeys('')}`).join()).toContain(
      'every service says its own "listen"',
    );
  });
});
