/**
 * From the wire to the program and back.
 */
import { connectTo, exchange, LOCALHOST } from './client';
import { startDaemon, startWords, type Daemon } from './daemon';
import { dumpProgram, parseDump, type Descriptor } from './dump';
import { endAll } from './endings';
import { asOther, findFreeName, findFreePorts, isRoot, testAsOther, testIpv6, testNamed } from './machine';
import { listeners } from './proc';

afterEach(endAll);

/** Of descriptor 0, and the client's own address. */
async function factsOf(daemon: Daemon, host: string): Promise<{ facts: Descriptor; client: string }> {
  const client = await connectTo(daemon.port(), host);
  const { address } = client;
  const { descriptors } = parseDump(await client.rest());
  if (descriptors[0] === undefined) throw new Error('it has no descriptor 0');
  return { facts: descriptors[0], client: address };
}

/** Tells its descriptors. */
const who = (listen: string): string => `services: {who: {listen: ${listen}, exec: ${dumpProgram()}}}\n`;
const echo = (listen: string): string => `services: {echo: {listen: ${listen}, exec: cat}}\n`;

describe('a connection', () => {
  test('reaches a command that has no configuration file', async () => {
    const daemon = await startWords(['try', '127.0.0.1:0', '--', 'cat']);
    expect(await exchange(daemon.port(), 'hello\n')).toBe('hello\n');
  });

  test('is told the YAML that `try` stands for, which serves the same', async () => {
    const first = await startWords(['try', '127.0.0.1:0', '--', 'sh', '-c', 'echo "$@"', 'sh', 'a  b', '']);
    const second = await startDaemon(first.stdout);
    const answers = await Promise.all([first, second].map((daemon) => exchange(daemon.port(), '')));
    expect(answers).toEqual(['a  b \n', 'a  b \n']);
  });

  test('carries a megabyte both ways unchanged', async () => {
    const daemon = await startDaemon(echo('"127.0.0.1:0"'));
    const text = Array.from({ length: 1 << 20 }, (_, index) => String.fromCharCode(index % 251)).join('');
    expect((await exchange(daemon.port(), text)) === text).toBe(true);
  });

  test('stays open for the answer after the client has said its end', async () => {
    const daemon = await startDaemon('services: {count: {listen: "127.0.0.1:0", exec: wc -c}}\n');
    expect(await exchange(daemon.port(), 'x'.repeat(1000))).toBe('1000\n');
  });

  test('is the real socket over IPv4: the program sees the address and port of its client', async () => {
    const daemon = await startDaemon(who('"127.0.0.1:0"'));
    const { facts, client } = await factsOf(daemon, LOCALHOST);
    expect(facts).toMatchObject({ family: 'ipv4', peer: client, local: `127.0.0.1:${daemon.port()}` });
  });

  testIpv6(
    'is the real socket over IPv6: the program sees the address and port of its client (needs IPv6)',
    async () => {
      const daemon = await startDaemon(who('"[::1]:0"'));
      const { facts, client } = await factsOf(daemon, '::1');
      expect(facts).toMatchObject({ family: 'ipv6', peer: client, local: `[::1]:${daemon.port()}` });
    },
  );

  testAsOther('is served by a daemon that is not root', async () => {
    const daemon = await startWords(['try', '127.0.0.1:0', '--', 'id', '-u'], { wrapper: asOther });
    expect(await exchange(daemon.port(), '')).toBe(`${isRoot ? 54321 : (process.getuid?.() ?? '')}\n`);
  });

  test('is served by a plain fork as well', async () => {
    const env = { STDIOD_SPAWN: 'fork' };
    const daemon = await startDaemon(who('"127.0.0.1:0"'), { env });
    const { facts, client } = await factsOf(daemon, LOCALHOST);
    expect(facts['peer']).toBe(client);
  });
});

describe('an address to listen on', () => {
  test('is told with the port that the kernel chose', async () => {
    const daemon = await startDaemon(echo('"127.0.0.1:0"'));
    const [event] = daemon.all('listening');
    expect(event).toMatchObject({ service: 'echo', address: `127.0.0.1:${daemon.port()}`, backlog: 4096 });
    expect([...listeners(daemon.pid).keys()]).toEqual([daemon.port()]);
  });

  testIpv6('is two sockets on one port when it is a port alone (needs IPv6)', async () => {
    const daemon = await startDaemon(echo('0'));
    const port = daemon.port();
    expect(daemon.all('listening').map(({ address }) => address)).toEqual([`0.0.0.0:${port}`, `[::]:${port}`]);
    expect(await exchange(port, 'a', LOCALHOST)).toBe('a');
    expect(await exchange(port, 'b', '::1')).toBe('b');
  });

  testIpv6('gives an IPv4 client of a wildcard an IPv4 socket, never ::ffff: (needs IPv6)', async () => {
    const daemon = await startDaemon(who('"*:0"'));
    const port = daemon.port();
    expect((await factsOf(daemon, LOCALHOST)).facts).toMatchObject({ family: 'ipv4', local: `127.0.0.1:${port}` });
    expect((await factsOf(daemon, '::1')).facts).toMatchObject({ family: 'ipv6', local: `[::1]:${port}` });
  });

  test('may be one of one family alone', async () => {
    const daemon = await startDaemon(echo('"0/tcp4"'));
    expect(daemon.all('listening').map(({ address }) => address)).toEqual([`0.0.0.0:${daemon.port()}`]);
  });

  test('may be one of several', async () => {
    const daemon = await startDaemon(echo('["127.0.0.1:0", "127.0.0.2:0"]'));
    expect(await exchange(daemon.port('echo', 0), 'a', '127.0.0.1')).toBe('a');
    expect(await exchange(daemon.port('echo', 1), 'b', '127.0.0.2')).toBe('b');
  });

  test('may be a range of ports', async () => {
    const first = await findFreePorts(3);
    const daemon = await startDaemon(echo(`"127.0.0.1:${first}-${first + 2}"`));
    const answers = await Promise.all([0, 1, 2].map((index) => exchange(first + index, String(index))));
    expect(answers).toEqual(['0', '1', '2']);
    expect([...listeners(daemon.pid).keys()].sort()).toEqual([first, first + 1, first + 2]);
  });

  testNamed('may have a name of /etc/services for its port (needs that file)', async () => {
    const [name, port] = await findFreeName();
    const daemon = await startDaemon(echo(`"127.0.0.1:${name}"`));
    expect(daemon.port()).toBe(port);
  });

  test('is not opened for a service that is disabled', async () => {
    const daemon = await startDaemon(
      'services: {on: {listen: "127.0.0.1:0", exec: cat}, off: {listen: "127.0.0.1:0", exec: cat, enabled: false}}\n',
    );
    expect(daemon.all('listening').map(({ service }) => service)).toEqual(['on']);
    expect(listeners(daemon.pid).size).toBe(1);
  });

  test('may be connected to before, between and after other services', async () => {
    const daemon = await startDaemon(
      'services: {a: {listen: "127.0.0.1:0", exec: echo a}, b: {listen: "127.0.0.1:0", exec: echo b}}\n',
    );
    const answers = await Promise.all(['a', 'b', 'a'].map((name) => exchange(daemon.port(name), '')));
    expect(answers).toEqual(['a\n', 'b\n', 'a\n']);
  });
});
