/**
 * Listeners and accepted connections, asked of the kernel: native/socket.cc.
 */
import { inFreshProcess } from './fresh-process';
import { IPV6, linkLocalAddress, ROOT, testWith } from './needs';

/** Who talks to whom, as accept tells it and as the client knows it. */
function endsOver(address: string): Promise<{ accepted: unknown; ofClient: unknown }> {
  return inFreshProcess(async ({ addon, listen, connect, accept }, address) => {
    const { fd, port } = listen(address);
    const client = await connect(port, address);
    const { peerAddress, peerPort, localAddress, localPort } = await accept(fd);
    addon.close(fd);
    const bare = address.split('%')[0];
    return {
      accepted: { peerAddress, peerPort, localAddress, localPort },
      ofClient: { peerAddress: address, peerPort: client.localPort, localAddress: address, localPort: port, bare },
    };
  }, address);
}

test('knows the interfaces of its own network namespace, whatever /sys shows', async () => {
  const seen = await inFreshProcess(({ addon }) => {
    const names = addon.interfaces();
    return { names, areThere: names.every((name) => addon.hasInterface(name)), noSuch: addon.hasInterface('nosuch0') };
  });
  expect(seen).toEqual({ names: expect.arrayContaining(['lo']), areThere: true, noSuch: false });
});

test('an address on an interface that is not there is not bound', async () => {
  const failure = await inFreshProcess(({ listen, failureOf }) => failureOf(() => listen('::1%nosuch0')));
  expect(failure).toMatchObject({ syscall: 'bind', code: 'ENODEV' });
});

test('tells both ends of an IPv4 connection as numbers', async () => {
  const { accepted, ofClient } = await endsOver('127.0.0.1');
  expect(ofClient).toMatchObject(accepted as object);
});

testWith(IPV6)('tells both ends of an IPv6 connection as numbers', async () => {
  const { accepted, ofClient } = await endsOver('::1');
  expect(ofClient).toMatchObject(accepted as object);
});

testWith({ name: 'a link-local address', isMet: linkLocalAddress() !== null })(
  'a link-local peer keeps its interface',
  async () => {
    const { accepted, ofClient } = await endsOver(linkLocalAddress() ?? '');
    expect(ofClient).toMatchObject(accepted as object);
  },
);

test('port 0 lets the kernel choose, and tells what it chose', async () => {
  const [one, two] = await inFreshProcess(({ listen }) => [listen().port, listen().port]);
  expect(one).toBeGreaterThan(0);
  expect(two).not.toBe(one);
});

testWith(IPV6)('an IPv6 wildcard leaves the IPv4 port of the same number to another socket', async () => {
  const peers = await inFreshProcess(async ({ listen, bind, internet, connect, accept }) => {
    const six = listen('::');
    const four = bind(internet('stream', '0.0.0.0', six.port));
    await connect(six.port, '127.0.0.1');
    await connect(six.port, '::1');
    return [(await accept(four.fd)).peerAddress, (await accept(six.fd)).peerAddress];
  });
  expect(peers).toEqual(['127.0.0.1', '::1']);
});

test('a listener is numbered from 1024 up, close-on-exec and non-blocking', async () => {
  const { fd, flags } = await inFreshProcess(({ listen, flagsOf }) => {
    const { fd } = listen();
    return { fd: Number(fd), flags: flagsOf(fd) };
  });
  expect(fd).toBeGreaterThanOrEqual(1024);
  expect(flags).toEqual({ isCloseOnExec: true, isNonBlocking: true });
});

test('a listener stays low where the limit on open files does not reach 1024', async () => {
  const { fd, flags } = await inFreshProcess(({ setLimit, listen, flagsOf }) => {
    setLimit('nofile', 512);
    const { fd } = listen();
    return { fd: Number(fd), flags: flagsOf(fd) };
  });
  expect(fd).toBeLessThan(512);
  expect(flags).toEqual({ isCloseOnExec: true, isNonBlocking: true });
});

