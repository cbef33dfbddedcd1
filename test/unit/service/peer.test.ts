/**
 * How whoever is at the other end is written in the log.
 */
import { formatPeer, type Peer } from '../../../src/service/peer';

test.each<[string, Peer]>([
  ['10.0.0.5:51034', { family: 'ipv4', address: '10.0.0.5', port: 51034 }],
  ['[::1]:80', { family: 'ipv6', address: '::1', port: 80 }],
  ['127.0.0.1:0', { family: 'ipv4', address: '127.0.0.1', port: 0 }],
  ['unix:pid:7,uid:0,gid:5', { family: 'unix', path: '@x', credentials: { pid: 7, uid: 0, gid: 5 } }],
  ['unix:/run/client', { family: 'unix', path: '/run/client', credentials: null }],
  ['vsock:3:1025', { family: 'vsock', address: '3', port: 1025 }],
])('%s', (text, peer) => {
  expect(formatPeer(peer)).toBe(text);
});
