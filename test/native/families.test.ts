/**
 * Sockets that are not TCP: Unix sockets of every type, datagrams, vsock. Python is the client where Node cannot be one.
 */
import { inFreshProcess } from './fresh-process';
import { ROOT, testWith, tool, VSOCK, VSOCK_LOOPBACK } from './needs';

const PYTHON = tool('python3');

test('a Unix peer is told by its process, user and group, and the socket by its path', async () => {
  const { accepted, expected } = await inFreshProcess(async ({ addon, net, bind, accept, temporaryFolder }) => {
    const path = `${temporaryFolder()}/socket`;
    const { fd, port } = bind({ family: 'unix', type: 'stream', path });
    net.connect(path);
    const { fd: connection, ...accepted } = await accept(fd);
    addon.close(connection);
    const [uid, gid] = [process.getuid?.(), process.getgid?.()];
    const own = { pid: process.pid, uid, gid };
    return { accepted, expected: { peerAddress: '', peerPort: port, localAddress: path, localPort: port, ...own } };
  });
  expect(accepted).toEqual(expected);
  expect(accepted).toMatchObject({ peerPort: 0, localPort: 0 });
});

testWith(ROOT, PYTHON)('a Unix peer is who it was when it connected', async () => {
  const accepted = await inFreshProcess(async ({ bind, accept, runPython }) => {
    const name = `stdiod-test-${process.pid}`;
    const { fd } = bind({ family: 'unix', type: 'stream', path: `@${name}` });
    const script = `
os.setresgid(4712, 4712, 4712)
os.setresuid(4711, 4711, 4711)
client = socket.socket(socket.AF_UNIX)
client.connect('\\0' + sys.argv[1])
print(os.getpid(), end='')`;
    const pid = await runPython(script, name);
    return { ...(await accept(fd)), expected: Number(pid) };
  });
  expect(accepted).toMatchObject({ pid: accepted.expected, uid: 4711, gid: 4712 });
});

testWith(PYTHON)('a Unix peer that has a name of its own is told by it', async () => {
  const names = await inFreshProcess(async ({ bind, accept, runPython, temporaryFolder }) => {
    const own = `stdiod-test-${process.pid}`;
    const { fd } = bind({ family: 'unix', type: 'stream', path: `@${own}` });
    const given = [`${temporaryFolder()}/client`, `@${own}-client`];
    const names: string[] = [];
    for (const name of given) {
      const script = `client = socket.socket(socket.AF_UNIX)
client.bind(sys.argv[1].replace('@', '\\0'))
client.connect('\\0' + sys.argv[2])`;
      await runPython(script, name, own);
      names.push((await accept(fd)).peerAddress);
    }
    return { names, given };
  });
  expect(names.names).toEqual(names.given);
});

test('an abstract name is nowhere in the file system, and free again with the last descriptor', async () => {
  const seen = await inFreshProcess(async ({ addon, fs, bind, accept, failureOf, runPython }) => {
    const name = `stdiod-test-${process.pid}/abstract`;
    const address = { family: 'unix', type: 'stream', path: `@${name}` } as const;
    const { fd } = bind(address);
    const taken = failureOf(() => bind(address));
    await runPython(`socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])`, name);
    const { fd: connection, localAddress } = await accept(fd);
    for (const each of [connection, fd]) addon.close(each);
    const isLeft = fs.readFileSync('/proc/net/unix', 'utf8').includes(address.path);
    const hasName = localAddress === address.path;
    return { taken: taken?.['code'], hasName, isLeft, file: fs.existsSync(`@stdiod-test-${process.pid}`) };
  });
  expect(seen).toEqual({ taken: 'EADDRINUSE', hasName: true, isLeft: false, file: false });
});

testWith(PYTHON)('a seqpacket connection keeps the bounds of messages on its way to a child', async () => {
  const answer = await inFreshProcess(async ({ addon, bind, accept, plan, internet, borrower, openReaper }) => {
    const name = `stdiod-test-${process.pid}`;
    const { fd } = bind({ family: 'unix', type: 'seqpacket', path: `@${name}` });
    const script = `client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
client.connect('\\0' + sys.argv[2])
for word in (b'one', b'three'):
    client.send(word)
tell(client.recv(100), client.recv(100))`;
    const client = borrower(script, name);
    openReaper();
    const answer = client(bind(internet('datagram')).fd);
    addon.spawn(plan(['/bin/cat']), { fd: (await accept(fd)).fd, facts: '' });
    return (await answer).told;
  });
  expect(answer).toBe("b'one' b'three'\n");
});

