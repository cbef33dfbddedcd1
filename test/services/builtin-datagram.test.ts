// builtin --datagram: what is answered, and above all what is not.
//
// Datagrams to one socket are answered in the order of their coming. So whoever was passed over has nothing in his queue as
// soon as somebody who asked after him has his answer.

import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled, loopbacks, project, runOnPipes, script } from './harness';
import { asRoot, closeEverything, handOver, Peer } from './sockets';
import { ownHost } from '../system/own-host';

const quotes = ['--file', join(project, 'services/quotes.txt')];
const builtin = (name: string, ...options: string[]): string[] => [
  ...compiled('builtin'),
  '--datagram',
  ...options,
  ...(name === 'qotd' ? quotes : []),
  name,
];
const speaking = ['echo', 'chargen', 'daytime', 'time', 'qotd'];
const lengths = [0, 1, 4, 26, 72, 512];
const group4 = '239.71.7.7';
const group6 = 'ff12::7107';
const loopbacks6 = loopbacks.filter(({ family }) => family === 'IPv6');

/** Loopback devices know no IPv6 multicast, so that takes another one. */
const linkLocal = Object.entries(networkInterfaces())
  .map(([device, addresses]) => ({
    device,
    address: addresses?.find((one) => one.address.startsWith('fe80'))?.address,
  }))
  .find((one): one is { device: string; address: string } => one.address !== undefined);

afterEach(closeEverything);

/** Sends what must not be answered, twice: as the first datagram, which was there before the program, and as a later one. */
async function expectNoAnswer(asker: Peer, port: number, to = asker.address, other?: Peer): Promise<void> {
  const witness = other ?? (await Peer.open(asker.address));
  for (const round of ['first', 'later']) {
    await asker.send(round, port, to);
    expect((await witness.ask('witness', port)).bytes.toString()).toBe('witness');
    expect(await asker.everything()).toEqual([]);
  }
}

describe.each(loopbacks)('over $family', ({ address, test }) => {
  test('echo sends back every datagram whole, up to the longest', async () => {
    const { port } = await handOver('udp', address, builtin('echo'));
    const client = await Peer.open(address);
    for (const length of [1, 1000, 65507]) {
      const payload = Buffer.alloc(length, 'ab');
      expect((await client.ask(payload, port)).bytes.equals(payload)).toBe(true);
    }
  });

  test('answers many clients, each its own', async () => {
    const { port } = await handOver('udp', address, builtin('echo'));
    const clients = await Promise.all(Array.from({ length: 50 }, () => Peer.open(address)));
    const answers = await Promise.all(clients.map((client, index) => client.ask(`I am ${index}`, port)));
    expect(answers.map(({ bytes }) => bytes.toString())).toEqual(clients.map((_, index) => `I am ${index}`));
  });
});

test('one host is answered so often a second and no more, whatever its port, and the others as before', async () => {
  const { port } = await handOver('udp', '127.0.0.1', builtin('echo', '--rate', '1'));
  const [first, second, neighbour] = [await Peer.open(), await Peer.open(), await Peer.open('127.0.0.2')];
  await first.send('one', port);
  for (let count = 0; count < 50; count += 1) await second.send('two', port);
  expect((await neighbour.ask('three', port, '127.0.0.1')).bytes.toString()).toBe('three');
  const answers = [...(await first.everything()), ...(await second.everything())];
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.length).toBeLessThan(50);
});

test('the time in which one host is answered so often may be longer', async () => {
  const { port } = await handOver('udp', '127.0.0.1', builtin('echo', '--rate', '3/86400'));
  const [client, neighbour] = [await Peer.open(), await Peer.open('127.0.0.2')];
  for (let count = 0; count < 20; count += 1) await client.send('one', port);
  expect((await neighbour.ask('other', port, '127.0.0.1')).bytes.toString()).toBe('other');
  expect(await client.everything()).toHaveLength(3);
});

