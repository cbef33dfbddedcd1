import { NO_SANDBOX } from '../../../../src/service/sandbox';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CALL_GROUPS } from '../../../../src/service/system-calls';
import { load, problemsOf, processOf, service, withKeys } from '../loading';
import { asAlice } from '../pretend-machine';

function sandbox(keys: string) {
  return processOf(service(withKeys(keys))).sandbox;
}

test('nobody is kept away from anything, unless the file says so', () => {
  expect(sandbox('umask: "022"')).toEqual(NO_SANDBOX);
  expect(sandbox('private_network: true')).toEqual({ ...NO_SANDBOX, privateNetwork: true });
  expect(sandbox('private_ipc: true')).toEqual({ ...NO_SANDBOX, privateIpc: true });
  expect(sandbox('private_hostname: true')).toEqual({ ...NO_SANDBOX, privateHostname: true });
  expect(sandbox('private_devices: true')).toEqual({ ...NO_SANDBOX, privateDevices: true });
  expect(sandbox('private_processes: true')).toEqual({ ...NO_SANDBOX, privateProcesses: true });
});

test('what a strict program creates is its user’s alone, unless the file says otherwise', () => {
  const umask = (keys: string) => processOf(service(withKeys(keys))).umask;
  expect([umask(''), umask('sandbox: basic'), umask('sandbox: strict')]).toEqual([0o22, 0o22, 0o77]);
  expect(umask('sandbox: strict\numask: "0022"')).toBe(0o22);
  expect(load(withKeys('sandbox: strict')).effective.services['a']).toMatchObject({ umask: '0077' });
});

test('what is printed says the same again', () => {
  const { effective } = load(withKeys('private_network: true'));
  expect(effective.services['a']).toMatchObject({ private_network: true });
});

test('system calls are denied by group, and whoever is denied some gains no rights', () => {
  expect(sandbox('system_calls: {deny: [mounts, clock, clock]}').deniedCalls).toEqual(['clock', 'mounts']);
  expect(sandbox('system_calls: {deny: all}').deniedCalls).toEqual(CALL_GROUPS);
  expect(sandbox('system_calls: {}').deniedCalls).toEqual([]);
  const rights = (keys: string) => processOf(service(withKeys(keys))).rights;
  expect(rights('user: root\nsystem_calls: {deny: all}').noNewPrivileges).toBe(true);
  expect(rights('user: root\nsystem_calls: {deny: []}').noNewPrivileges).toBe(false);
});

test('a program that may gain rights cannot be denied any, unless it is root with all of them', () => {
  const keys = 'no_new_privileges: false\nsystem_calls: {deny: all}';
  const problem = [expect.stringMatching(/^3:24 .*no_new_privileges: a program that gains rights cannot be kept from/)];
  expect(problemsOf(withKeys(keys))).toEqual(problem);
  expect(problemsOf(withKeys(`${keys}\nuser: root\ncapabilities: [net_raw]`))).toEqual(problem);
  expect(problemsOf(withKeys(`${keys}\nuser: root`))).toEqual([]);
});

test.each([
  ['system_calls: {deny: [mount]}', /mounts/],
  ['system_calls: {deny: ptrace}', /./],
  ['system_calls: [mounts]', /./],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
});

