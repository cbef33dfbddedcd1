import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfigurationText } from '../../../../src/config/load';
import { explainAccess, isAllowed } from '../../../../src/service/access';
import { OPEN } from '../../../../src/service/admission';
import type { Peer } from '../../../../src/service/peer';
import { makeFolder } from '../../../system/fixtures';
import { endAll } from '../../../system/endings';
import { pretendMachine } from '../pretend-machine';
import { commandOf, load, problemsOf, service, withKeys } from '../loading';

afterEach(endAll);

function ip(address: string): Peer {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port: 1 };
}

/** Which of these may come, by the keys of a service. */
function admitted(keys: string, addresses: readonly string[], file = 'services.yaml'): string[] {
  const { access } = service(withKeys(keys), {}, file).admission;
  return addresses.filter((address) => access === null || isAllowed(access, ip(address)));
}

test.each([
  ['', 100],
  ['max_connections: 101', 100],
  ['max_connections: 100', 99],
  ['max_connections: 2', 1],
  ['max_per_peer: 7', 7],
])('with %j one peer has %d children at the most', (keys, share) => {
  const { configuration, effective } = load(withKeys(keys));
  expect(configuration.services[0]?.admission.maxPerPeer).toBe(share);
  expect(effective.services['a']).toMatchObject({ max_per_peer: share, peer_prefix: { v4: 32, v6: 64 } });
});

test.each(['max_connections: 1', 'max_per_peer: 1000', 'max_connections: 5\nmax_per_peer: 6'])(
  'with %j a peer has no limit of its own: that of the service comes first',
  (keys) => {
    expect(service(withKeys(keys)).admission.maxPerPeer).toBeNull();
  },
);

test('without rules nothing is asked about addresses', () => {
  expect(service(withKeys('deny: []')).admission.access).toBeNull();
  expect(load(withKeys('deny: []')).effective.services['a']).not.toHaveProperty('deny');
});

test('rules are lists of addresses and networks', () => {
  const keys = 'allow: [10.0.0.0/8, "::1"]\ndeny: [10.1.0.0/16]';
  expect(admitted(keys, ['10.0.0.1', '10.1.0.1', '11.0.0.1', '::1', '::2'])).toEqual(['10.0.0.1', '::1']);
});

test('are shown as they are understood, and what is shown is the same again', () => {
  const text = withKeys('allow: ["2001:DB8::/32", 10.0.0.1/32]\ndeny: [all]');
  expect(load(text).effective.services['a']).toMatchObject({ allow: ['2001:db8::/32', '10.0.0.1'], deny: ['all'] });
});

test('a service has the rules of the defaults, each kind unless it says its own', () => {
  const text = `defaults: {deny: [10.1.0.0/16], allow: [10.0.0.0/8]}\n${withKeys('allow: [all]')}`;
  const { access } = service(text).admission;
  expect(['10.1.0.1', '11.0.0.1'].map((address) => access !== null && isAllowed(access, ip(address)))).toEqual([
    false,
    true,
  ]);
});

test.each([
  ['allow: [10.0.0.5/8]', '3:13 services.a.allow[0]: "10.0.0.5/8" has bits behind its prefix (write 10.0.0.0/8)'],
  ['deny: [all, x.org]', /^3:17 services\.a\.deny\[1\]: "x\.org" is neither an address nor a network \(names are not/],
  ['allow: []', '3:12 services.a.allow: the list is empty'],
  ['allow: 10.0.0.0/8', '3:12 services.a.allow: expected a list, got "10.0.0.0/8" (write [10.0.0.0/8])'],
  ['max_per_peer: 0', '3:19 services.a.max_per_peer: must be at least 1, got 0'],
  ['peer_prefix: {v4: 33}', '3:23 services.a.peer_prefix.v4: must be at most 32, got 33'],
  ['peer_prefix: {v5: 3}', /unknown key "v5"/],
])('%s is told', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
});

test('rates are as they are written, and shown so', () => {
  const { configuration, effective } = load(withKeys('rate: 1000/10s\nrate_per_peer: 5/h\nwhen_limited: wait'));
  expect(configuration.services[0]?.admission).toMatchObject({
    rate: { count: 1000, perMs: 10_000 },
    ratePerPeer: { count: 5, perMs: 3_600_000 },
    whenLimited: 'wait',
  });
  expect(effective.services['a']).toMatchObject({ rate: '1000/10s', rate_per_peer: '5/h', when_limited: 'wait' });
  expect(load(withKeys('')).effective.services['a']).not.toHaveProperty('when_limited');
});

test.each([
  ['rate: 50', '3:11 services.a.rate: expected a string, got the number 50 (write 50/s)'],
  ...['0/s', '50', '5/ms', '50/0s', '50/2d', '5 / s', '-1/s', 'fast'].map((text): [string, string] => [
    `rate: "${text}"`,
    `3:11 services.a.rate: "${text}" is not a rate (write a number and a time: 50/s, 300/m, 1000/10s)`,
  ]),
])('%s is told as well', (keys, problem) => {
  expect(problemsOf(withKeys(keys))).toEqual([problem]);
});