test('an accepted connection is numbered low, close-on-exec and blocking', async () => {
  const { fd, flags } = await inFreshProcess(async ({ connection, flagsOf }) => {
    const { socket } = await connection();
    return { fd: Number(socket.fd), flags: flagsOf(socket.fd) };
  });
  expect(fd).toBeLessThan(100);
  expect(flags).toEqual({ isCloseOnExec: true, isNonBlocking: false });
});

test('an accepted connection is never 0, 1 or 2, even where those are closed', async () => {
  const fd = await inFreshProcess(async ({ addon, fs, listen, connect, accept }) => {
    const { fd, port } = listen();
    await connect(port);
    const standard = fs.openSync('/dev/null', 'r') as typeof fd;
    addon.close(0 as typeof fd);
    const { fd: accepted } = await accept(fd);
    addon.close(standard);
    return Number(accepted);
  });
  expect(fd).toBeGreaterThanOrEqual(3);
});

test.each([
  { nodelay: false, keepalive: false },
  { nodelay: true, keepalive: false },
  { nodelay: false, keepalive: true },
  { nodelay: true, keepalive: true },
])('what is accepted inherits %p, set at birth or later', async (options) => {
  const outputs = await inFreshProcess(async (kit, options) => {
    const { addon, listen, connect, accept, plan, readAll, openReaper } = kit;
    const script = `import socket
s = socket.socket(fileno=0)
print(bool(s.getsockopt(6, socket.TCP_NODELAY)), bool(s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)), flush=True)`;
    const python = plan([kit.python(), '-c', script]);
    openReaper();
    const born = listen('127.0.0.1', options);
    const later = listen('127.0.0.1', { nodelay: !options.nodelay, keepalive: !options.keepalive });
    addon.setListenerOptions(later.fd, { backlog: 16, extra: {}, ...options });
    const outputOver = async (listener: typeof born): Promise<string> => {
      const client = await connect(listener.port);
      addon.spawn(python, { fd: (await accept(listener.fd)).fd, facts: '' });
      return readAll(client);
    };
    return [await outputOver(born), await outputOver(later)];
  }, options);
  const word = (isOn: boolean): string => (isOn ? 'True' : 'False');
  const line = `${word(options.nodelay)} ${word(options.keepalive)}\n`;
  expect(outputs).toEqual([line, line]);
});

test('accept gives null when nobody waits', async () => {
  expect(await inFreshProcess(({ tryAccept, listen }) => tryAccept(listen().fd))).toBeNull();
});

test('tells whether a client waits without taking it', async () => {
  const seen = await inFreshProcess(async ({ addon, listen, connect, accept, until }) => {
    const { fd, port } = listen();
    const before = addon.hasWaiting(fd);
    await connect(port);
    await until(() => addon.hasWaiting(fd));
    const again = addon.hasWaiting(fd);
    await accept(fd);
    return [before, again, addon.hasWaiting(fd)];
  });
  expect(seen).toEqual([false, true, false]);
});

test('still tells the peer of a client that reset the connection while it was in the queue', async () => {
  const [told, known] = await inFreshProcess(async ({ tryAccept, listen, connect, until }) => {
    const { fd, port } = listen();
    const client = await connect(port);
    const known = client.localPort;
    client.resetAndDestroy();
    const socket = await until(() => tryAccept(fd));
    return [socket.peerPort, known];
  });
  expect(told).toBe(known);
});

