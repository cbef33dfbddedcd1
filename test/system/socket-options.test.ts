/**
 * What `listen` and `socket` make of the sockets: options on what is accepted, ranges, and many listeners.
 */
import { networkInterfaces } from 'node:os';
import { connectTo, exchange } from './client';
import { launchDaemon, startDaemon } from './daemon';
import { endAll } from './endings';
import { findFreePorts, testIpv6, testAsRoot } from './machine';
import { listeners, openFds } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

function serve(exec: readonly string[], socket: string, listen = '127.0.0.1:0'): string {
  return `services: {it: {listen: "${listen}", exec: ${JSON.stringify(exec)}, socket: {${socket}}}}\n`;
}

/** A program that prints options of its connection: `SOL_SOCKET.SO_KEEPALIVE`. */
function tells(...names: string[]): string[] {
  const program =
    'import socket, sys\n' +
    's = socket.socket(fileno=0)\n' +
    'get = lambda name: getattr(socket, name)\n' +
    's.sendall((" ".join(str(s.getsockopt(*map(get, n.split(".")))) for n in sys.argv[1:]) + "\\n").encode())';
  return ['python3', '-c', program, ...names];
}

describe('an accepted connection', () => {
  test.each([
    ['nodelay: true', 'IPPROTO_TCP.TCP_NODELAY', '1'],
    ['nodelay: false', 'IPPROTO_TCP.TCP_NODELAY', '0'],
    ['', 'SOL_SOCKET.SO_KEEPALIVE', '1'],
    ['keepalive: false', 'SOL_SOCKET.SO_KEEPALIVE', '0'],
    ['keepalive: true', 'SOL_SOCKET.SO_KEEPALIVE', '1'],
    ['keepalive: {idle: 61s}', 'IPPROTO_TCP.TCP_KEEPIDLE', '61'],
    ['keepalive: {interval: 7s}', 'IPPROTO_TCP.TCP_KEEPINTVL', '7'],
    ['keepalive: {count: 3}', 'IPPROTO_TCP.TCP_KEEPCNT', '3'],
    ['user_timeout: 1500ms', 'IPPROTO_TCP.TCP_USER_TIMEOUT', '1500'],
    ['tos: 16', 'IPPROTO_IP.IP_TOS', '16'],
    ['receive_buffer: 32K', 'SOL_SOCKET.SO_RCVBUF', '65536'],
    ['send_buffer: 32K', 'SOL_SOCKET.SO_SNDBUF', '65536'],
  ])('with {%s} has what that says (%s)', async (socket, name, value) => {
    const daemon = await startDaemon(serve(tells(name), socket));
    expect(await exchange(daemon.port(), '')).toBe(`${value}\n`);
  });

  testAsRoot('has a mark', async () => {
    const daemon = await startDaemon(serve(['python3', '-c', MARK], 'mark: 42'));
    expect(await exchange(daemon.port(), '')).toBe('42\n');
  });

  test('with defer_accept is one that has sent something', async () => {
    const daemon = await startDaemon(serve(['cat'], 'defer_accept: 60s'));
    const silent = await connectTo(daemon.port());
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
    expect(await daemon.waitForCount('accepted', 1)).toHaveLength(1);
    expect(await silent.ask('late')).toBe('late');
  });

  test('comes by the device that the service names', async () => {
    const [loopback] = Object.entries(networkInterfaces()).find(([, list]) => list?.[0]?.internal) ?? ['lo'];
    const daemon = await startDaemon(serve(['echo', 'hello'], `device: ${loopback}`));
    expect(await exchange(daemon.port(), '')).toBe('hello\n');
  });
});

const MARK = 'import socket; print(socket.socket(fileno=0).getsockopt(socket.SOL_SOCKET, 36), flush=True)';

describe('a listener', () => {
  test('may be bound to an address that is not there, by freebind', async () => {
    const port = await findFreePorts(1);
    expect(await launchDaemon(serve(['cat'], '', `192.0.2.77:${port}`)).ended()).toBe(1);
    const daemon = await startDaemon(serve(['cat'], 'freebind: true', `192.0.2.77:${port}`));
    expect(await daemon.stop()).toBe(0);
  });

  test('shares its port with another daemon by reuse_port', async () => {
    const port = await findFreePorts(1);
    const yaml = serve(['echo', 'hello'], 'reuse_port: true', `127.0.0.1:${port}`);
    await startDaemon(yaml);
    await startDaemon(yaml);
    expect(await exchange(port, '')).toBe('hello\n');
  });

  testIpv6('takes both families with v6only: false, and shows IPv4 clients as ::ffff:…', async () => {
    const daemon = await startDaemon(serve(['printenv', 'TCPREMOTEIP'], 'v6only: false', '0/tcp6'));
    expect(await exchange(daemon.port(), '', '127.0.0.1')).toBe('::ffff:127.0.0.1\n');
    expect(await exchange(daemon.port(), '', '::1')).toBe('::1\n');
  });

  test('keeps its socket when a reload changes the options, and has the new ones', async () => {
    const tell = tells('IPPROTO_TCP.TCP_NODELAY', 'IPPROTO_TCP.TCP_KEEPIDLE');
    const daemon = await startDaemon(serve(tell, 'nodelay: false, keepalive: {idle: 50s}'));
    const port = daemon.port();
    const before = listeners(daemon.pid).get(port);
    expect(await exchange(port, '')).toBe('0 50\n');
    await daemon.reload(serve(tell, 'nodelay: true, keepalive: {idle: 60s}'));
    expect(await exchange(port, '')).toBe('1 60\n');
    expect(listeners(daemon.pid).get(port)).toBe(before);
  });

  test('loses an option that a reload takes away', async () => {
    const tell = tells('IPPROTO_IP.IP_TOS', 'IPPROTO_TCP.TCP_USER_TIMEOUT', 'SOL_SOCKET.SO_KEEPALIVE');
    const daemon = await startDaemon(serve(tell, 'tos: 16, user_timeout: 9s, keepalive: true'));
    const port = daemon.port();
    expect(await exchange(port, '')).toBe('16 9000 1\n');
    await daemon.reload(serve(tell, 'keepalive: false'));
    expect(await exchange(port, '')).toBe('0 0 0\n');
    expect(daemon.all('failed')).toEqual([]);
  });

  test('keeps an option for which the kernel has no way back, and says so', async () => {
    const tell = tells('IPPROTO_TCP.TCP_KEEPIDLE');
    const daemon = await startDaemon(serve(tell, 'keepalive: {idle: 50s}'));
    await daemon.reload(serve(tell, ''));
    expect((await daemon.waitFor('failed')).error).toBe('TCP_KEEPIDLE cannot be taken back');
    expect(await exchange(daemon.port(), '')).toBe('50\n');
  });
});

