import { formatAddress } from '../../../src/service/address';
import { expandListen, formatListen, parseListen } from '../../../src/service/listen-text';

const NAMES = new Map([
  ['http', 80],
  ['netbios-ns', 137],
]);

function entry(text: string): Exclude<ReturnType<typeof parseListen>, { message: string }> {
  const parsed = parseListen(text, NAMES);
  if ('message' in parsed) throw new Error(parsed.message);
  return parsed;
}

function sockets(text: string, hasIpv6 = true): string[][] {
  return expandListen(entry(text), hasIpv6).map((address) => address.sockets.map(formatAddress));
}

test.each([
  ['7007', [['0.0.0.0:7007', '[::]:7007']]],
  ['*:7007', [['0.0.0.0:7007', '[::]:7007']]],
  ['7007/tcp', [['0.0.0.0:7007', '[::]:7007']]],
  ['7007/tcp4', [['0.0.0.0:7007']]],
  ['7007/tcp6', [['[::]:7007']]],
  ['*:7007/tcp6', [['[::]:7007']]],
  ['0', [['0.0.0.0:0', '[::]:0']]],
  ['127.0.0.1:80', [['127.0.0.1:80']]],
  ['127.0.0.1:80/tcp4', [['127.0.0.1:80']]],
  ['[::1]:80', [['[::1]:80']]],
  ['[0:0:0:0:0:0:0:1]:80', [['[::1]:80']]],
  ['[fe80::1%eth0]:80', [['[fe80::1%eth0]:80']]],
  ['http', [['0.0.0.0:80', '[::]:80']]],
  ['127.0.0.1:http', [['127.0.0.1:80']]],
  ['127.0.0.1:netbios-ns', [['127.0.0.1:137']]],
  ['127.0.0.1:10-12', [['127.0.0.1:10'], ['127.0.0.1:11'], ['127.0.0.1:12']]],
  ['65535', [['0.0.0.0:65535', '[::]:65535']]],
])('%s stands for its sockets', (text, expected) => {
  expect(sockets(text)).toEqual(expected);
});

test('without IPv6 a port alone is IPv4 alone', () => {
  expect(sockets('7007', false)).toEqual([['0.0.0.0:7007']]);
});

test.each(['7007', '*:80/tcp4', '*:80/tcp6', '127.0.0.1:http', '[::1]:10-12', '0'])(
  'the canonical spelling of %s means the same',
  (text) => {
    expect(entry(formatListen(entry(text)))).toEqual(entry(text));
  },
);

test.each([
  ['70000', 'port must be 0-65535, got 70000', null],
  ['-1', 'port must be 0-65535, got -1', null],
  ['080', 'port 080 is not a plain number', 'write 80'],
  ['htpt', 'unknown port name "htpt"; did you mean "http"?', 'write the number, or a TCP name from /etc/services'],
  ['::1:80', 'an IPv6 address stands in brackets', 'write [::1]:80'],
  ['::1', 'an IPv6 address stands in brackets', 'write [::1]:PORT'],
  ['fe80::1:80', 'an IPv6 address stands in brackets', 'write [fe80::1]:80'],
  ['22:22', '"22" is not an IP address', 'there is only one port, our own: write 22'],
  ['127.0.0.1:80:80', '"127.0.0.1:80:80" has too many colons', 'write one address and one port: ADDRESS:PORT'],
  [':80', 'there is no address before the colon', 'write 80 or *:80'],
  ['127.0.0.1', '127.0.0.1 has no port', 'write 127.0.0.1:PORT'],
  ['[::1]', '"[::1]" is not an address', 'write [ADDRESS]:PORT'],
  ['[127.0.0.1]:80', 'brackets are for IPv6 addresses', 'write 127.0.0.1:80'],
  ['[::ffff:1.2.3.4]:80', '::ffff:1.2.3.4 is an IPv4 address', 'write 1.2.3.4:80'],
  ['[fe80::1]:80', 'fe80::1 exists on every interface', 'name one: [fe80::1%INTERFACE]:80'],
  ['localhost:80', '"localhost" is not an IP address', 'write 127.0.0.1:80 or [::1]:80'],
  ['example.org:80', '"example.org" is not an IP address', 'names are not looked up: write the IP address'],
  ['256.0.0.1:80', '"256.0.0.1" is not an IP address', 'names are not looked up: write the IP address'],
  ['127.0.0.1:80/tcp6', '127.0.0.1 is not an address of that protocol', 'write 127.0.0.1:80'],
  ['12-10', 'the range 12-10 runs backwards', 'write 10-12'],
  ['0-10', 'port 0 lets the kernel choose and begins no range', 'begin at 1'],
  ['80/sctp', 'unknown protocol "sctp"', 'write /tcp, /tcp4 or /tcp6'],
  ['10.0.0.0/8', 'unknown protocol "8"', 'a network is no address: write ADDRESS:PORT'],
  ['', '"" is not an address', 'write a port, or ADDRESS:PORT'],
])('refuses %j with the remedy', (text, message, remedy) => {
  expect(parseListen(text, NAMES)).toEqual({ message, remedy });
});

test.each(['80/udp', 'unix:/run/x', 'unix-dgram:/run/x', '/run/x', 'vsock:5', 'fd:web'])(
  'says that %s is not supported yet',
  (text) => {
    expect(parseListen(text, NAMES)).toMatchObject({ message: expect.stringContaining('not supported') as string });
  },
);

test('says so when the machine knows no port names at all', () => {
  expect(parseListen('http', new Map())).toMatchObject({
    message: 'unknown port name "http": this machine has no /etc/services',
  });
});