describe('the length of an answer', () => {
  it.each(speaking)('of %s is never more than that of the request, and an empty one gets none', async (name) => {
    const { port } = await handOver('udp', '127.0.0.1', builtin(name));
    const witness = await Peer.open();
    for (const length of lengths) {
      const client = await Peer.open();
      await client.send(Buffer.alloc(length, 'q'), port);
      await witness.ask(Buffer.alloc(512, 'w'), port);
      const answers = await client.everything();
      expect(answers.length).toBe(length === 0 ? 0 : 1);
      expect(Buffer.concat(answers).length).toBeLessThanOrEqual(length);
    }
  });

  it('is nothing at all for discard', async () => {
    const { port, ended } = await handOver('udp', '127.0.0.1', builtin('discard', '--idle', '1', '--amplify'));
    const client = await Peer.open();
    for (const length of lengths) await client.send(Buffer.alloc(length, 'q'), port);
    expect(await ended).toEqual({ status: 0, stderr: '' });
    expect(await client.everything()).toEqual([]);
  });

  it('of chargen is that of the request, up to 512', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('chargen'));
    const client = await Peer.open();
    expect((await client.ask('12345', port)).bytes.toString()).toBe(' !"#$');
    expect((await client.ask(Buffer.alloc(2000), port)).bytes.length).toBe(512);
  });

  it('of chargen is random up to 512 with --amplify', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('chargen', '--amplify'));
    const client = await Peer.open();
    const seen = new Set<number>();
    for (let count = 0; count < 30; count++) seen.add((await client.ask('', port)).bytes.length);
    expect(Math.min(...seen)).toBeGreaterThan(0);
    expect(Math.max(...seen)).toBeLessThanOrEqual(512);
    expect(seen.size).toBeGreaterThan(5);
  });

  it.each([
    ['daytime', /^[A-Z][a-z]+day, .*\r\n$/],
    ['time', /^[^]{4}$/],
    ['qotd', /\r\n$/],
  ])('of %s is full for an empty request with --amplify', async (name, whole) => {
    const { port } = await handOver('udp', '127.0.0.1', builtin(name, '--amplify'));
    const client = await Peer.open();
    expect((await client.ask('', port)).bytes.toString('latin1')).toMatch(whole);
  });
});

describe('no answer', () => {
  asRoot('to a source port below 1024 (needs root)', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('echo'));
    await expectNoAnswer(await Peer.open(ownHost(), 1023), port, '127.0.0.1', await Peer.open());
  });

  it('to a source port of --ports, alone or in a range', async () => {
    const [one, two, other] = await Promise.all([Peer.open(), Peer.open(), Peer.open()]);
    const list = `1,${one.port},${two.port}-${two.port},${other.port === 65535 ? 1 : 65535}`;
    const { port } = await handOver('udp', '127.0.0.1', builtin('echo', '--ports', list));
    await expectNoAnswer(one, port, '127.0.0.1', other);
    await expectNoAnswer(two, port, '127.0.0.1', other);
  });

  it('to our own port, whatever the address', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('echo'));
    const twin = await Peer.open(ownHost(), port);
    await expectNoAnswer(twin, port, '127.0.0.1', await Peer.open());
  });

  it.each(['0.0.0.0', ...loopbacks6.map(() => '::')])('to a broadcast, on %s', async (any) => {
    const sender = await Peer.open();
    sender.socket.setBroadcast(true);
    const control = await handOver('udp', any, script('udp-echo.py'));
    expect((await sender.ask('hello', control.port, '127.255.255.255')).bytes.toString()).toBe('hello'); // it does arrive
    const { port } = await handOver('udp', any, builtin('echo'));
    await expectNoAnswer(sender, port, '127.255.255.255', await Peer.open());
  });

  it.each(['0.0.0.0', ...loopbacks6.map(() => '::')])('to an IPv4 multicast, on %s', async (any) => {
    const sender = await Peer.open();
    sender.socket.addMembership(group4, '127.0.0.1');
    sender.socket.setMulticastInterface('127.0.0.1');
    const control = await handOver('udp', '0.0.0.0', script('udp-echo.py'));
    expect((await sender.ask('hello', control.port, group4)).bytes.toString()).toBe('hello');
    const { port } = await handOver('udp', any, builtin('echo'));
    await expectNoAnswer(sender, port, group4, await Peer.open());
  });

  (linkLocal ? it : it.skip)('to an IPv6 multicast (needs a network with IPv6)', async () => {
    const { address, device } = linkLocal ?? { address: '', device: '' };
    const sender = await Peer.open(`${address}%${device}`);
    sender.socket.addMembership(group6, `::%${device}`);
    sender.socket.setMulticastInterface(`::%${device}`);
    const control = await handOver('udp', '::', script('udp-echo.py'));
    expect((await sender.ask('hello', control.port, `${group6}%${device}`)).bytes.toString()).toBe('hello');
    const { port } = await handOver('udp', '::', builtin('echo'));
    await expectNoAnswer(sender, port, `${group6}%${device}`);
  });
});

describe('the address of an answer', () => {
  it('is the one that was asked', async () => {
    const { port } = await handOver('udp', '0.0.0.0', builtin('echo'));
    const client = await Peer.open();
    for (const asked of ['127.0.0.2', '127.0.0.1', '127.1.2.3']) {
      expect((await client.ask('hello', port, asked)).from).toBe(asked);
    }
  });

  for (const { test } of loopbacks6) {
    test('is so for IPv4 clients of an IPv6 socket, too', async () => {
      const { port } = await handOver('udp', '::', builtin('echo'));
      expect((await (await Peer.open()).ask('hello', port, '127.0.0.2')).from).toBe('127.0.0.2');
      expect((await (await Peer.open('::1')).ask('hello', port)).from).toBe('::1');
    });
  }
});