describe('options that change while an address', () => {
  const NAMES = ['SOL_SOCKET.SO_KEEPALIVE', 'IPPROTO_TCP.TCP_NODELAY'];
  const OPTIONS = 'socket: {keepalive: false, nodelay: true}';
  /** Tells its options for each line that comes. */
  const tell = JSON.stringify([
    'python3',
    '-c',
    'import socket, sys\n' +
      's = socket.socket(fileno=0)\n' +
      'get = lambda name: getattr(socket, name)\n' +
      'for line in s.makefile():\n' +
      ' s.sendall((" ".join(str(s.getsockopt(*map(get, n.split(".")))) for n in sys.argv[1:]) + "\\n").encode())',
    ...NAMES,
  ]);

  const entry = (ports: readonly number[], more: string): string => {
    const listen = ports.map((port) => `"127.0.0.1:${port}"`).join(', ');
    return `{listen: [${listen}], exec: ${tell}, stop_grace: 20s, ${more}}`;
  };

  test('goes from one service to another are those of the accepted connection', async () => {
    const port = await findFreePorts(3);
    const [x, y, z] = [port, port + 1, port + 2];
    const daemon = await startDaemon(`services: {a: ${entry([x, y], '')}, b: ${entry([z], '')}}\n`);
    const before = listeners(daemon.pid).get(x);
    expect(await (await connectTo(x)).ask('?')).toBe('1 0');
    await daemon.reload(`services: {a: ${entry([y], OPTIONS)}, b: ${entry([z, x], OPTIONS)}}\n`);
    expect(await (await connectTo(x)).ask('?')).toBe('0 1');
    expect(listeners(daemon.pid).get(x)).toBe(before);
    expect(daemon.all('failed')).toEqual([]);
  });

  test('is on its way out, and comes back, are those of the accepted connection', async () => {
    const port = await findFreePorts(2);
    const [x, y] = [port, port + 1];
    const one = 'max_connections: 1';
    const daemon = await startDaemon(`services: {a: ${entry([x, y], one)}}\n`);
    const before = listeners(daemon.pid).get(x);
    const first = await connectTo(x);
    expect(await first.ask('?')).toBe('1 0');
    // Whoever waits keeps the listener from being closed.
    const second = await connectTo(x);
    await daemon.waitFor('paused');
    await daemon.reload(`services: {a: ${entry([y], `${one}, ${OPTIONS}`)}}\n`);
    await daemon.reload(`services: {a: ${entry([x, y], OPTIONS)}}\n`);
    expect(await (await connectTo(x)).ask('?')).toBe('0 1');
    expect(listeners(daemon.pid).get(x)).toBe(before);
    for (const client of [first, second]) client.end();
  });
});

test('a range is a listener for each port, and the program is told which', async () => {
  const first = await findFreePorts(100);
  const daemon = await startDaemon(serve(['echo', '%{local.port}'], '', `127.0.0.1:${first}-${first + 99}`));
  await daemon.waitForCount('listening', 100);
  for (const port of [first, first + 50, first + 99]) expect(await exchange(port, '')).toBe(`${port}\n`);
});

test('1,000 listeners start, serve, and are gone after a reload', async () => {
  const list = Array(1000).fill('"127.0.0.1:0"').join(', ');
  const daemon = await startDaemon(`services: {it: {listen: [${list}], exec: echo hello}}\n`);
  await daemon.waitForCount('listening', 1000);
  for (const at of [0, 500, 999]) expect(await exchange(daemon.port('it', at), '')).toBe('hello\n');
  const before = openFds(daemon.pid).size;
  await daemon.reload('services: {}\n');
  await untilTrue('the descriptors are given back', () => openFds(daemon.pid).size <= before - 1000);
  expect(listeners(daemon.pid).size).toBe(0);
});
