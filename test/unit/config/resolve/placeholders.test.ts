import { mkdirSync, mkdtempSync, realpathSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandOf, problemsOf, processOf, service, withKeys } from '../loading';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stdiod-100%-')));
chmodSync(folder, 0o755);
mkdirSync(join(folder, 'in%side'), { mode: 0o755 });
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test('stand in words after the first, in values of env and in directory', () => {
  const keys = 'exec: echo %{peer.address}:%{peer.port} 100%%\nenv: {WHO: "%{connection}"}\ndirectory: /srv/%{service}';
  const loaded = service(withKeys(keys));
  expect(commandOf(loaded).argv).toEqual(['echo', '%{peer.address}:%{peer.port}', '100%%']);
  expect(processOf(loaded).environment).toMatchObject({ WHO: '%{connection}' });
  expect(processOf(loaded).directory).toBe('/srv/%{service}');
});

test.each([
  ['exec: date +%s', '3:17 services.a.exec: "%" begins a placeholder (write %% for a percent sign)'],
  [`exec: echo %% 'a b%s'`, '3:23 services.a.exec: "%" begins a placeholder'],
  ['exec: [date, "+%s"]', '3:20 services.a.exec[1]: "%" begins a placeholder'],
  ['exec: echo %{peer.adress}', 'there is no placeholder %{peer.adress}; did you mean %{peer.address}?'],
  ['exec: echo %{service', '"%{" is not closed'],
  ['env: {A: "x%{foo}"}', '3:16 services.a.env.A: there is no placeholder %{foo} (the placeholders are'],
  ['directory: /srv/%d', '3:21 services.a.directory: "%" begins a placeholder'],
  ['exec: ./%{service} x', '3:13 services.a.exec: the program cannot depend on the connection, as with %{service}'],
  ['exec: ["%{service}"]', 'services.a.exec[0]: the program cannot depend on the connection'],
  ['exec: ["%", x]', 'services.a.exec[0]: "%" begins a placeholder'],
])('points at what is wrong in %s', (keys, expected) => {
  expect(problemsOf(withKeys(keys)).join()).toContain(expected);
});

test.each(['exec: cat %{peer.address}', 'env: {A: "%{peer.port}"}', 'directory: /x/%{peer.address}'])(
  'have no single peer with wait: %s',
  (keys) => {
    expect(problemsOf(withKeys(`wait: true\n${keys}`)).join()).toContain(
      'has no meaning with "wait" (services.yaml:3:5): one child has many peers',
    );
    expect(problemsOf(withKeys(`listen: 69/udp\n${keys}`)).join()).toContain('with "listen" (services.yaml:3:5)');
  },
);

test('of the socket and the service can be filled in with wait as well', () => {
  const keys = 'wait: true\nexec: cat %{local.address} %{local.port} %{service} %{connection} %{fd}';
  expect(problemsOf(withKeys(keys))).toEqual([]);
});

test('are checked in a disabled service too', () => {
  expect(problemsOf(withKeys('enabled: false\nexec: date +%s'))).toHaveLength(1);
});

test('a folder without them has to be there, and its own percent sign is written twice', () => {
  const file = join(folder, 'services.yaml');
  const escaped = folder.replaceAll('%', '%%');
  expect(processOf(service(withKeys('directory: in%%side'), {}, file)).directory).toBe(`${escaped}/in%%side`);
  expect(processOf(service(withKeys('directory: "%{service}"'), {}, file)).directory).toBe(`${escaped}/%{service}`);
  expect(problemsOf(withKeys('directory: no%%where'), {}, file).join()).toContain(`${folder}/no%where does not exist`);
});

test('are not looked for in argv0, in accounts and in variables that are passed on', () => {
  const changes = { environment: { PATH: '/usr/bin:/bin', RATE: '5%{fd}' } };
  const loaded = service(withKeys('argv0: "-%s"\npass_env: [RATE]'), changes);
  expect(commandOf(loaded).argv).toEqual(['-%%s']);
  expect(processOf(loaded).environment).toMatchObject({ RATE: '5%%{fd}' });
});

test('in PATH leave the program to be found in stdiod’s own', () => {
  expect(problemsOf(withKeys('exec: cat\nenv: {PATH: "/srv/%{service}"}'))).toEqual([]);
});
