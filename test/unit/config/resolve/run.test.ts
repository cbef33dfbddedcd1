import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../../../src/config/machine/machine';
import { loadConfigurationText } from '../../../../src/config/load';
import { pretendMachine } from '../pretend-machine';
import { commandOf, load, onlyKeys, problemsOf, processOf, service, withKeys } from '../loading';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stdiod-50%-')));
writeFileSync(join(folder, 'quotes'), 'one\n');
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const file = join(folder, 'services.yaml');

function argvOf(keys: string): readonly string[] {
  return commandOf(service(withKeys(keys), {}, file)).argv;
}

describe('what runs', () => {
  test('is exactly one of exec, builtin and redirect', () => {
    expect(problemsOf(withKeys('exec: cat\nredirect: host:80\nbuiltin: echo'))).toEqual([
      '4:5 services.a.redirect: "redirect" and "exec" (services.yaml:3:5) exclude each other (remove one of them)',
      '5:5 services.a.builtin: "builtin" and "exec" (services.yaml:3:5) exclude each other (remove one of them)',
    ]);
    expect(problemsOf(onlyKeys('listen: 7'))).toEqual([
      '2:3 services.a: "exec", "builtin" or "redirect" is missing (add a line such as "exec: tr a-z A-Z")',
    ]);
  });

  test('is not called missing when it is there and wrong', () => {
    expect(problemsOf(withKeys('exec: 5'))).toHaveLength(1);
    expect(problemsOf(withKeys('builtin: ecko'))).toEqual([
      expect.stringContaining('got "ecko"; did you mean "echo"?') as string,
    ]);
  });

  test.each(['builtin: echo', 'redirect: host:80', 'tcpmux: true', 'amplify: true', 'quotes: x'])(
    'is not for defaults: %s',
    (line) => {
      expect(problemsOf(`defaults: {${line}}\n${withKeys('')}`).join()).toContain('every service says its own');
    },
  );
});

describe('a built-in', () => {
  test('is a command of our own', () => {
    const loaded = service(withKeys('builtin: echo\nuser: alice'));
    expect(loaded).toMatchObject({ wait: false, run: { process: { identity: { user: 'alice' } } } });
    expect(commandOf(loaded)).toEqual({ path: '/bin/cat', argv: ['builtin', 'echo'] });
  });

  test('over datagrams waits, and is told every UDP port of ours that it must not answer', () => {
    const text =
      'services:\n' +
      '  echo: {listen: [7/udp, "127.0.0.1:0/udp"], builtin: echo}\n' +
      '  time: {listen: 37/udp4, builtin: time, amplify: true}\n' +
      '  tcp: {listen: 13, builtin: daytime}\n' +
      '  own: {listen: [5000-5002/udp, 6000], wait: true, exec: cat}\n' +
      '  off: {listen: 99/udp, exec: cat, enabled: false}\n';
    const { services } = load(text).configuration;
    expect(services.slice(0, 3).map((each) => [each.wait, ...commandOf(each).argv])).toEqual([
      [true, 'builtin', '--ports', '7,37,5000-5002', '--datagram', 'echo'],
      [true, 'builtin', '--ports', '7,37,5000-5002', '--datagram', '--amplify', 'time'],
      [false, 'builtin', 'daytime'],
    ]);
    expect(commandOf(load(text).configuration.services[3] ?? service('')).argv).toEqual(['cat']);
  });

  test('on a port that the kernel chooses has no ports to be told', () => {
    expect(argvOf('listen: 0/udp\nbuiltin: echo')).toEqual(['builtin', '--datagram', 'echo']);
  });

  test('qotd has a file of quotes', () => {
    const escaped = join(folder, 'quotes').replaceAll('%', '%%');
    expect(argvOf('builtin: qotd\nquotes: quotes')).toEqual(['builtin', '--file', escaped, 'qotd']);
    expect(problemsOf(withKeys('builtin: qotd')).join()).toContain('3:5 services.a: "quotes" is missing');
    const problem = (quotes: string, changes = {}): string =>
      problemsOf(withKeys(`builtin: qotd\nquotes: ${quotes}`), changes, file).join();
    expect(problem('nosuch')).toContain(`${folder}/nosuch does not exist`);
    expect(problem('.')).toContain(`${folder} is not a regular file`);
    const closed = { whyNotReadable: () => 'EACCES', whyNotExecutable: () => null };
    expect(problem('quotes', closed)).toContain(`user nobody may not read ${folder}/quotes (EACCES) (chmod o+r `);
  });

  test('says so when its program is not there', () => {
    expect(problemsOf(withKeys('builtin: echo'), { ownProgram: (name) => `/no/${name}` })).toEqual([
      "3:14 services.a.builtin: stdiod's own program: /no/builtin does not exist" +
        ' (compile it: "npm run install" in the folder of stdiod)',
    ]);
  });

  test.each([
    ['builtin: echo\nargv0: x', '4:5 services.a.argv0: "argv0" has no meaning with "builtin" (services.yaml:3:5)'],
    ['builtin: echo\nquotes: x', '4:5 services.a.quotes: "quotes" has no meaning with "builtin" (services.yaml:3:5)'],
    ['builtin: echo\namplify: true', '4:5 services.a.amplify: "amplify" has no meaning with "builtin"'],
    ['builtin: echo\nwait: true', '4:5 services.a.wait: "wait" has no meaning with "builtin"'],
    ['exec: cat\namplify: true', '"amplify" has no meaning with "exec" (services.yaml:3:5): only a built-in has it'],
    ['exec: cat\nquotes: x', '"quotes" has no meaning with "exec" (services.yaml:3:5)'],
    ['builtin: echo\nlisten: [7, 7/udp]', '4:17 services.a.listen[1]: a service cannot take both'],
    [
      'builtin: echo\nwait: true\nlisten: [7/udp, 7]',
      '5:21 services.a.listen[1]: "builtin" (services.yaml:3:5) takes either datagrams or connections only',
    ],
  ])('refuses %j', (keys, expected) => {
    expect(problemsOf(withKeys(keys)).join('\n')).toContain(expected);
  });
});