test('a built-in over UDP keeps the rate of a peer by itself', () => {
  const text = withKeys('listen: 7/udp\nbuiltin: echo\nrate_per_peer: 300/m');
  expect(commandOf(service(text)).argv).toEqual(expect.arrayContaining(['--datagram', '--rate', '300/60', 'echo']));
  expect(load(text).effective.services['a']).toMatchObject({ rate_per_peer: '300/m' });
  expect(service(text).admission).toEqual(OPEN);
  expect(problemsOf(withKeys('listen: 7/udp\nrate_per_peer: 5/s')).join()).toContain('has no meaning with "listen"');
  expect(problemsOf(withKeys('listen: 7/udp\nbuiltin: echo\nrate: 5/s')).join()).toContain('"rate" has no meaning');
});

test('the time for a first byte is a duration, and means nothing to tcpmux, or where a program accepts by itself', () => {
  expect(service(withKeys('first_byte_timeout: 10s')).admission.firstByteMs).toBe(10_000);
  expect(load(withKeys('first_byte_timeout: 10s')).effective.services['a']).toMatchObject({
    first_byte_timeout: '10s',
  });
  const defaults = 'defaults: {first_byte_timeout: 10s}\n';
  expect(service(`${defaults}${withKeys('builtin: tcpmux')}`).admission.firstByteMs).toBeNull();
  expect(service(`${defaults}${withKeys('wait: true')}`).admission.firstByteMs).toBeNull();
  expect(problemsOf(withKeys('builtin: tcpmux\nfirst_byte_timeout: 1s')).join()).toContain('has no meaning');
  expect(problemsOf(withKeys('first_byte_timeout: 0s')).join()).toContain('is shorter than 1ms');
});