test('a failed call is an error with code, errno and the name of the call', async () => {
  const failures = await inFreshProcess(({ addon, tryAccept, listen, bind, internet, failureOf }) => {
    const { port } = listen();
    const options = { backlog: 1, nodelay: false, keepalive: false, extra: {} };
    const closed = 9999 as ReturnType<typeof listen>['fd'];
    return {
      taken: failureOf(() => bind(internet('stream', '127.0.0.1', port))),
      foreign: failureOf(() => bind(internet('stream', '192.0.2.1'))),
      nonsense: failureOf(() => bind(internet('stream', 'localhost'))),
      accept: failureOf(() => tryAccept(closed)),
      options: failureOf(() => {
        addon.setListenerOptions(closed, options);
      }),
      holdOff: failureOf(() => {
        addon.holdOff(closed, true);
      }),
    };
  });
  const isError = true;
  expect(failures).toEqual({
    taken: {
      isError,
      code: 'EADDRINUSE',
      errno: 98,
      syscall: 'bind',
      message: expect.stringMatching(/^bind: EADDRINUSE/),
    },
    foreign: expect.objectContaining({ isError, code: 'EADDRNOTAVAIL', errno: 99, syscall: 'bind' }),
    nonsense: expect.objectContaining({ isError, code: 'EINVAL', errno: 22, syscall: 'bind' }),
    accept: expect.objectContaining({ isError, code: 'EBADF', errno: 9, syscall: 'accept4' }),
    options: expect.objectContaining({ isError, code: 'EBADF', errno: 9, syscall: 'getsockopt' }),
    holdOff: expect.objectContaining({ isError, code: 'EBADF', errno: 9, syscall: 'setsockopt' }),
  });
});

test('a listener that cannot be bound leaves no descriptor behind', async () => {
  const [before, after] = await inFreshProcess(({ listen, bind, internet, failureOf, openFds }) => {
    const { port } = listen();
    const before = openFds();
    failureOf(() => bind(internet('stream', '127.0.0.1', port)));
    return [before, openFds()];
  });
  expect(after).toEqual(before);
});

test('out of descriptors, accept says EMFILE and the client stays in the queue', async () => {
  const { failure, peerPort, clientPort } = await inFreshProcess(async (kit) => {
    const { addon, listen, connect, accept, tryAccept, until, failureOf } = kit;
    const { fd, port } = listen();
    const client = await connect(port);
    await until(() => addon.hasWaiting(fd));
    const filled = kit.takeEveryFd();
    const failure = failureOf(() => tryAccept(fd));
    for (const each of filled) addon.close(each);
    return { failure, peerPort: (await accept(fd)).peerPort, clientPort: client.localPort };
  });
  expect(failure).toMatchObject({ code: 'EMFILE', syscall: 'accept4' });
  expect(peerPort).toBe(clientPort);
});

test.each(['connection', 'unixConnection'] as const)(
  'a refused client sees an end and no reset, even when it has sent data (%s)',
  async (way) => {
    const received = await inFreshProcess(async ({ addon, readAll, until, ...kit }, way) => {
      const { client, socket } = await kit[way]();
      client.write('x'.repeat(100_000));
      await until(() => addon.hasWaiting(socket.fd));
      const end = readAll(client);
      addon.refuse(socket.fd);
      return end;
    }, way);
    expect(received).toBe('');
  },
);

testWith(ROOT)(
  'a listener on hold serves those in its queue, ignores new clients, and takes them when the hold is lifted',
  async () => {
    const seen = await inFreshProcess(async (kit) => {
      const { addon, net, listen, connect, accept, until, shell, readAll, openReaper } = kit;
      openReaper();
      const { fd, port } = listen();
      const early = await connect(port);
      addon.holdOff(fd, true);

      const late = net.connect({ port, host: '127.0.0.1' });
      let isConnected = false;
      late.on('connect', () => (isConnected = true));
      await until(() => kit.unansweredSyns(port) > 0);
      const whileOn = { isConnected, waiting: 0 };

      addon.spawn(shell('read line; echo "$line" to you'), { fd: (await accept(fd)).fd, facts: '' });
      early.write('hello\n');
      const reply = await readAll(early);
      whileOn.waiting = addon.hasWaiting(fd) ? 1 : 0;

      addon.holdOff(fd, false);
      const { peerPort } = await accept(fd);
      return { whileOn, reply, isLateAccepted: peerPort === late.localPort };
    });
    expect(seen).toEqual({
      whileOn: { isConnected: false, waiting: 0 },
      reply: 'hello to you\n',
      isLateAccepted: true,
    });
  },
);
