/**
 * Clients that we did not write, to each kind of socket: socat and netcat over UDP and over Unix sockets, rdate to the built-in
 * `time`.
 */
import { join } from 'node:path';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { exchange } from '../system/client';
import { datagramClient } from '../system/datagram-client';
import { answerOf, bytesOf, outputOf, startProgram } from './client-program';
import { oneService, portOf, Shipped } from './configure';
import { checksum, makeBytes, makeTestFolder, MEGABYTE } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

function builtin(name: string, more: Readonly<Record<string, unknown>> = {}): Promise<Daemon> {
  return startDaemon(JSON.stringify({ services: { it: { listen: '127.0.0.1:0/udp', builtin: name, ...more } } }));
}

describe('socat', () => {
  const testSocat = testNeeding('socat');
  const sent = makeBytes(10 * MEGABYTE);

  /** @param address of the client, which waits for an end that comes as long as it takes */
  function socat(address: string, input: Buffer | string): Promise<Buffer> {
    return bytesOf(['socat', '-t', '3600', '-', address], { input });
  }

  function makePath(): string {
    return join(makeTestFolder(), 'socket');
  }

  testSocat('gets back from cat the 10 MB that it sent over a Unix socket', async () => {
    const path = makePath();
    const daemon = await startDaemon(oneService(['cat'], { listen: `unix:${path}` }));
    expect(checksum(await socat(`UNIX-CONNECT:${path}`, sent))).toBe(checksum(sent));
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
  });

  testSocat('gets back from cat the 10 MB that it sent over an abstract one', async () => {
    const name = `stdiod-test-${process.pid}`;
    await startDaemon(oneService(['cat'], { listen: `unix:@${name}` }));
    expect(checksum(await socat(`ABSTRACT-CONNECT:${name}`, sent))).toBe(checksum(sent));
  });

  testSocat('exchanges packets over a seqpacket socket', async () => {
    const path = makePath();
    await startDaemon(oneService(['cat'], { listen: `unix-seqpacket:${path}` }));
    expect((await socat(`UNIX-CONNECT:${path},type=5`, 'hello')).toString()).toBe('hello');
  });

  testSocat('is known to the program by its process id, and in the log', async () => {
    const path = makePath();
    const words = '$PROTO $UNIXLOCALPATH $UNIXREMOTEPID $UNIXREMOTEEUID $UNIXREMOTEEGID';
    const daemon = await startDaemon(oneService(['sh', '-c', `echo "${words}"`], { listen: `unix:${path}` }));
    const answer = (await socat(`UNIX-CONNECT:${path}`, '')).toString();
    const { peer } = await daemon.waitFor('accepted');
    const [pid = '', uid = '', gid = ''] = peer.match(/\d+/g) ?? [];
    expect(peer).toBe(`unix:pid:${pid},uid:${uid},gid:${gid}`);
    expect([Number(uid), Number(gid)]).toEqual([process.getuid?.(), process.getgid?.()]);
    expect(answer).toBe(`UNIX ${path} ${pid} ${uid} ${gid}\n`);
  });

  testSocat('gets a datagram back from the built-in echo', async () => {
    const daemon = await builtin('echo');
    expect(await answerOf(['socat', '-', `UDP:127.0.0.1:${portOf(daemon)}`], 'hello\n')).toBe('hello\n');
  });

  testSocat('gets a datagram back from the built-in echo over a Unix socket', async () => {
    const folder = makeTestFolder();
    const [path, own] = [join(folder, 'socket'), join(folder, 'own')];
    await builtin('echo', { listen: `unix-dgram:${path}`, socket: { mode: '0666' }, ...AS_SELF });
    const words = ['socat', '-', `UNIX-CONNECT:${path},type=2,bind=${own}`];
    expect(await answerOf(words, 'hello\n')).toBe('hello\n');
  });
});

/** The answer goes to a socket that the client has made, and that only its own user may write to. */
const AS_SELF = process.getuid?.() === 0 ? { user: 'root' } : {};

describe('nc -u', () => {
  const testNc = testNeeding('nc.openbsd');

  function nc(port: number, input: string): Promise<string> {
    return answerOf(['nc.openbsd', '-u', '127.0.0.1', String(port)], input);
  }

  testNc('gets back from the built-in echo what it sent', async () => {
    const daemon = await builtin('echo');
    expect(await nc(portOf(daemon), 'hello\n')).toBe('hello\n');
  });

  testNc('gets from the built-in chargen no more than it sent', async () => {
    const daemon = await builtin('chargen');
    expect(await nc(portOf(daemon), 'hello\n')).toHaveLength('hello\n'.length);
  });

  testNc('gets from the built-in daytime the whole line where the service amplifies', async () => {
    const daemon = await builtin('daytime', { amplify: true });
    expect(await nc(portOf(daemon), '\n')).toMatch(/\d\d:\d\d:\d\d.*\r\n$/);
  });

  testNeeding('nc.openbsd', 'python3')('is answered by the shipped UDP echo', async () => {
    const daemon = await new Shipped().start('chat.yaml');
    expect(await nc(portOf(daemon, 'udp-echo'), 'hello\n')).toBe('hello\n');
  });

  testNc('is answered by each of the shipped built-ins', async () => {
    const daemon = await new Shipped().start('builtins.yaml');
    const overTcp = (service: string, input: string): Promise<string> => exchange(portOf(daemon, service), input);
    const overUdp = (service: string): Promise<string> => nc(portOf(daemon, service), 'hello\n');
    expect(await overTcp('echo', 'hello\n')).toBe('hello\n');
    expect(await overTcp('discard', 'hello\n')).toBe('');
    expect(await overTcp('daytime', '')).toMatch(/\d\d:\d\d:\d\d/);
    expect(await overTcp('time', '')).toHaveLength(4);
    expect(await overTcp('qotd', '')).not.toBe('');
    expect(await overUdp('echo-udp')).toBe('hello\n');
    expect(await overUdp('daytime-udp')).toMatch(/\d\d:\d\d:\d\d/);
    expect(await overUdp('qotd-udp')).not.toBe('');
  });
});

describe('rdate', () => {
  const words = (daemon: Daemon, ...more: string[]): string[] => {
    return ['rdate', '-p', '-o', String(portOf(daemon)), ...more, '127.0.0.1'];
  };

  /** Whole seconds, as RFC 868 has them. */
  const seconds = (): number => Math.floor(Date.now() / 1000);

  async function expectTheTime(daemon: Daemon, ...more: string[]): Promise<void> {
    const before = seconds();
    const told = Date.parse(await outputOf(words(daemon, ...more), { env: { TZ: 'UTC' } })) / 1000;
    expect(told).toBeGreaterThanOrEqual(before);
    expect(told).toBeLessThanOrEqual(seconds());
  }

  testNeeding('rdate')('is told the time over TCP', async () => {
    await expectTheTime(await builtin('time', { listen: '127.0.0.1:0' }));
  });

  testNeeding('rdate')('is told the time over UDP where the service amplifies', async () => {
    await expectTheTime(await builtin('time', { amplify: true }), '-u');
  });

  testNeeding('rdate')('is told nothing over UDP where it does not', async () => {
    const daemon = await builtin('time');
    const program = startProgram(words(daemon, '-u'));
    let told = '';
    program.stdout?.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await daemon.waitFor('started');
    // Who asks after it, with four bytes, is answered after it.
    const witness = await datagramClient();
    await witness.send('1234', portOf(daemon));
    expect(await witness.next()).toHaveLength(4);
    expect([told, program.exitCode]).toEqual(['', null]);
  });
});