test.each([
  { family: 'ipv4', type: 'datagram', address: '127.0.0.1', port: 0 },
  { family: 'unix', type: 'datagram', path: `@stdiod-test-${process.pid}` },
] as const)('a datagram socket is bound and does not listen: %p', async (address) => {
  const seen = await inFreshProcess(async ({ tryAccept, bind, borrower, flagsOf, openReaper, failureOf }, address) => {
    const told = borrower('tell(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), s.type == socket.SOCK_DGRAM)');
    openReaper();
    const { fd, port } = bind(address);
    const accept = failureOf(() => tryAccept(fd));
    return { ...(await told(fd)), port, flags: flagsOf(fd), accept: accept?.['code'], fd: Number(fd) };
  }, address);
  expect(seen).toMatchObject({ told: '0 True\n', flags: { isCloseOnExec: true, isNonBlocking: true } });
  expect(seen.accept).toBe('ENOTSUP');
  expect(seen.fd).toBeGreaterThanOrEqual(1024);
  expect(seen.port > 0).toBe(address.family === 'ipv4');
});

test('nobody can bind beside a datagram socket and steal from it', async () => {
  const failures = await inFreshProcess(({ bind, internet, failureOf }) => {
    const { port } = bind(internet('datagram'));
    const again = failureOf(() => bind(internet('datagram', '127.0.0.1', port)));
    return [again?.['code'], failureOf(() => bind(internet('datagram', '0.0.0.0', port)))?.['code']];
  });
  expect(failures).toEqual(['EADDRINUSE', 'EADDRINUSE']);
});

test('one number is two ports, one for streams and one for datagrams', async () => {
  const ports = await inFreshProcess(({ bind, internet, listen }) => {
    const { port } = listen();
    return [port, bind(internet('datagram', '127.0.0.1', port)).port];
  });
  expect(ports[1]).toBe(ports[0]);
});

test.each([
  ['a path', 107],
  ['an abstract name', 108],
])('the name of a Unix socket has room for 107 bytes: %s', async (kind, length) => {
  const [fits, longer] = await inFreshProcess(
    ({ bind, failureOf, temporaryFolder }, { kind, length }) => {
      const failure = (name: string): unknown =>
        failureOf(() => bind({ family: 'unix', type: 'stream', path: name }))?.['code'] ?? null;
      const start = kind === 'a path' ? `${temporaryFolder()}/` : `@stdiod-test-${process.pid}-`;
      const path = start.padEnd(length, 'x');
      return [failure(path), failure(`${path}x`)];
    },
    { kind, length },
  );
  expect([fits, longer]).toEqual([null, 'EINVAL']);
});

test('a Unix socket that cannot be bound leaves no descriptor behind', async () => {
  const seen = await inFreshProcess(({ bind, openFds, failureOf, temporaryFolder }) => {
    const path = `${temporaryFolder()}/socket`;
    bind({ family: 'unix', type: 'stream', path });
    const before = openFds();
    const codes = [path, '', '/no/such/folder/socket'].map(
      (name) => failureOf(() => bind({ family: 'unix', type: 'stream', path: name }))?.['code'],
    );
    return { codes, before, after: openFds() };
  });
  expect(seen.codes).toEqual(['EADDRINUSE', 'EINVAL', 'ENOENT']);
  expect(seen.after).toEqual(seen.before);
});

testWith(VSOCK)('a vsock port has one listener', async () => {
  const seen = await inFreshProcess(({ addon, bind, failureOf, flagsOf }) => {
    const address = { family: 'vsock', type: 'stream', port: 0x1000_0000 + process.pid } as const;
    const { fd, port } = bind(address);
    const taken = failureOf(() => bind(address))?.['code'];
    return { hasPort: port === address.port, taken, waiting: addon.hasWaiting(fd), flags: flagsOf(fd) };
  });
  const flags = { isCloseOnExec: true, isNonBlocking: true };
  expect(seen).toEqual({ hasPort: true, taken: 'EADDRINUSE', waiting: false, flags });
});

// Nobody but the kernel's own loopback transport (vsock_loopback) can be such a client, and no package brings that.
const testPeer = VSOCK_LOOPBACK.isMet ? test : null;

testPeer?.('a vsock peer is told by its context and port', async () => {
  const { accepted, client, port } = await inFreshProcess(async ({ bind, accept, runPython }) => {
    const port = 0x1000_0000 + process.pid;
    const { fd } = bind({ family: 'vsock', type: 'stream', port });
    const script = `client = socket.socket(socket.AF_VSOCK)
client.connect((1, int(sys.argv[1])))
print(client.getsockname()[1], end='')`;
    return { client: await runPython(script, String(port)), accepted: await accept(fd), port };
  });
  expect(accepted).toMatchObject({ peerAddress: '1', peerPort: Number(client), localAddress: '1', localPort: port });
  expect(accepted.pid).toBeUndefined();
});
