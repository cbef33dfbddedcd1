import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../../../src/config/machine/machine';
import { formatAddress } from '../../../../src/service/address';
import { asAlice } from '../pretend-machine';
import { problemsOf, service, withKeys } from '../loading';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stdiod-sockets-')));
mkdirSync(join(folder, 'run'));
writeFileSync(join(folder, 'run/file'), '');
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const file = join(folder, 'services.yaml');

const passing: Partial<Machine> = {
  passedSockets: () => [
    { name: 'web', number: 3, type: 'stream' },
    { name: 'log', number: 4, type: 'datagram' },
    { name: '', number: 5, type: 'seqpacket' },
  ],
};

function socketsOf(keys: string, changes: Partial<Machine> = {}): string[] {
  return service(withKeys(keys), changes, file).listen.flatMap(({ sockets }) => sockets.map(formatAddress));
}

test('takes UDP ports by number and by their UDP names', () => {
  expect(socketsOf('listen: [tftp/udp4, 0/udp, "127.0.0.1:echo/udp"]')).toEqual([
    '0.0.0.0:69/udp',
    '0.0.0.0:0/udp',
    '[::]:0/udp',
    '127.0.0.1:7/udp',
  ]);
  expect(problemsOf(withKeys('listen: http/udp')).join()).toContain('unknown port name "http"');
});

describe('a Unix socket', () => {
  test('starts from the folder of the file', () => {
    expect(socketsOf('listen: [unix:run/x, "unix-seqpacket:@y"]')).toEqual([
      `unix:${folder}/run/x`,
      'unix-seqpacket:@y',
    ]);
  });

  test.each([
    ['unix:nosuch/x', `the folder ${folder}/nosuch does not exist (create it)`],
    ['unix:run/file/x', `${folder}/run/file is not a folder`],
    ['unix:run', `${folder}/run is a folder, and only a socket is replaced`],
    ['unix:run/file', `${folder}/run/file is a file, and only a socket is replaced`],
    [`unix:${'x'.repeat(107)}`, 'bytes, and the kernel has room for 107 (choose a shorter path, such as one in /run)'],
    ['"unix:/x\\0y"', 'the name of a socket cannot hold a NUL character'],
  ])('refuses %s', (listen, expected) => {
    expect(problemsOf(withKeys(`listen: ${listen}`), {}, file).join()).toContain(expected);
  });

  test('of a disabled service may lie in a folder that is not there yet', () => {
    expect(problemsOf(withKeys('enabled: false\nlisten: unix:nosuch/x'), {}, file)).toEqual([]);
  });
});

test('refuses a vsock port below 1024 without the right to bind it', () => {
  expect(socketsOf('listen: vsock:80')).toEqual(['vsock:80']);
  expect(problemsOf(withKeys('listen: vsock:1023'), asAlice)[0]).toContain(
    'stdiod has no right to bind vsock port 1023',
  );
  expect(problemsOf(withKeys('listen: vsock:1024'), asAlice)).toEqual([]);
});

describe('a passed socket', () => {
  test('is taken by name or by number, with the type that it has', () => {
    expect(service(withKeys('listen: [fd:web, fd:5]'), passing).listen).toEqual([
      { sockets: [{ family: 'passed', type: 'stream', name: 'web' }] },
      { sockets: [{ family: 'passed', type: 'seqpacket', name: '5' }] },
    ]);
    expect(service(withKeys('listen: fd:log'), passing).wait).toBe(true);
  });

  test('that was not passed is an error with the names of those that were', () => {
    expect(problemsOf(withKeys('listen: fd:wbe'), passing)).toEqual([
      '3:13 services.a.listen: no socket "wbe" was passed to stdiod' +
        ' (the sockets that were passed are web (3), log (4), 5)',
    ]);
    expect(problemsOf(withKeys('listen: fd:web')).join()).toContain('start stdiod by a socket unit of systemd');
  });

  test('has to be of the type that the service needs', () => {
    expect(problemsOf(withKeys('listen: fd:log\nwait: false'), passing).join()).toContain('has no connection');
    expect(problemsOf(withKeys('listen: fd:5\nredirect: host:80'), passing).join()).toContain(
      '"redirect" (services.yaml:4:5) takes streams only',
    );
  });
});