test('what takes root is told where stdiod is not', () => {
  expect(problemsOf(withKeys('private_network: true'), asAlice)).toEqual([
    expect.stringMatching(/^3:22 .*private_network: stdiod lacks CAP_SYS_ADMIN, which this takes \(run stdiod as root/),
  ]);
  expect(problemsOf(withKeys('private_network: false'), asAlice)).toEqual([]);
});

test('a redirect has the network to which it connects', () => {
  const redirect = 'redirect: localhost:80';
  expect(problemsOf(withKeys(`${redirect}\nprivate_network: true`))).toEqual([
    expect.stringMatching(/"private_network" has no meaning with "redirect"/),
  ]);
  const { run } = service(`defaults: {private_network: true}\n${withKeys(redirect)}`);
  expect(run).toMatchObject({ process: { sandbox: { privateNetwork: false } } });
});

test('files are given by list: to read, to write, or not at all', () => {
  const files = (keys: string) => sandbox(keys).files;
  expect(files('read_only: [/usr, ../..]')).toEqual({
    readOnly: ['/usr', resolve(process.cwd(), '../..')],
    readWrite: [],
  });
  expect(files('read_write: [/tmp]')).toEqual({ readOnly: ['/'], readWrite: ['/tmp'] });
  expect(sandbox('hidden: [/root]')).toEqual({ ...NO_SANDBOX, hidden: ['/root'] });
});

test('what is printed of files is where they are', () => {
  const { effective } = load(withKeys('read_write: [/tmp]\nhidden: [.]'));
  expect(effective.services['a']).toMatchObject({ read_only: ['/'], read_write: ['/tmp'], hidden: [process.cwd()] });
});

test('a program that its own walls keep from itself, or from its folder, is told', () => {
  const told = (keys: string) => problemsOf(withKeys(keys));
  expect(told('hidden: [/usr]')).toEqual([
    expect.stringMatching(
      /^\d+:\d+ .*exec: \/usr\/bin\/cat is hidden from the program \(.*write "hidden" without \/usr/,
    ),
  ]);
  expect(told('read_only: [/etc]\nexec: /usr/bin/cat')).toEqual([
    expect.stringMatching(/exec: \/usr\/bin\/cat is nothing that the program may read \(name its folder/),
  ]);
  expect(told('private_tmp: true\ndirectory: /var/tmp')).toEqual([
    expect.stringMatching(/directory: \/var\/tmp lies in \/var\/tmp, in whose place .*"private_tmp: false"/),
  ]);
  expect(told('private_tmp: true\ndirectory: /var\nhidden: [/usr/bin/env]\nread_only: [/]')).toEqual([]);
});

test('a folder of the file that is hidden is no place to start in', () => {
  expect(processOf(service(withKeys('hidden: [.]'))).directory).toBe('/');
});

test('a path that is not there is told', () => {
  expect(problemsOf(withKeys('read_only: [/, /no/such]\nhidden: [/nor/this]'))).toEqual([
    expect.stringMatching(/^3:20 .*read_only\[1\]: \/no\/such does not exist/),
    expect.stringMatching(/^4:14 .*hidden\[0\]: \/nor\/this does not exist/),
  ]);
});

test('a kernel whose Landlock is not there, or lets files be emptied, is told; it takes no right of stdiod’s', () => {
  const keys = withKeys('read_only: [/]');
  expect(problemsOf(keys, asAlice)).toEqual([]);
  expect(problemsOf(keys, { landlockVersion: 0 })).toEqual([
    expect.stringMatching(/^3:16 .*read_only: this kernel has no Landlock/),
  ]);
  expect(problemsOf(keys, { landlockVersion: 2 })).toEqual([
    expect.stringMatching(/of version 2, which lets a program/),
  ]);
});

const HOMES = ['/home', '/root', '/run/user'].filter((path) => existsSync(path));
const OF_STRICT = {
  privateNetwork: true,
  privateIpc: true,
  privateHostname: true,
  privateTmp: true,
  privateDevices: true,
  privateProcesses: true,
  hidden: HOMES,
  files: { readOnly: ['/'], readWrite: [] },
  deniedCalls: CALL_GROUPS,
};
const OF_BASIC = ['clock', 'debug', 'kernel', 'mounts', 'obsolete', 'system'];

test('the names stand for sets of keys, and a key of its own outranks them', () => {
  expect(sandbox('sandbox: none')).toEqual(NO_SANDBOX);
  expect(sandbox('sandbox: basic')).toEqual({ ...NO_SANDBOX, deniedCalls: OF_BASIC });
  expect(sandbox('sandbox: strict')).toEqual(OF_STRICT);
  const keys = 'sandbox: strict\nprivate_network: false\nread_write: [/tmp]\nsystem_calls: {deny: [clock]}';
  expect(sandbox(keys)).toEqual({
    ...OF_STRICT,
    privateNetwork: false,
    files: { readOnly: ['/'], readWrite: ['/tmp'] },
    deniedCalls: ['clock'],
  });
  expect(sandbox('sandbox: strict\nhidden: []')).toEqual({ ...OF_STRICT, hidden: [] });
  expect(processOf(service(withKeys('user: root\nsandbox: basic'))).rights.noNewPrivileges).toBe(true);
});

test('who is strict has no capability, as root neither, unless the file gives it some', () => {
  const rights = (keys: string) => processOf(service(withKeys(keys))).rights.capabilities;
  expect(rights('sandbox: strict')).toMatchObject({ numbers: [] });
  expect(rights('sandbox: strict\nuser: root')).toMatchObject({ numbers: [] });
  expect(rights('sandbox: strict\ncapabilities: [kill]')).toMatchObject({ numbers: [5] });
  expect(rights('sandbox: basic\nuser: root')).toBeNull();
});

test('a group that is allowed is not denied, and sockets are not where the network is everybody’s', () => {
  const denied = (keys: string) => sandbox(keys).deniedCalls;
  const without = (...groups: string[]) => CALL_GROUPS.filter((group) => !groups.includes(group));
  expect(denied('sandbox: strict\nsystem_calls: {allow: [code, keys]}')).toEqual(without('code', 'keys'));
  expect(denied('system_calls: {deny: all, allow: [code]}')).toEqual(without('code'));
  expect(denied('sandbox: strict\nprivate_network: false')).toEqual(without('sockets'));
  expect(denied('sandbox: strict\nprivate_network: false\nsystem_calls: {deny: all}')).toEqual(CALL_GROUPS);
});

test('what is printed of a name means the same', () => {
  const text = withKeys('sandbox: strict\nprivate_ipc: false');
  const { effective } = load(text);
  expect(effective.services['a']).toMatchObject({
    sandbox: 'strict',
    private_ipc: false,
    read_only: ['/'],
    hidden: HOMES,
  });
  expect(load(withKeys('sandbox: strict\nhidden: []')).effective.services['a']).toMatchObject({ hidden: [] });
  expect(load(withKeys('user: root\ncapabilities: []')).effective.services['a']).toMatchObject({ capabilities: [] });
});

test('strict takes root, and basic does not', () => {
  expect(problemsOf(withKeys('sandbox: basic'), { ...asAlice, landlockVersion: 0 })).toEqual([]);
  expect(problemsOf(withKeys('sandbox: strict'), asAlice)).toEqual([
    expect.stringMatching(/^3:14 .*sandbox: stdiod lacks CAP_SYS_ADMIN, .*"basic" does without/),
  ]);
  expect(problemsOf(withKeys('sandbox: strict'), { landlockVersion: 0 })).toEqual([
    expect.stringMatching(/^3:14 .*sandbox: this kernel has no Landlock/),
  ]);
  expect(problemsOf(withKeys('sandbox: mild'))).toEqual([expect.stringMatching(/sandbox/)]);
});

test('a redirect may be strict, and has the network to which it connects', () => {
  const { run } = service(withKeys('redirect: localhost:80\nsandbox: strict'));
  expect(run).toMatchObject({
    process: {
      sandbox: {
        ...OF_STRICT,
        privateNetwork: false,
        deniedCalls: CALL_GROUPS.filter((group) => group !== 'sockets'),
      },
    },
  });
});