describe('the process', () => {
  it('ends after a while without datagrams', async () => {
    const { port, ended } = await handOver('udp', '127.0.0.1', builtin('echo', '--idle', '1'));
    await (await Peer.open()).ask('hello', port);
    expect(await ended).toEqual({ status: 0, stderr: '' });
  });

  it('stays as long as datagrams come', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('echo', '--idle', '3', '--rate', '9999999'));
    const client = await Peer.open();
    const end = Date.now() + 3500;
    while (Date.now() < end) expect((await client.ask('hello', port)).bytes.toString()).toBe('hello');
  });

  it('outlives clients that have gone before their answer', async () => {
    const { port } = await handOver('udp', '127.0.0.1', builtin('echo'));
    for (let count = 0; count < 20; count++) {
      const hasty = createSocket('udp4');
      await new Promise((resolve) => {
        hasty.send('hello', port, '127.0.0.1', resolve);
      });
      hasty.close();
    }
    expect((await (await Peer.open()).ask('still there?', port)).bytes.toString()).toBe('still there?');
  });

  it('says so when the quotes cannot be read, and fails', async () => {
    const command = [...compiled('builtin'), '--datagram', '--file', '/nonexistent', 'qotd'];
    const { port, ended } = await handOver('udp', '127.0.0.1', command);
    await (await Peer.open()).send('hello', port);
    expect(await ended).toEqual({ status: 1, stderr: 'builtin: /nonexistent: No such file or directory\n' });
  });
});

describe('over a Unix socket', () => {
  const box = mkdtempSync(join(tmpdir(), 'builtin-test-'));
  const path = join(box, 'service');
  let named = 0;

  afterAll(() => {
    rmSync(box, { recursive: true });
  });
  afterEach(() => {
    rmSync(path, { force: true });
  });

  /** Node has no such sockets. Runs Python, where `server` is our path and `client()` a socket with a name. */
  async function inPython(program: string): Promise<string> {
    const preamble = `
import socket, sys
server, name = sys.argv[1:]
count = 0
def client():
    global count
    count += 1
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind(name + str(count))
    return one
def ask(payload):
    one = client()
    one.sendto(payload, server)
    return one.recv(65536)
`;
    named += 1;
    const { stdout, stderr } = await runOnPipes(
      ['python3', '-c', preamble + program, path, join(box, `${named}-`)],
      '',
    );
    expect(stderr).toBe('');
    return stdout.trim();
  }

  it('answers a client that has a name', async () => {
    await handOver('unix-dgram', path, builtin('echo'));
    expect(await inPython(`print(ask(b'hello').decode(), len(ask(bytes(60000))))`)).toBe('hello 60000');
  });

  it('holds to the length of the request', async () => {
    await handOver('unix-dgram', path, builtin('daytime'));
    expect(await inPython(`print([len(ask(bytes(n))) for n in (1, 4, 10)])`)).toBe('[1, 4, 10]');
  });

  it('passes over a client without a name, and one that has gone', async () => {
    await handOver('unix-dgram', path, builtin('echo'));
    const program = `
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'nameless', server)
with client() as gone:
    gone.sendto(b'gone', server)
print(ask(b'hello').decode())
`;
    expect(await inPython(program)).toBe('hello');
  });

  it('waits for no client that does not read its answers', async () => {
    await handOver('unix-dgram', path, builtin('echo'));
    const program = `
deaf = client()
for _ in range(2000):
    deaf.sendto(b'hello', server)
print(ask(b'hello').decode())
`;
    expect(await inPython(program)).toBe('hello');
  });
});

describe('udp-echo.py', () => {
  it('sends back every datagram, and ends after a while without any', async () => {
    const { port, ended } = await handOver('udp', '127.0.0.1', [...script('udp-echo.py'), '1']);
    const client = await Peer.open();
    for (const payload of ['one', 'two', '']) {
      expect((await client.ask(payload, port)).bytes.toString()).toBe(payload);
    }
    expect(await ended).toEqual({ status: 0, stderr: '' });
  });

  asRoot('answers no source port below 1024 (needs root)', async () => {
    const { port } = await handOver('udp', '127.0.0.1', script('udp-echo.py'));
    await expectNoAnswer(await Peer.open(ownHost(), 1023), port, '127.0.0.1', await Peer.open());
  });
});
