import { formatRedirect, parseRedirect, type RedirectTarget } from '../../../src/service/redirect-text';

function namesOf(): Map<string, number> {
  return new Map([['http', 80]]);
}

function target(text: string): RedirectTarget {
  const parsed = parseRedirect(text, namesOf);
  if ('message' in parsed) throw new Error(parsed.message);
  return parsed;
}

test.each([
  ['10.1.1.1:80', { host: '10.1.1.1', port: 80 }],
  ['localhost:http', { host: 'localhost', port: 80 }],
  ['www.example.org.:80', { host: 'www.example.org.', port: 80 }],
  ['3com:80', { host: '3com', port: 80 }],
  ['my_host-1.x:80', { host: 'my_host-1.x', port: 80 }],
  ['[0:0::1]:80', { host: '::1', port: 80 }],
  ['[fe80::1%eth0]:80', { host: 'fe80::1%eth0', port: 80 }],
  ['unix:/run/x', { path: '/run/x' }],
  ['unix:x', { path: 'x' }],
  ['unix:@x', { path: '@x' }],
])('%s is a target', (text, expected) => {
  expect(target(text)).toEqual(expected);
  expect(target(formatRedirect(target(text)))).toEqual(expected);
});

test.each([
  ['80', '80 names no host', 'write 127.0.0.1:80'],
  ['host', '"host" has no port', 'write HOST:PORT'],
  [':80', 'the target has no host', 'write 127.0.0.1:80'],
  ['*:80', 'the target has no host', 'write 127.0.0.1:80'],
  ['host:0', 'nobody listens on port 0', 'write the port of the target'],
  ['host:70000', 'port must be 0-65535, got 70000', null],
  ['host:htpt', 'unknown port name "htpt"; did you mean "http"?', expect.stringContaining('TCP name') as string],
  ['10.1.1.1 80', '"10.1.1.1 80" has a blank in it', 'write 10.1.1.1:80'],
  ['::1 80', '"::1 80" has a blank in it', 'write [::1]:80'],
  ['::1:80', 'an IPv6 address stands in brackets', 'write [::1]:80'],
  ['http://host:80', '"http://" is no part of a target', 'write HOST:PORT'],
  ['host:80/tcp', 'only TCP is redirected', 'write host:80'],
  ['/run/x', '"/run/x" is not a target', 'for a Unix socket write unix:/run/x'],
  ['256.0.0.1:80', '"256.0.0.1" is neither an IP address nor a host name', 'write HOST:PORT'],
  ['a..b:80', '"a..b" is neither an IP address nor a host name', 'write HOST:PORT'],
  ['-a:80', '"-a" is neither an IP address nor a host name', 'write HOST:PORT'],
  ['unix:@', '"unix:@" names no socket', 'write unix:/run/NAME or unix:@NAME'],
  ['unix:', '"unix:" names no socket', 'write unix:/run/NAME or unix:@NAME'],
])('refuses %j with the remedy', (text, message, remedy) => {
  expect(parseRedirect(text, namesOf)).toEqual({ message, remedy });
});
