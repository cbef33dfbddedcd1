/** Who may come: the grammar of a rule, and what all rules together say of a peer. */
import {
  type Access,
  accessOf,
  explainAccess,
  formatWhom,
  isAllowed,
  isWhom,
  parseWhom,
  type Rule,
} from '../../../src/service/access';
import type { Peer } from '../../../src/service/peer';

function rulesOf(verb: Rule['verb'], texts: readonly string[]): Rule[] {
  return texts.map((text) => {
    const whom = parseWhom(text);
    if (!isWhom(whom)) throw new Error(whom.message);
    return { verb, whom, text: `${verb} ${text}` };
  });
}

function access({ allow = [], deny = [] }: { allow?: string[]; deny?: string[] }): Access {
  return accessOf([...rulesOf('allow', allow), ...rulesOf('deny', deny)]);
}

function ip(address: string): Peer {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port: 1 };
}

function user(uid: number): Peer {
  return { family: 'unix', path: '', credentials: { pid: 1, uid, gid: uid } };
}

const VSOCK: Peer = { family: 'vsock', address: '3', port: 1025 };

test.each([
  ['10.0.0.5', '10.0.0.5'],
  ['10.0.0.5/32', '10.0.0.5'],
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8:0::/32', '2001:db8::/32'],
  ['::1', '::1'],
  ['::/0', '::/0'],
  ['unix:uid=0', 'unix:uid=0'],
  ['unix', 'unix'],
  ['vsock', 'vsock'],
  ['all', 'all'],
])('%s is written %s', (text, canonical) => {
  const whom = parseWhom(text);
  expect(isWhom(whom) && formatWhom(whom)).toBe(canonical);
});

test.each([
  ['10.0.0.5/8', '"10.0.0.5/8" has bits behind its prefix', 'write 10.0.0.0/8'],
  ['2001:db8::5/32', '"2001:db8::5/32" has bits behind its prefix', 'write 2001:db8::/32'],
  ['10.0.0.0/255.0.0.0', '"10.0.0.0/255.0.0.0" has a mask in place of a number of bits', 'write 10.0.0.0/8'],
  ['10.0.0.0/33', '"10.0.0.0/33" is not a network', 'write how many bits count behind the slash, 0 to 32'],
  ['::/129', '"::/129" is not a network', 'write how many bits count behind the slash, 0 to 128'],
  ['10.0.0.0/', '"10.0.0.0/" is not a network', 'write how many bits count behind the slash, 0 to 32'],
  [
    '10.0.0.0/255.0.255.0',
    '"10.0.0.0/255.0.255.0" is not a network',
    'write how many bits count behind the slash, 0 to 32',
  ],
  ['::ffff:10.0.0.0/104', '"::ffff:10.0.0.0/104" is an IPv4 address', 'write 10.0.0.0, with the bits of IPv4'],
  ['192.168.', '"192.168." is neither an address nor a network', 'write 192.168.0.0/16'],
  ['10/8', '"10/8" is neither an address nor a network', 'write 10.0.0.0/8'],
  ['[::1]', '"[::1]" is neither an address nor a network', 'write ::1 without brackets'],
  ['10.0.0.5:80', '"10.0.0.5:80" is neither an address nor a network', 'write 10.0.0.5: clients come from any port'],
  [
    '10.0.0.1-10.0.0.9',
    '"10.0.0.1-10.0.0.9" is neither an address nor a network',
    'ranges are written as networks: 10.0.0.0/29',
  ],
  ['ALL', '"ALL" is neither an address nor a network', 'write all'],
  ['unix:uid=bob', '"unix:uid=bob" is not a user of a Unix socket', expect.stringContaining('unix:uid=NUMBER')],
  ['unix:uid=4294967295', '"unix:uid=4294967295" is not a user of a Unix socket', expect.stringContaining('NUMBER')],
  [
    'example.org',
    '"example.org" is neither an address nor a network',
    expect.stringContaining('names are not looked up'),
  ],
  ['fe80::1%eth0', '"fe80::1%eth0" is neither an address nor a network', expect.stringContaining('not looked up')],
])('%s is told', (text, message, remedy) => {
  expect(parseWhom(text)).toEqual({ message, remedy });
});

