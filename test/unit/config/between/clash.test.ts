import type { Machine } from '../../../../src/config/machine/machine';
import { load, problemsOf, withKeys } from '../loading';

const passing: Partial<Machine> = { passedSockets: () => [{ name: 'web', number: 3, type: 'stream' }] };

/** Two services with these keys. */
function pair(first: string, second: string): string {
  return `services:\n  a: {${first}, exec: cat}\n  b: {${second}, exec: cat}\n`;
}

/** Two services that listen so. */
function two(first: string, second: string): string {
  return pair(`listen: ${first}`, `listen: ${second}`);
}

test.each([
  ['80', '80', '0.0.0.0:80'],
  ['80', '"*:http"', '0.0.0.0:80'],
  ['80', '127.0.0.1:80', '127.0.0.1:80'],
  ['127.0.0.1:80', '80', '0.0.0.0:80'],
  ['"[::1]:80"', '80/tcp6', '[::]:80'],
  ['80/tcp6', '"[::1]:80"', '[::1]:80'],
  ['10-20', '15', '0.0.0.0:15'],
  ['127.0.0.1:80', '127.0.0.1:80', '127.0.0.1:80'],
])('refuses %s and %s on one machine, and shows both places', (first, second, address) => {
  expect(problemsOf(two(first, second))).toEqual([
    `3:15 services.b.listen: ${address} is already taken by services.a.listen (services.yaml:2:15)` +
      ' (give one of them another port or address, or "enabled: false")',
  ]);
});

test.each([
  ['80/tcp4', '80/tcp6'],
  ['80/tcp4', '"[::1]:80"'],
  ['127.0.0.1:80', '127.0.0.2:80'],
  ['80', '81'],
  ['0', '0'],
  ['127.0.0.1:0', '0'],
  ['"[fe80::1%eth0]:80"', '"[fe80::1%eth1]:80"'],
])('lets %s and %s stand side by side', (first, second) => {
  expect(problemsOf(two(first, second))).toEqual([]);
});

test('refuses one address twice in one service', () => {
  expect(problemsOf(withKeys('listen: [80, "127.0.0.1:80"]'))[0]).toContain(
    '3:18 services.a.listen[1]: 127.0.0.1:80 is already taken by services.a.listen[0] (services.yaml:3:14)',
  );
});

test('reports two ranges that meet once, not for each port', () => {
  expect(problemsOf(two('1-65535', '1-65535'))).toHaveLength(1);
});

test('lets a disabled service name an address that another one has', () => {
  const text = 'services:\n  a: {listen: 80, exec: cat}\n  b: {listen: 80, exec: cat, enabled: false}\n';
  expect(load(text).configuration.services.map(({ enabled }) => enabled)).toEqual([true, false]);
});

test.each([
  ['listen: 69/udp', 'listen: 69/udp', '0.0.0.0:69/udp'],
  ['listen: 69/udp', 'listen: "127.0.0.1:69/udp"', '127.0.0.1:69/udp'],
  ['listen: unix:/run/x', 'listen: unix:/run/../run/x', 'unix:/run/x'],
  ['listen: unix:/run/x', 'listen: unix-dgram:/run/x', 'unix-dgram:/run/x'],
  ['listen: "unix:@x"', 'listen: "unix:@x"', 'unix:@x'],
  ['listen: vsock:5', 'listen: vsock:5', 'vsock:5'],
  ['listen: fd:web', 'listen: fd:web', 'fd:web'],
  ['listen: fd:web', 'listen: fd:3', 'fd:3'],
  ['listen: 80/tcp6, socket: {v6only: false}', 'listen: 80/tcp4', '0.0.0.0:80'],
  ['listen: "127.0.0.1:80"', 'listen: "[::]:80", socket: {v6only: false}', '[::]:80'],
  ['listen: 80, socket: {device: lo}', 'listen: 80', '0.0.0.0:80'],
  ['listen: 80', 'listen: "127.0.0.1:80", socket: {device: lo}', '127.0.0.1:80'],
  ['listen: 80, socket: {device: lo}', 'listen: 80, socket: {device: lo}', '0.0.0.0:80'],
])('%s and %s want one address', (first, second, address) => {
  const problems = problemsOf(pair(first, second), passing);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`${address} is already taken by services.a.listen (services.yaml:2:15)`);
});

test.each([
  ['listen: 7', 'listen: 7/udp'],
  ['listen: 0/udp', 'listen: 0/udp'],
  ['listen: "unix:@x"', 'listen: "unix-seqpacket:@x"'],
  ['listen: unix:/run/x', 'listen: unix:/run/y'],
  ['listen: vsock:5', 'listen: 5'],
  ['listen: 80/tcp6, socket: {v6only: false}', 'listen: 81/tcp4'],
  ['listen: 80/tcp6, socket: {v6only: false}', 'listen: 80/udp4'],
])('%s and %s stand side by side', (first, second) => {
  expect(problemsOf(pair(first, second))).toEqual([]);
});

test('sockets of two devices do not meet', () => {
  const text = pair('listen: 80, socket: {device: eth0}', 'listen: 80, socket: {device: eth1}');
  expect(problemsOf(text).filter((line) => line.includes('already taken'))).toEqual([]);
});
