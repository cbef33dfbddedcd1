/**
 * The built-in services, as clients see them.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { connectTo, exchange, LOCALHOST } from './client';
import { startDaemon, type Daemon } from './daemon';
import { datagramClient } from './datagram-client';
import { atEnd, endAll } from './endings';
import { findFreePorts, testAsRoot } from './machine';
import { ownHost } from './own-host';

afterEach(endAll);

const PROOF = 'echo behind it';
const SECONDS_1900_TO_1970 = 2_208_988_800;

function secondsSince1900(): number {
  return Math.floor(Date.now() / 1000) + SECONDS_1900_TO_1970;
}

function serve(name: string, listen: string, more = ''): string {
  return `  ${name}: {listen: "${listen}", builtin: ${name.replace(/-.*/, '')}, stop_grace: 100ms, ${more}}\n`;
}

function startOne(name: string, more = ''): Promise<Daemon> {
  return startDaemon(`services:\n${serve(name, '127.0.0.1:0', more)}`);
}

function startDatagrams(name: string, more = ''): Promise<Daemon> {
  return startDaemon(`services:\n${serve(name, '127.0.0.1:0/udp', more)}`);
}

function portOf(daemon: Daemon): number {
  return Number(/:(\d+)\/udp$/.exec(daemon.all('listening')[0]?.address ?? '')?.[1]);
}

describe('over a connection', () => {
  test('echo sends back what it gets, and discard nothing', async () => {
    const daemon = await startDaemon(`services:\n${serve('echo', '127.0.0.1:0')}${serve('discard', '127.0.0.1:0')}`);
    const text = 'x'.repeat(300_000);
    expect(await exchange(daemon.port('echo'), text)).toBe(text);
    expect(await exchange(daemon.port('discard'), text)).toBe('');
    expect((await daemon.waitForCount('reaped', 2)).map(({ exit }) => exit)).toEqual([0, 0]);
  });

  test('chargen sends the lines of RFC 864 until the client leaves', async () => {
    const daemon = await startOne('chargen');
    const client = await connectTo(daemon.port());
    const [first, second] = [await client.line(), await client.line()];
    expect([first.length, second.length]).toEqual([73, 73]);
    expect(second.slice(0, 71)).toBe(first.slice(1, 72));
    client.reset();
    await daemon.waitFor('reaped', { exit: 0 });
  });

  test('daytime is one line of text', async () => {
    const daemon = await startOne('daytime');
    expect(await exchange(daemon.port(), '')).toMatch(/^\w+, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n$/);
  });

  test('time is the seconds since 1900 in four bytes', async () => {
    const daemon = await startOne('time');
    const before = secondsSince1900();
    const bytes = Buffer.from(await exchange(daemon.port(), ''), 'latin1');
    expect(bytes).toHaveLength(4);
    expect(bytes.readUInt32BE()).toBeGreaterThanOrEqual(before);
    expect(bytes.readUInt32BE()).toBeLessThanOrEqual(secondsSince1900());
  });

  test('qotd is a quote of the file', async () => {
    const daemon = await startDaemon(`services:\n${serve('echo', '127.0.0.1:0')}`);
    daemon.addFile('quotes.txt', 'To be\n%\n');
    await daemon.reload(`services:\n${serve('qotd', '127.0.0.1:0', 'quotes: quotes.txt')}`);
    expect(await exchange(daemon.port('qotd'), '')).toBe('To be\r\n');
  });

  test('a client that sends without reading ends no other one', async () => {
    const daemon = await startOne('echo');
    const rude = connect(daemon.port(), LOCALHOST).on('error', () => undefined);
    atEnd(() => {
      rude.destroy();
    });
    rude.pause();
    rude.write('x'.repeat(20_000_000));
    expect(await exchange(daemon.port(), 'hello')).toBe('hello');
  });
});

describe('over datagrams', () => {
  test('echo answers each with its own content, an empty one too', async () => {
    const daemon = await startDatagrams('echo');
    const client = await datagramClient();
    for (const text of ['one', 'x'.repeat(60_000), 'three']) expect(await client.ask(text, portOf(daemon))).toBe(text);
    expect(await daemon.waitForCount('started', 1)).toHaveLength(1);
  });

  test('discard answers nothing', async () => {
    const daemon = await startDaemon(
      `services:\n${serve('discard', '127.0.0.1:0/udp')}${serve('echo', '127.0.0.1:0/udp')}`,
    );
    const ports = daemon.all('listening').map(({ address }) => Number(/:(\d+)\/udp/.exec(address)?.[1]));
    const client = await datagramClient();
    await client.send('hello', ports[0] ?? 0);
    await daemon.waitFor('started', { service: 'discard' });
    expect(await client.ask(PROOF, ports[1] ?? 0)).toBe(PROOF);
    expect(client.received).toEqual([]);
  });

  test.each(['chargen', 'daytime', 'time'])('%s never answers with more bytes than it got', async (name) => {
    const daemon = await startDatagrams(name);
    const client = await datagramClient();
    for (const size of [1, 2, 3]) {
      await client.send(Buffer.alloc(size), portOf(daemon));
      expect(await client.next()).toHaveLength(size);
    }
    await client.send(Buffer.alloc(0), portOf(daemon));
    await client.send(Buffer.alloc(2), portOf(daemon));
    expect(await client.next()).toHaveLength(2);
  });

  test('time answers an empty datagram where the service may amplify', async () => {
    const daemon = await startDatagrams('time', 'amplify: true');
    const client = await datagramClient();
    await client.send('', portOf(daemon));
    expect(await client.next()).toHaveLength(4);
  });

  testAsRoot('none answers a port below 1024', async () => {
    const daemon = await startDatagrams('echo');
    const low = await datagramClient('udp4', 1019, ownHost());
    await low.send('hello', portOf(daemon));
    const client = await datagramClient();
    expect(await client.ask(PROOF, portOf(daemon))).toBe(PROOF);
    expect(low.received).toEqual([]);
  });

  test('none answers a UDP port of the configuration', async () => {
    const first = await findFreePorts(2);
    const other = first + 1;
    const yaml = `services:\n${serve('echo', `127.0.0.1:${first}/udp`)}${serve('discard', `127.0.0.2:${other}/udp`)}`;
    const daemon = await startDaemon(yaml);
    const forged = await datagramClient('udp4', other);
    await forged.send('hello', first);
    expect(await (await datagramClient()).ask(PROOF, first)).toBe(PROOF);
    expect(forged.received).toEqual([]);
    expect(await daemon.waitForCount('started', 1)).toHaveLength(1);
  });

  test('none answers what was sent to a broadcast address', async () => {
    const daemon = await startDaemon(`services:\n${serve('echo', '0.0.0.0:0/udp')}`);
    const socket = createSocket('udp4');
    atEnd(() => {
      socket.close();
    });
    const received: string[] = [];
    socket.on('message', (message) => received.push(message.toString()));
    await new Promise<void>((resolve) => socket.bind(0, LOCALHOST, resolve));
    socket.setBroadcast(true);
    await new Promise((resolve) => {
      socket.send('hello', portOf(daemon), '127.255.255.255', resolve);
    });
    expect(await (await datagramClient()).ask(PROOF, portOf(daemon))).toBe(PROOF);
    expect(received).toEqual([]);
  });
});
