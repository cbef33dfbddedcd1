/**
 * Programs that ask who their client is: of the kernel, by getpeername on stdin, or of their environment, in each of the
 * dialects that super-servers before stdiod have taught them.
 */
import { connectTo, type Client } from '../system/client';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { outputOf } from './client-program';
import { BOTH_FAMILIES, oneService, Shipped } from './configure';
import { NODE_FOR_EVERYBODY, testNeeding } from './needs';

afterEach(endAll);

const FAMILIES = [
  { family: 'IPv4', host: '127.0.0.1', index: 0 },
  { family: 'IPv6', host: '::1', index: 1 },
];

describe.each(FAMILIES)('over $family', ({ family, host, index }) => {
  /** A test needs IPv6 for the IPv6 half only. */
  const testFamily = (...needs: readonly string[]): ReturnType<typeof testNeeding> =>
    testNeeding(...needs, ...(index === 1 ? ['IPv6'] : []));

  const listen = index === 1 ? BOTH_FAMILIES : BOTH_FAMILIES.slice(0, 1);

  async function visit(daemon: Daemon, service?: string): Promise<{ client: Client; port: number; peerPort: number }> {
    const port = daemon.port(service, index);
    const client = await connectTo(port, host);
    return { client, port, peerPort: client.socket.localPort ?? 0 };
  }

  const SHIPPED = ['whoami-c', 'whoami-python', 'whoami-shell', 'whoami-typescript'];

  testFamily('python3', NODE_FOR_EVERYBODY)('each shipped whoami knows its client and itself', async () => {
    const daemon = await new Shipped().start('services.yaml', JSON.stringify(listen));
    for (const service of SHIPPED) {
      const { client, port, peerPort } = await visit(daemon, service);
      const answer = [`client ${host} port ${peerPort}`, `server ${host} port ${port}`, `family ${family}`];
      expect([service, await client.rest()]).toEqual([service, `${answer.join('\n')}\n`]);
    }
  });

  const PYTHON = 'import socket; s = socket.socket(fileno=0); print(s.family.name, *s.getpeername()[:2], flush=True)';

  testFamily('python3')('a Python one-liner gets its client from getpeername on descriptor 0', async () => {
    const daemon = await startDaemon(oneService(['python3', '-c', PYTHON], { listen }));
    const { client, peerPort } = await visit(daemon);
    expect(await client.rest()).toBe(`AF_INET${index === 1 ? '6' : ''} ${host} ${peerPort}\n`);
  });

  const DIALECTS = {
    "UCSPI's PROTO, TCPREMOTEIP and their kin": '$PROTO $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT',
    "systemd's REMOTE_ADDR and REMOTE_PORT": '$REMOTE_ADDR $REMOTE_PORT',
    "xinetd's REMOTE_HOST": '$REMOTE_HOST',
  };

  for (const [dialect, words] of Object.entries(DIALECTS)) {
    testFamily()(`a shell one-liner gets its client from ${dialect}`, async () => {
      const daemon = await startDaemon(oneService(['sh', '-c', `echo "${words}"`], { listen }));
      const { client, port, peerPort } = await visit(daemon);
      const facts = { PROTO: 'TCP', TCPREMOTEIP: host, TCPREMOTEPORT: peerPort, TCPLOCALIP: host, TCPLOCALPORT: port };
      const values: Record<string, unknown> = { ...facts, REMOTE_ADDR: host, REMOTE_PORT: peerPort, REMOTE_HOST: host };
      expect(await client.rest()).toBe(`${words.replace(/\$(\w+)/g, (_, name: string) => String(values[name]))}\n`);
    });
  }
});

describe('the shipped services', () => {
  const testNc = testNeeding('nc.openbsd', 'python3', NODE_FOR_EVERYBODY);

  testNc('answer nc as their comments promise', async () => {
    const daemon = await new Shipped().start('services.yaml');
    const nc = (service: string, input: string): Promise<string> =>
      outputOf(['nc.openbsd', '-N', '127.0.0.1', String(daemon.port(service))], { input });
    expect(await nc('echo', 'hello\n')).toBe('hello\n');
    expect(await nc('greet', 'Ann\n')).toBe('Hello, what is your name?\nPleased to meet you, Ann.\n');
    expect(await nc('daytime', '')).toMatch(/\d\d:\d\d:\d\d/);
    expect(await nc('line-length', 'one\nthree\n')).toBe('3\n5\n');
    const { connection } = await daemon.waitFor('reaped', { service: 'line-length' });
    const about = daemon.events.filter((event) => 'connection' in event && event.connection === connection);
    expect(about.map(({ event }) => event)).toEqual(['accepted', 'said', 'reaped']);
    expect(about).toContainEqual(expect.objectContaining({ line: 'lines = 2 chars = 8' }));
    expect(await nc('guess', '')).toMatch(/number/);
  });

  testNeeding('nc.openbsd')('hold a conversation in one line of shell', async () => {
    const daemon = await new Shipped().start('one-liner.yaml');
    const answer = await outputOf(['nc.openbsd', '-N', '127.0.0.1', String(daemon.port())], { input: 'Ada; $(id)\n' });
    expect(answer).toBe('Hello 127.0.0.1, what is your name?\nPleased to meet you, Ada; $(id).\n');
  });
});