describe('when it is open', () => {
  test('is as it is written, and shown so', () => {
    const text = withKeys('hours: [Mon-Fri 08:00-18:00 Europe/Berlin, "Sat"]\nfrom: 2026-01-01\nuntil: 2026-12-31');
    expect(service(text).admission.times).toMatchObject({
      hours: [
        { days: 31, from: 480, to: 1080, zone: 'Europe/Berlin' },
        { days: 32, from: 0, to: 1440, zone: null },
      ],
      untilMs: new Date(2027, 0, 1).getTime(),
    });
    expect(load(text).effective.services['a']).toMatchObject({
      hours: ['Mon-Fri 08:00-18:00 Europe/Berlin', 'Sat'],
      from: '2026-01-01',
      until: '2026-12-31',
    });
    expect(service(withKeys('hours: 08:00-18:00')).admission.times?.hours).toHaveLength(1);
  });

  test.each([
    ['hours: Mon 8-18', /services\.a\.hours: "8-18" in "Mon 8-18" is no time/],
    [
      'hours: Mon 08:00-18:00 Mars/Crater',
      /there is no time zone "Mars\/Crater" \(write a name such as Europe\/Berlin/,
    ],
    ['from: tomorrow', /"tomorrow" is not a date \(write 2026-12-24/],
    ['from: 2026-12-24\nuntil: 2026-12-23', /"until" is not after "from" \(services\.yaml:3:5\)/],
    ['wait: true\nhours: Mon', /"hours" has no meaning with "wait"/],
  ])('%s is told', (keys, problem) => {
    expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
  });
});

describe('what is said to clients', () => {
  test('is text with placeholders, and shown as it is written', () => {
    const text = withKeys('banner: "hello %{peer.address}\\r\\n"\nrefuse_message: "100%% full\\n"');
    expect(service(text).messages).toEqual({ admitted: 'hello %{peer.address}\r\n', refused: '100%% full\n' });
    expect(load(text).effective.services['a']).toMatchObject({ refuse_message: '100%% full\n' });
    expect(service(withKeys('')).messages).toEqual({ admitted: null, refused: null });
  });

  test.each([
    ['banner: "100%"', /services\.a\.banner: "%" begins a placeholder/],
    ['banner: "%{fd}"', /%\{fd\} has no meaning to a client/],
    ['refuse_message: "%{connection}"', /who is refused has no number/],
    ['refuse_message: ""', /must not be empty/],
    [`banner: ${'x'.repeat(4097)}`, /longer than the 4096 bytes/],
    ['wait: true\nbanner: x', /"banner" has no meaning with "wait"/],
    ['builtin: tcpmux\nbanner: x', /"banner" has no meaning with "builtin"/],
  ])('%s is told', (keys, problem) => {
    expect(problemsOf(withKeys(keys))).toEqual([expect.stringMatching(problem)]);
  });

  test('by defaults means nothing to a service that waits', () => {
    const text = `defaults: {banner: hello, refuse_message: sorry}\n${withKeys('wait: true')}`;
    expect(service(text).messages).toEqual({ admitted: null, refused: null });
    expect(load(text).effective.services['a']).not.toHaveProperty('banner');
  });
});

describe('a service that waits', () => {
  test.each(['allow: [10.0.0.0/8]', 'deny: [10.0.0.0/8]', 'deny_from: /tmp/x'])('can keep no rule: %s', (line) => {
    const key = line.replace(/:.*/, '');
    const [problem = ''] = problemsOf(withKeys(`wait: true\n${line}`));
    expect(problem).toContain(`4:5 services.a.${key}: "${key}" cannot be kept: the program of this service takes`);
    expect(problem).toContain('let a firewall decide');
  });

  test('nor one of the defaults, unless it says that everybody may come', () => {
    const defaults = 'defaults: {deny: [10.0.0.0/8], allow: [all]}\n';
    expect(problemsOf(`${defaults}${withKeys('wait: true')}`)).toEqual([
      '3:3 services.a: "deny" of the defaults (services.yaml:1:12) cannot be kept: the program of this service takes' +
        ' from the socket what it wants (let a firewall decide, and write "deny: []" in the service)',
    ]);
    expect(service(`${defaults}${withKeys('wait: true\ndeny: []')}`).admission.access).toBeNull();
  });

  test('has no use for what defaults say of peers', () => {
    expect(service(`defaults: {max_per_peer: 5}\n${withKeys('wait: true')}`).admission.maxPerPeer).toBeNull();
    expect(problemsOf(withKeys('wait: true\nmax_per_peer: 5')).join()).toContain('"max_per_peer" has no meaning');
  });
});

describe('rules in files', () => {
  function write(text: string): { file: string; yaml: string } {
    const folder = makeFolder();
    writeFileSync(join(folder, 'office'), text);
    return { file: join(folder, 'office'), yaml: join(folder, 'services.yaml') };
  }

  test('stand one on each line, and lie beside the file that names them', () => {
    const { yaml, file } = write('# the office\n10.0.0.0/8\n\n  ::1   # here\n');
    const { configuration, effective } = load(withKeys('allow_from: office\ndeny: [10.1.0.0/16]'), {}, yaml);
    const access = configuration.services[0]?.admission.access ?? null;
    if (access === null) throw new Error('there are no rules');
    expect(explainAccess(access, ip('10.0.0.1'))).toEqual({ isAllowed: true, rule: `allow 10.0.0.0/8 (${file}:2)` });
    expect(explainAccess(access, ip('::1')).rule).toBe(`allow ::1 (${file}:4)`);
    expect(['10.1.0.1', '11.0.0.1'].map((address) => isAllowed(access, ip(address)))).toEqual([false, false]);
    expect(effective.services['a']).toMatchObject({ allow_from: [file], deny: ['10.1.0.0/16'] });
  });

  test('that name nobody allow nobody', () => {
    const { yaml } = write('# nobody yet\n');
    expect(admitted('allow_from: office', ['10.0.0.1', '::1'], yaml)).toEqual([]);
    expect(admitted('deny_from: [office]', ['10.0.0.1'], yaml)).toEqual(['10.0.0.1']);
  });

  test('are told with line and column where they are wrong, once for all services', () => {
    const { yaml } = write('10.0.0.0/8\n  10.0.0.5/8\nexample.org\n');
    const text = `${withKeys('deny_from: office')}  b: {listen: 7008, exec: cat, deny_from: [office]}\n`;
    const problems = problemsOf(text, {}, yaml);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toBe('2:3 "10.0.0.5/8" has bits behind its prefix (write 10.0.0.0/8)');
    expect(problems[1]).toContain('3:1 "example.org" is neither an address nor a network');
  });

  test('that cannot be read make the service unavailable, and no other', () => {
    const { yaml } = write('');
    const text = `${withKeys('allow_from: nowhere')}  b: {listen: 7008, exec: cat}\n`;
    const result = loadConfigurationText(text, yaml, pretendMachine());
    expect(result.ok && result.configuration.lacks).toMatchObject([{ name: 'a' }]);
  });

  test('as root, one that everybody may write is refused', () => {
    const { yaml, file } = write('10.0.0.0/8\n');
    chmodSync(file, 0o666);
    expect(problemsOf(withKeys('allow_from: office'), {}, yaml)).toEqual([
      `3:17 services.a.allow_from: everybody may write ${file}, and it says who may come (chmod o-w ${file})`,
    ]);
  });

  test('are shared by all services that say the same', () => {
    const { yaml } = write('10.0.0.0/8\n');
    const text = 'defaults: {deny_from: office}\nservices:\n  a: {listen: 7, exec: cat}\n  b: {listen: 8, exec: cat}\n';
    const [a, b] = load(text, {}, yaml).configuration.services;
    expect(a?.admission.access).not.toBeNull();
    expect(a?.admission.access).toBe(b?.admission.access);
  });
});
