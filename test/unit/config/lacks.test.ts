/**
 * What is wrong with the text refuses the whole file; what this machine lacks concerns only the services that need it.
 */
import { loadConfigurationText } from '../../../src/config/load';
import { type Machine, NotNow } from '../../../src/config/machine/machine';
import type { Configuration } from '../../../src/service/service';
import { load, problemsOf } from './loading';
import { pretendMachine } from './pretend-machine';

const OTHER = '  other: {listen: 7008, exec: cat}\n';

function loaded(keys: string, changes: Partial<Machine> = {}): Configuration {
  const yaml = `services:\n  web: {${keys}}\n${OTHER}`;
  const result = loadConfigurationText(yaml, 'services.yaml', pretendMachine(changes));
  if (!result.ok) throw new Error(result.diagnostics.map(({ message }) => message).join('\n'));
  return result.configuration;
}

function throwNotNow(): never {
  throw new NotNow('EMFILE');
}

describe('a service cannot be served for now, and its neighbour can,', () => {
  test.each<[string, string, Partial<Machine>, string]>([
    ['for want of its program', 'listen: 80, exec: no-such-program', {}, 'there is no program "no-such-program"'],
    ['for want of its program by path', 'listen: 80, exec: /nowhere/httpd', {}, '/nowhere/httpd does not exist'],
    ['for want of a right to run it', 'listen: 80, exec: /etc/passwd', {}, '/etc/passwd is not executable'],
    ['for want of its user', 'listen: 80, exec: cat, user: webapp', {}, 'unknown user "webapp"'],
    ['for want of its group', 'listen: 80, exec: cat, group: webapp', {}, 'unknown group "webapp"'],
    ['for want of root', 'listen: 80, exec: cat, user: root', { uid: 1000, gid: 1000 }, 'only root can start'],
    ['for want of its folder', 'listen: 80, exec: cat, directory: /nowhere', {}, '/nowhere does not exist'],
    ['for want of its device', 'listen: 80, exec: cat, socket: {device: eth7}', {}, 'no network interface "eth7"'],
    [
      'for want of a capability',
      'listen: 80, exec: cat, socket: {mark: 1}',
      { hasCapability: () => false },
      'no right',
    ],
    ['for want of the owner of its socket', 'listen: "unix:/x", exec: cat, socket: {owner: webapp}', {}, 'webapp'],
    [
      'for want of its quotes',
      'listen: 17, builtin: qotd, quotes: /nowhere/quotes',
      {},
      '/nowhere/quotes does not exist',
    ],
    [
      'for want of the names of ports',
      'listen: http, exec: cat',
      { portNames: () => new Map() },
      'has no /etc/services',
    ],
  ])('%s', (_, keys, changes, reason) => {
    const { lacks, services } = loaded(keys, changes);
    expect(lacks).toEqual([{ name: 'web', reason: expect.stringContaining(reason) as string }]);
    expect(services.map(({ name }) => name)).toEqual(['web', 'other']);
  });

  test('for several reasons, of which the first is told with the number of the others', () => {
    const { lacks } = loaded('listen: 80, exec: cat, user: webapp, group: webapp, directory: /nowhere');
    expect(lacks).toEqual([{ name: 'web', reason: 'unknown user "webapp"; and 2 more' }]);
  });
});

describe('a moment without descriptors', () => {
  test('does not make an account unknown', () => {
    const { lacks } = loaded('listen: 80, exec: cat, user: alice', { user: throwNotNow });
    expect(lacks.map(({ name }) => name)).toEqual(['web', 'other']);
    expect(lacks[0]?.reason).toBe('accounts cannot be looked up at the moment: EMFILE');
  });

  test('does not make the owner of a socket unknown', () => {
    const { lacks } = loaded('listen: "unix:/x", exec: cat, socket: {group: games}', { group: throwNotNow });
    expect(lacks).toEqual([{ name: 'web', reason: 'accounts cannot be looked up at the moment: EMFILE' }]);
  });

  test('says nothing about the rights of anybody', () => {
    const [lack] = loaded('listen: 80, exec: /bin/cat', { whyNotExecutable: () => 'EAGAIN' }).lacks;
    expect(lack?.reason).toMatch(/^whether user nobody may use \/\S* cannot be told now: EAGAIN/);
  });
});

describe('an address', () => {
  test.each<[string, string, Partial<Machine>, string]>([
    [
      'that stdiod has no right to',
      '127.0.0.1:80',
      { mayBindPort: () => false },
      'stdiod has no right to bind port 80',
    ],
    ['in a folder that is not there', 'unix:/nowhere/it', {}, 'the folder /nowhere does not exist'],
    ['that was not passed', 'fd:web', {}, 'no socket "web" was passed to stdiod'],
    ['of a family that the machine has not', '[::1]:80', { hasIpv6: false }, 'this machine has no IPv6'],
    ['on an interface that is not there', '[fe80::1%eth7]:80', {}, 'there is no network interface "eth7"'],
  ])('%s is a problem, but no lack of its service: binding it decides', (_, listen, changes, message) => {
    const yaml = `services: {web: {listen: "${listen}", exec: cat}}\n`;
    expect(problemsOf(yaml, changes)).toEqual([expect.stringContaining(message)]);
    const result = loadConfigurationText(yaml, 'services.yaml', pretendMachine(changes));
    expect(result.ok && result.configuration.lacks).toEqual([]);
    expect(result.ok && result.configuration.services[0]?.listen[0]?.sockets).toHaveLength(1);
  });
});

test('a problem of the text refuses the file, and what the machine lacks is told with it', () => {
  const yaml = 'services:\n  web: {listen: 80, exec: no-such-program}\n  b: {listen: 70000, exec: cat}\n';
  const result = loadConfigurationText(yaml, 'services.yaml', pretendMachine());
  expect(result.ok).toBe(false);
  expect(result.diagnostics.map(({ path }) => path)).toEqual(['services.web.exec', 'services.b.listen']);
});

test('what is no user anywhere is a problem of the text', () => {
  const yaml = 'services: {web: {listen: 80, exec: cat, user: "www-data:www-data"}}\n';
  expect(loadConfigurationText(yaml, 'services.yaml', pretendMachine()).ok).toBe(false);
});

test('a socket that was not passed may be of any kind: no conflict is certain', () => {
  const yaml = 'services: {clock: {listen: "fd:clock", builtin: time, amplify: true}}\n';
  expect(loadConfigurationText(yaml, 'services.yaml', pretendMachine()).ok).toBe(true);
});

test('a disabled service lacks nothing', () => {
  expect(load('services: {a: {enabled: false, listen: 80, exec: no-such-program}}\n').configuration.lacks).toEqual([]);
});
