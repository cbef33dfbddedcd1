import { parsePortNames } from '../../../src/machine/port-names';

test('reads /etc/services: names and aliases of a protocol, the first of a name', () => {
  const text = 'http\t80/tcp\twww web # World Wide Web\nhttp 8080/tcp\ntftp 69/udp\n# x 1/tcp\n\nbad\n';
  expect([...parsePortNames(text, 'tcp')]).toEqual([
    ['http', 80],
    ['www', 80],
    ['web', 80],
  ]);
  expect([...parsePortNames(text, 'udp')]).toEqual([['tftp', 69]]);
});
