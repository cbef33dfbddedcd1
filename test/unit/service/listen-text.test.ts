import { formatAddress } from '../../../src/service/address';
import {
  type PassedSocket,
  expandListen,
  formatListen,
  parseListen,
  sampleSockets,
} from '../../../src/service/listen-text';

const NAMES = {
  tcp: new Map([
    ['http', 80],
    ['netbios-ns', 137],
  ]),
  udp: new Map([['tftp', 69]]),
};

function namesOf(protocol: 'tcp' | 'udp'): Map<string, number> {
  return NAMES[protocol];
}

const PASSED: readonly PassedSocket[] = [
  { name: 'web', number: 3, type: 'stream' },
  { name: 'all', number: 4, type: 'stream' },
  { name: 'all', number: 5, type: 'datagram' },
];

function entry(text: string): Exclude<ReturnType<typeof parseListen>, { message: string }> {
  const parsed = parseListen(text, namesOf);
  if ('message' in parsed) throw new Error(parsed.message);
  return parsed;
}

function sockets(text: string, hasIpv6 = true): string[][] {
  return expandListen(entry(text), { hasIpv6, passed: PASSED }).map((address) => address.sockets.map(formatAddress));
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
  ['69/udp', [['0.0.0.0:69/udp', '[::]:69/udp']]],
  ['tftp/udp', [['0.0.0.0:69/udp', '[::]:69/udp']]],
  ['69/udp4', [['0.0.0.0:69/udp']]],
  ['*:69/udp6', [['[::]:69/udp']]],
  ['0/udp', [['0.0.0.0:0/udp', '[::]:0/udp']]],
  ['127.0.0.1:69/udp', [['127.0.0.1:69/udp']]],
  ['[::1]:69-70/udp6', [['[::1]:69/udp'], ['[::1]:70/udp']]],
  ['unix:/run/x', [['unix:/run/x']]],
  ['unix:@x/udp', [['unix:@x/udp']]],
  ['unix-dgram:/run/x', [['unix-dgram:/run/x']]],
  ['unix-seqpacket:@x', [['unix-seqpacket:@x']]],
  ['vsock:4294967294', [['vsock:4294967294']]],
  ['fd:web', [['fd:web']]],
  ['fd:3', [['fd:3']]],
  ['fd:all', [['fd:4'], ['fd:5']]],
])('%s stands for its sockets', (text, expected) => {
  expect(sockets(text)).toEqual(expected);
});

test('without IPv6 a port alone is IPv4 alone', () => {
  expect(sockets('7007', false)).toEqual([['0.0.0.0:7007']]);
});

test.each([
  ...['7007', '*:80/tcp4', '*:80/tcp6', '127.0.0.1:http', '[::1]:10-12', '0'],
  ...['69/udp', '69/udp4', '*:69-70/udp6', '127.0.0.1:tftp/udp', '[::1]:69/udp'],
  ...['unix:/run/x', 'unix:@x', 'unix-dgram:x', 'unix-seqpacket:x', 'vsock:5', 'fd:web'],
])('the canonical spelling of %s means the same', (text) => {
  expect(entry(formatListen(entry(text)))).toEqual(entry(text));
});

test.each([
  ['70000', 'port must be 0-65535, got 70000', null],
  ['-1', 'port must be 0-65535, got -1', null],
  ['080', 'port 080 is not a plain number', 'write 80'],
  ['tftp', '"tftp" is a port of UDP alone', 'write tftp/udp'],
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
  ['80/sctp', 'unknown protocol "sctp"', 'write /tcp, /udp, /tcp4, /tcp6, /udp4 or /udp6'],
  ['127.0.0.1:80/udp6', '127.0.0.1 is not an address of that protocol', 'write 127.0.0.1:80/udp'],
  ['http/udp', 'unknown port name "http"', 'write the number, or a UDP name from /etc/services'],
  ['/run/x', '"/run/x" is not an address', 'for a Unix socket write unix:/run/x'],
  ['./x', '"./x" is not an address', 'for a Unix socket write unix:./x'],
  ['@x', '"@x" is not an address', 'for a Unix socket write unix:@x'],
  ['unix:', '"unix:" names no socket', 'write unix:/run/NAME or unix:@NAME'],
  ['unix-dgram:@', '"unix-dgram:@" names no socket', 'write unix-dgram:/run/NAME or unix-dgram:@NAME'],
  ['unix:/x\0y', 'the name of a socket cannot hold a NUL character', null],
  ['unix:/\ud800', 'half of a surrogate pair cannot be written as UTF-8', null],
  ['unix:~/x', 'no shell reads the path: "~" stays as it is', 'write the full path'],
  ['vsock:0', 'a vsock port is a number from 1 to 4294967294, got "0"', null],
  ['vsock:4294967295', 'a vsock port is a number from 1 to 4294967294, got "4294967295"', null],
  [
    'vsock:2:80',
    'a vsock port is a number from 1 to 4294967294, got "2:80"',
    'the context is our own: write vsock:PORT',
  ],
  [
    'fd:a:b',
    '"a:b" is not the name of a passed socket',
    'write fd:NAME, with the FileDescriptorName= of the socket unit, or fd:3 for the first socket',
  ],
  ['10.0.0.0/8', 'unknown protocol "8"', 'a network is no address: write ADDRESS:PORT'],
  ['', '"" is not an address', 'write a port, or ADDRESS:PORT'],
])('refuses %j with the remedy', (text, message, remedy) => {
  expect(parseListen(text, namesOf)).toEqual({ message, remedy });
});

test('samples one socket of each kind: of a range the first port, and IPv6 in any case', () => {
  const samples = (text: string): string[] => sampleSockets(entry(text), PASSED).map(formatAddress);
  expect(samples('10-20/udp')).toEqual(['0.0.0.0:10/udp', '[::]:10/udp']);
  expect(samples('fd:all')).toEqual(['fd:4', 'fd:5']);
});

test('takes a passed socket’s type from what was passed', () => {
  expect(sampleSockets(entry('fd:5'), PASSED)).toEqual([{ family: 'passed', type: 'datagram', name: '5' }]);
});

test('a passed socket’s name comes before a number', () => {
  const passed: readonly PassedSocket[] = [
    { name: '4', number: 3, type: 'stream' },
    { name: 'x', number: 4, type: 'datagram' },
  ];
  expect(sampleSockets(entry('fd:4'), passed)).toMatchObject([{ type: 'stream' }]);
});

test('says so when the machine knows no port names at all', () => {
  expect(parseListen('http', () => new Map())).toMatchObject({
    message: 'unknown port name "http": this machine has no /etc/services',
  });
});