test('without `allow` everybody may come who is not denied', () => {
  const rules = access({ deny: ['10.0.0.0/8'] });
  expect([ip('10.1.2.3'), ip('11.0.0.1'), ip('::1'), user(0), VSOCK].map((peer) => isAllowed(rules, peer))).toEqual([
    false,
    true,
    true,
    true,
    true,
  ]);
});

test('with `allow` nobody may come whom no rule is about', () => {
  const rules = access({ allow: ['10.0.0.0/8', 'unix:uid=1000'] });
  expect(
    [ip('10.1.2.3'), ip('11.0.0.1'), ip('::1'), user(1000), user(0), VSOCK].map((peer) => isAllowed(rules, peer)),
  ).toEqual([true, false, false, true, false, false]);
});

test('the most specific rule decides, whatever its verb and its place', () => {
  const rules = access({ allow: ['10.0.0.0/8', '10.1.1.7'], deny: ['10.1.0.0/16', 'all'] });
  const peers = ['10.2.0.1', '10.1.0.1', '10.1.1.7', '9.9.9.9', '::1'].map(ip);
  expect(peers.map((peer) => isAllowed(rules, peer))).toEqual([true, false, true, false, false]);
});

test('of two that are the same `deny` decides', () => {
  for (const text of ['10.0.0.5', '10.0.0.0/24', 'all']) {
    expect(isAllowed(access({ allow: [text], deny: [text] }), ip('10.0.0.5'))).toBe(false);
  }
  expect(isAllowed(access({ allow: ['unix:uid=7'], deny: ['unix:uid=7'] }), user(7))).toBe(false);
  expect(isAllowed(access({ allow: ['unix'], deny: ['unix'] }), user(7))).toBe(false);
});

test('a user of a Unix socket is more specific than the family, and that than all', () => {
  const rules = access({ allow: ['unix:uid=7', 'all'], deny: ['unix'] });
  expect([user(7), user(8), VSOCK, ip('10.0.0.1')].map((peer) => isAllowed(rules, peer))).toEqual([
    true,
    false,
    true,
    true,
  ]);
});

test('whose user the kernel does not tell is nobody’s', () => {
  const unknown: Peer = { family: 'unix', path: '', credentials: null };
  expect(isAllowed(access({ allow: ['unix:uid=0'] }), unknown)).toBe(false);
  expect(isAllowed(access({ allow: ['unix'] }), unknown)).toBe(true);
});

test('an IPv4 client of a socket for both families is known by its IPv4 address', () => {
  expect(isAllowed(access({ deny: ['10.0.0.0/8'] }), ip('::ffff:10.0.0.5'))).toBe(false);
  expect(isAllowed(access({ allow: ['::/0'] }), ip('::ffff:10.0.0.5'))).toBe(false);
});

test('says which rule decides', () => {
  const rules = access({ allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] });
  expect(explainAccess(rules, ip('10.1.0.1'))).toEqual({ isAllowed: false, rule: 'deny 10.1.0.0/16' });
  expect(explainAccess(rules, ip('10.2.0.1'))).toEqual({ isAllowed: true, rule: 'allow 10.0.0.0/8' });
  expect(explainAccess(rules, ip('11.0.0.1'))).toEqual({ isAllowed: false, rule: null });
});

test('a hundred thousand rules are one search', () => {
  const texts = Array.from({ length: 100_000 }, (_, at) => `10.${at >> 14}.${(at >> 6) & 255}.${(at & 63) * 4}/31`);
  const rules = access({ deny: texts });
  expect(rules.ipv4.values.length).toBeLessThanOrEqual(200_001);
  const answers = ['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.6.26.124', '11.0.0.0'].map((text) =>
    isAllowed(rules, ip(text)),
  );
  expect(answers).toEqual([false, false, true, false, true]);
});