describe('tcpmux', () => {
  const mux = '  mux: {listen: 1, builtin: tcpmux}\n';

  test('is no process, and offers services that need no address', () => {
    const [a, multiplexer] = load(`${onlyKeys('tcpmux: true\nexec: cat')}${mux}`).configuration.services;
    expect(a).toMatchObject({ tcpmux: 'plain', listen: [], run: { kind: 'exec' } });
    expect(multiplexer).toMatchObject({ run: { kind: 'tcpmux' }, tcpmux: null });
    expect(service(`${withKeys('tcpmux: plus')}${mux}`)).toMatchObject({ tcpmux: 'plus', listen: [{}] });
    expect(service(withKeys('tcpmux: false')).tcpmux).toBeNull();
  });

  test('has to be there for those that are offered', () => {
    const offered = onlyKeys('tcpmux: true\nexec: cat');
    expect(problemsOf(offered)).toEqual([
      '3:5 services.a.tcpmux: no service has "builtin: tcpmux", through which this one could be asked for by name' +
        ' (add one: "tcpmux: {listen: 1, builtin: tcpmux}")',
    ]);
    expect(problemsOf(`${offered}${mux.replace('}', ', enabled: false}')}`)).toHaveLength(1);
    expect(problemsOf(onlyKeys('tcpmux: true\nexec: cat\nenabled: false'))).toEqual([]);
  });

  test.each([
    ['builtin: tcpmux\nuser: alice', '"user" has no meaning with "builtin" (services.yaml:3:5): tcpmux starts no'],
    ['builtin: tcpmux\namplify: true', '"amplify" has no meaning with "builtin" (services.yaml:3:5)'],
    ['builtin: tcpmux\nquotes: x', '"quotes" has no meaning with "builtin" (services.yaml:3:5)'],
    ['builtin: tcpmux\nargv0: x', '"argv0" has no meaning with "builtin"'],
    ['builtin: tcpmux\nlisten: 1/udp', '4:13 services.a.listen: "builtin" (services.yaml:3:5) takes streams only'],
    ['builtin: tcpmux\nlisten: "unix-seqpacket:@x"', 'takes streams only'],
    ['builtin: tcpmux\nwait: true', '"wait" has no meaning with "builtin"'],
    ['builtin: echo\ntcpmux: true', '4:5 services.a.tcpmux: "tcpmux" has no meaning with "builtin"'],
    ['redirect: host:80\ntcpmux: true', '"tcpmux" has no meaning with "redirect" (services.yaml:3:5)'],
    ['wait: true\ntcpmux: true', '"tcpmux" has no meaning with "wait" (services.yaml:3:5)'],
    ['tcpmux: true\nlisten: 1/udp', '4:13 services.a.listen: "tcpmux" (services.yaml:3:5) takes streams only'],
    ['tcpmux: yes', 'expected true or false or plus, got "yes" (write true)'],
  ])('refuses %j', (keys, expected) => {
    expect(problemsOf(`${withKeys(keys)}${mux.replace('1', '2')}`).join('\n')).toContain(expected);
  });

  test('keeps the word "help" for itself', () => {
    const text = `services:\n  Help: {tcpmux: true, exec: cat}\n${mux}`;
    expect(problemsOf(text).join()).toContain('2:10 services.Help.tcpmux: a service that is offered by name cannot be');
  });

  test('without an address has no socket to set options of', () => {
    expect(problemsOf(`${onlyKeys('tcpmux: true\nexec: cat\nsocket: {nodelay: true}')}${mux}`)).toEqual([
      '5:5 services.a.socket: "socket" has no meaning without "listen" (remove "socket")',
    ]);
  });
});

