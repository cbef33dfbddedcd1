/**
 * What a program is kept away from: it tries, from within, and the same works without the key.
 */
import { readlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { connectTo, exchange, LOCALHOST, type Client } from './client';
import { startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { Denial } from './denial';
import { atEnd, endAll } from './endings';
import { fixture } from './fixtures';
import { testAsRoot } from './machine';
import { childrenOf, openFds } from './proc';
import { untilTrue } from './until';

afterEach(endAll);

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

/** A service of this name that does what its client says. */
function tries(name: string, keys: string): string {
  return `  ${name}: {listen: "127.0.0.1:0", exec: ${fixture('tries.py')}, ${keys}}\n`;
}

async function startTwo(keys: string, options: DaemonOptions = {}): Promise<{ inside: Client; outside: Client }> {
  const daemon = await startDaemon(`services:\n${tries('in', keys)}${tries('out', 'umask: "022"')}`, options);
  const [inside, outside] = [await connectTo(daemon.port('in')), await connectTo(daemon.port('out'))];
  for (const client of [inside, outside]) expect(await client.ask('peer()')).toBe(`"${client.address}"`);
  return { inside, outside };
}

async function startServer(): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  atEnd(() => {
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, LOCALHOST, resolve));
  return (server.address() as AddressInfo).port;
}

/** What the daemon keeps, `net:[4026532177]`. */
function namespaces(daemon: Daemon, kind: string): string[] {
  return [...openFds(daemon.pid).values()].filter((target) => target.startsWith(`${kind}:[`));
}

async function ownNamespace(daemon: Daemon, kind: string): Promise<string> {
  const client = await connectTo(daemon.port());
  return JSON.parse(await client.ask(`os.readlink("/proc/self/ns/${kind}")`)) as string;
}

/** Of its only child. */
function networkOfChild(daemon: Daemon): string {
  return readlinkSync(`/proc/${childrenOf(daemon.pid)[0] ?? 0}/ns/net`);
}

describe.each(WAYS)('private_network: %s', (_, options) => {
  testAsRoot('reaches its client and nobody else (needs root)', async () => {
    const port = await startServer();
    const { inside, outside } = await startTwo('private_network: true', options);
    expect(await inside.ask(`connect(${port})`)).toBe('"ECONNREFUSED"');
    expect(await outside.ask(`connect(${port})`)).toBe('true');
    expect(await inside.ask('[name for _, name in socket.if_nameindex()]')).toBe('["lo"]');
  });
});

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('private_ipc: finds no shared memory of others (needs root)', async () => {
    const { inside, outside } = await startTwo('private_ipc: true', options);
    const key = 0x5d00_0000 + (process.pid & 0xffff);
    expect(await outside.ask(`libc.shmget(${key}, 4096, 0o1600) >= 0`)).toBe('true');
    expect(await outside.ask(`libc.shmget(${key}, 0, 0) >= 0`)).toBe('true');
    expect(await inside.ask(`libc.shmget(${key}, 0, 0) >= 0`)).toBe('false');
    expect(await outside.ask(`libc.shmctl(libc.shmget(${key}, 0, 0), 0, None)`)).toBe('0');
  });

  testAsRoot('private_hostname: changes its own name and nobody else’s (needs root)', async () => {
    const keys = 'user: root, private_hostname: true';
    const { inside, outside } = await startTwo(keys, options);
    expect(await inside.ask('socket.gethostname()')).toBe(`"${hostname()}"`);
    expect(await inside.ask('[socket.sethostname("elsewhere"), socket.gethostname()]')).toBe('[null, "elsewhere"]');
    expect(await outside.ask('socket.gethostname()')).toBe(`"${hostname()}"`);
  });
});

testAsRoot('a program that takes the listening socket itself has it in a network of its own (needs root)', async () => {
  const keys = `listen: "127.0.0.1:0", wait: true, private_network: true`;
  const daemon = await startDaemon(`services: {it: {${keys}, exec: ${fixture('accepts.py')}}}\n`);
  expect(await (await connectTo(daemon.port())).ask('hello')).toMatch(/ hello$/);
  expect(networkOfChild(daemon)).toBe(namespaces(daemon, 'net')[0]);
});

testAsRoot('all children of a service have one network, and no descriptor of it (needs root)', async () => {
  const daemon = await startDaemon(`services:\n${tries('it', 'private_network: true')}`);
  const [one, other] = [await ownNamespace(daemon, 'net'), await ownNamespace(daemon, 'net')];
  expect(namespaces(daemon, 'net')).toEqual([one]);
  expect(other).toBe(one);
  const client = await connectTo(daemon.port());
  const fds = `sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in range(9) if os.path.exists(f"/proc/self/fd/{n}"))`;
  expect(await client.ask(fds)).toBe('["socket", "socket", "socket"]');
});

testAsRoot('a network outlives a reload that leaves it as it is, and no other one (needs root)', async () => {
  const daemon = await startDaemon(`services:\n${tries('it', 'private_network: true')}`);
  const before = namespaces(daemon, 'net');
  const reload = async (keys: string): Promise<void> => {
    const from = daemon.events.length;
    writeFileSync(join(daemon.folder, 'services.yaml'), `services:\n${tries('it', keys)}`);
    daemon.signal('SIGHUP');
    await daemon.waitFor('reloaded', ({ changed }) => changed.includes('it'), from);
  };
  await reload('private_network: true, umask: "077"');
  expect(namespaces(daemon, 'net')).toEqual(before);
  expect(await ownNamespace(daemon, 'net')).toBe(before[0]);
  await reload('private_network: false');
  await untilTrue('the network is gone', () => namespaces(daemon, 'net').length === 0);
});

describe('where the kernel refuses', () => {
  const two = (): string => `services:\n${tries('in', 'private_network: true')}${tries('out', 'umask: "022"')}`;

  testAsRoot(
    'to make it, the service is unavailable until it does not, and others are served (needs root)',
    async () => {
      const denial = new Denial('unshare');
      denial.deny('ENOSPC');
      const daemon = await startDaemon(two(), { wrapper: denial.wrapper });
      const { reason } = await daemon.waitFor('unavailable', { service: 'in' });
      expect(reason).toBe('sandbox: unshare: ENOSPC no space left on device');
      expect(await (await connectTo(daemon.port('out'))).ask('1 + 1')).toBe('2');
      denial.allow();
      await daemon.waitFor('available', { service: 'in' });
      expect(namespaces(daemon, 'net')).toHaveLength(1);
    },
  );

  testAsRoot('to have it joined, no program is started (needs root)', async () => {
    const denial = new Denial('setns');
    const daemon = await startDaemon(two(), { wrapper: denial.wrapper });
    denial.deny('EPERM');
    expect(await exchange(daemon.port('in'), '1 + 1\n')).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ service: 'in', step: 'setns', error: 'EPERM' });
    expect(await (await connectTo(daemon.port('out'))).ask('1 + 1')).toBe('2');
  });
});
