/** What is said of a client, service by service. */
import { explain, formatExplanations, peerOf } from '../../../src/cli/explain';
import { isWhom, parseWhom } from '../../../src/service/access';
import type { Configuration } from '../../../src/service/service';
import { load } from '../config/loading';

const TEXT = `services:
  office: {listen: 7, exec: cat, allow: [10.0.0.0/8], deny: [10.66.0.0/16], max_connections: 5}
  open: {listen: 8, exec: cat, rate: 50/s, rate_per_peer: 30/m, max_per_peer: 7}
  most: {listen: 9, exec: cat, deny: [10.66.0.7]}
  own: {listen: 10, exec: cat, wait: true}
  off: {listen: 11, exec: cat, enabled: false}
`;

function ask(address: string, configuration: Configuration = load(TEXT).configuration): string {
  const whom = parseWhom(address);
  const peer = isWhom(whom) ? peerOf(whom, address) : null;
  if (peer === null) throw new Error(`${address} is not one client`);
  return formatExplanations(explain(configuration, peer));
}

test('each service has its line', () => {
  expect(ask('10.66.0.7').split('\n')).toEqual([
    'office  refused    deny 10.66.0.0/16',
    'open    admitted   there are no rules; 7 of 1000 children; it comes 30 times in 60 s; all come 50 times in a second',
    'most    refused    deny 10.66.0.7',
    'own     not-asked  its program takes from the socket what it wants',
    'off     disabled   the service is not enabled',
    '',
  ]);
});

test('says what decides where no rule is about a client', () => {
  expect(ask('11.0.0.1')).toContain('office  refused    it is not among those that "allow" names\n');
  expect(ask('10.0.0.1')).toContain('office  admitted   allow 10.0.0.0/8; 4 of 5 children\n');
  expect(ask('::1')).toContain('most    admitted   no rule is about it; 100 of 1000 children\n');
  expect(ask('unix:uid=7')).toContain('office  refused ');
});

test('a service that cannot be served says why', () => {
  const { configuration } = load(TEXT);
  const lacking = { ...configuration, lacks: [{ name: 'open', reason: 'there is no list' }] };
  expect(ask('::1', lacking)).toContain('unavailable  there is no list\n');
});

test.each(['10.0.0.0/8', '10.0.0.1/32', 'all', 'unix', 'vsock'])('%s is not one client', (text) => {
  const whom = parseWhom(text);
  expect(isWhom(whom) && peerOf(whom, text)).toBeNull();
});