describe('redirect', () => {
  test('is a command of our own, which says things to us and not to the client', () => {
    const own: Partial<Machine> = { ownProgram: (name) => (name === 'redirect' ? '/bin/cat' : '/no/such') };
    const loaded = service(withKeys('redirect: db.example.org:http\nuser: alice'), own);
    expect(commandOf(loaded)).toEqual({ path: '/bin/cat', argv: ['redirect', 'db.example.org:80'] });
    expect(loaded).toMatchObject({ wait: false, maxConnections: 1000 });
    expect(processOf(loaded)).toMatchObject({ stderr: 'report', identity: { user: 'alice' } });
  });

  test('runs as defaults say, but for where its words go', () => {
    const defaults = 'defaults: {user: alice, umask: "077", env: {A: x}, stderr: null, directory: /tmp}\n';
    expect(processOf(service(`${defaults}${withKeys('redirect: host:80')}`))).toMatchObject({
      identity: { user: 'alice' },
      environment: expect.objectContaining({ A: 'x' }) as object,
      directory: '/tmp',
      umask: 0o77,
      stderr: 'report',
    });
  });

  test('says so when its program is not there', () => {
    expect(problemsOf(withKeys('redirect: host:80'), { ownProgram: (name) => `/no/${name}` })).toEqual([
      "3:15 services.a.redirect: stdiod's own program: /no/redirect does not exist" +
        ' (compile it: "npm run install" in the folder of stdiod)',
    ]);
  });

  test('to a Unix socket starts from the folder of the file', () => {
    const escaped = folder.replaceAll('%', '%%');
    expect(argvOf('redirect: unix:run/x')).toEqual(['redirect', `unix:${escaped}/run/x`]);
    expect(argvOf('redirect: "unix:@x"')).toEqual(['redirect', 'unix:@x']);
    expect(problemsOf(withKeys(`redirect: unix:/${'x'.repeat(107)}`)).join()).toContain('has 108 bytes');
  });

  test.each(['7007', 'unix:/run/x', 'vsock:5000'])('takes streams of every kind: %s', (listen) => {
    expect(problemsOf(withKeys(`redirect: host:80\nlisten: ${listen}`))).toEqual([]);
  });

  test.each([
    ['argv0: x', '"argv0" has no meaning with "redirect"'],
    ['stderr: null', '"stderr" has no meaning with "redirect" (services.yaml:3:5): what it has to say goes to the log'],
    ['amplify: true', '"amplify" has no meaning with "redirect"'],
    ['quotes: x', '"quotes" has no meaning with "redirect"'],
    ['wait: true', '"wait" has no meaning with "redirect" (services.yaml:3:5): each connection is forwarded by itself'],
    ['listen: 7/udp', '4:13 services.a.listen: "redirect" (services.yaml:3:5) takes streams only'],
    ['listen: "unix-seqpacket:@x"', 'takes streams only'],
  ])('refuses %s', (line, expected) => {
    expect(problemsOf(withKeys(`redirect: host:80\n${line}`)).join('\n')).toContain(expected);
  });

  test.each([
    ['localhost:7007', '7007'],
    ['127.0.0.2:7007', '7007'],
    ['"[::1]:7007"', '"[::1]:7007"'],
    ['unix:/tmp/x', 'unix:/tmp/x'],
    ['"unix:@x"', '"unix:@x"'],
  ])('to %s does not lead back to %s', (target, listen) => {
    expect(problemsOf(withKeys(`redirect: ${target}\nlisten: ${listen}`)).join()).toContain('to itself');
  });

  test.each([
    ['192.0.2.7:7007', '7007', true],
    ['"[2001:db8::7]:7007"', '7007', true],
    ['192.0.2.8:7007', '7007', false],
    ['"[2001:db8::7]:7007"', '7007/tcp4', false],
    ['192.0.2.7:7007', '127.0.0.1:7007', false],
    ['192.0.2.7:7008', '7007', false],
  ])('to %s leads back to %s where that is an address of the machine: %s', (target, listen, isCircle) => {
    const problems = problemsOf(withKeys(`redirect: ${target}\nlisten: ${listen}`)).join();
    expect(problems.includes('to itself')).toBe(isCircle);
  });

  function circleOf(targets: Readonly<Record<string, string>>): string[] {
    const lines = Object.entries(targets).map(([name, keys]) => `  ${name}: {${keys}}\n`);
    return problemsOf(`services:\n${lines.join('')}`);
  }

  test('refuses services that forward to each other, each with the whole way', () => {
    const problems = circleOf({
      a: 'listen: 1001, redirect: "127.0.0.1:1002"',
      b: 'listen: 1002, redirect: "unix:/tmp/c"',
      c: 'listen: unix:/tmp/c, redirect: "192.0.2.7:1001"',
      into: 'listen: 1003, redirect: "127.0.0.1:1001"',
    });
    expect(problems).toEqual([
      '2:31 services.a.redirect: connections would go round for ever: a -> b -> c -> a (name another target)',
      '3:31 services.b.redirect: connections would go round for ever: b -> c -> a -> b (name another target)',
      '4:38 services.c.redirect: connections would go round for ever: c -> a -> b -> c (name another target)',
    ]);
  });

  test('lets services forward to others that end somewhere', () => {
    const chain = { a: 'listen: 1001, redirect: "127.0.0.1:1002"', b: 'listen: 1002, redirect: "127.0.0.1:80"' };
    expect(circleOf(chain)).toEqual([]);
    expect(circleOf({ ...chain, c: 'enabled: false, listen: 80, redirect: "127.0.0.1:1001"' })).toEqual([]);
    expect(circleOf({ ...chain, c: 'listen: 80/udp, exec: cat, wait: true' })).toEqual([]);
  });

  test('takes a target on an interface that is there', () => {
    const problem =
      'services.a.redirect: there is no network interface "nosuch" (the interfaces here are lo, eth0, eth1)';
    expect(problemsOf(withKeys('redirect: "[fe80::1%nosuch]:80"')).join()).toContain(problem);
    expect(problemsOf(withKeys('redirect: "[fe80::1%eth0]:80"'))).toEqual([]);
  });

  test('explains xinetd’s way to write it', () => {
    expect(problemsOf(withKeys('redirect: 10.1.1.1 80')).join()).toContain('has a blank in it (write 10.1.1.1:80)');
  });
});

describe('a file for standard error', () => {
  test('is relative to the file that names it', () => {
    const open = { whyNotExecutable: () => null };
    const stderrOf = (keys: string): unknown => processOf(service(withKeys(keys), open, file)).stderr;
    expect(stderrOf('stderr: ./x%1.log')).toEqual({ file: join(folder, 'x%1.log') });
    expect(stderrOf('stderr: /var/log/../x.log')).toEqual({ file: '/var/x.log' });
    expect(stderrOf('wait: true\nstderr: ./x')).toEqual({ file: join(folder, 'x') });
  });

  test('that cannot be had is a problem of this machine', () => {
    const text = withKeys('stderr: /no/such/x.log');
    const result = loadConfigurationText(text, file, pretendMachine());
    expect(result).toMatchObject({ ok: true, diagnostics: [{ message: 'the folder /no/such does not exist' }] });
  });
});
