import { profilesIn } from '../../../src/machine/apparmor';

test('profiles are told by their names, whatever their mode', () => {
  const text = '/usr/sbin/tcpdump (enforce)\nweb (complain)\nmail//child (kill)\nwith a blank (unconfined)\n';
  expect(profilesIn(text)).toEqual(['/usr/sbin/tcpdump', 'web', 'mail//child', 'with a blank']);
  expect(profilesIn('')).toEqual([]);
});
