/**
 * What a program may do beyond its user's rights: /proc tells what it got, and a set-user-ID program what it can still get.
 */
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectTo, exchange } from './client';
import { startDaemon, type DaemonOptions } from './daemon';
import { dumpProgram, parseDump, type Dump } from './dump';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { asOther, findProgram, isRoot, testAsOther, testAsRoot } from './machine';
import { status } from './proc';

afterEach(endAll);

const NET_RAW = 1n << 13n;

interface Rights {
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly hasNoNewPrivileges: boolean;
}

async function rightsOf(keys: string, options: DaemonOptions = {}): Promise<Rights> {
  const daemon = await startDaemon(`services: {it: {listen: "127.0.0.1:0", exec: cat, ${keys}}}\n`, options);
  const client = await connectTo(daemon.port());
  expect(await client.ask('hello')).toBe('hello');
  const facts = status((await daemon.waitFor('accepted', { peer: client.address })).pid);
  const set = (name: string): bigint => BigInt(`0x${facts[name] ?? ''}`);
  return {
    effective: set('CapEff'),
    bounding: set('CapBnd'),
    hasNoNewPrivileges: facts['NoNewPrivs'] === '1',
  };
}

const WAYS: readonly [string, DaemonOptions][] = [
  ['a child', {}],
  ['a child of a plain fork', { env: { STDIOD_SPAWN: 'fork' } }],
];

describe.each(WAYS)('%s', (_, options) => {
  testAsRoot('has the secure bits that the file says, and no right more than without them (needs root)', async () => {
    const dumpOf = async (keys: string): Promise<Dump> => {
      const yaml = `services: {it: {listen: "127.0.0.1:0", directory: /, exec: ${dumpProgram()}, ${keys}}}\n`;
      return parseDump(await exchange((await startDaemon(yaml, options)).port(), ''));
    };
    const bits = ['noroot', 'noroot-locked', 'no-setuid-fixup', 'no-setuid-fixup-locked'];
    const none = { effective: [], permitted: [], inheritable: [], ambient: [] };
    expect(await dumpOf(`securebits: [${bits.join()}, keep-caps]`)).toMatchObject({
      securebits: bits,
      uid: [65534, 65534, 65534, 65534],
      capabilities: none,
    });
    const raw = { effective: ['net_raw'], permitted: ['net_raw'], ambient: ['net_raw'] };
    expect(await dumpOf('securebits: [noroot], capabilities: [net_raw]')).toMatchObject({
      securebits: ['noroot'],
      capabilities: raw,
    });
    expect(await dumpOf('user: root, securebits: [noroot]')).toMatchObject({
      securebits: ['noroot'],
      uid: [0, 0, 0, 0],
      capabilities: none,
    });
  });

  testAsRoot('as an ordinary user gets no more rights (needs root)', async () => {
    expect(await rightsOf('umask: "022"', options)).toMatchObject({ effective: 0n, hasNoNewPrivileges: true });
  });

  testAsRoot('has the capabilities that the file says, and no exec gives it others (needs root)', async () => {
    const rights = { effective: NET_RAW, bounding: NET_RAW };
    expect(await rightsOf('capabilities: [net_raw]', options)).toMatchObject(rights);
    expect(await rightsOf('user: root, capabilities: [CAP_NET_RAW]', options)).toMatchObject(rights);
    expect(await rightsOf('user: root, capabilities: []', options)).toMatchObject({ effective: 0n, bounding: 0n });
  });

  testAsRoot('as root is as it was, unless the file says otherwise (needs root)', async () => {
    const own = status(process.pid);
    const all = BigInt(`0x${own['CapBnd'] ?? ''}`);
    const asOurs = { bounding: all, hasNoNewPrivileges: own['NoNewPrivs'] === '1' };
    expect(await rightsOf('user: root', options)).toMatchObject(asOurs);
    expect(await rightsOf('user: root, no_new_privileges: true', options)).toMatchObject({
      bounding: all,
      hasNoNewPrivileges: true,
    });
  });
});

const GIVEN = '-all,+net_bind_service';

describe.each(WAYS)('%s of a daemon that was given a right beyond its ids', (_, options) => {
  testAsRoot('has nothing of it, not even to hand on (needs root)', async () => {
    const wrapper = [...asOther, `--inh-caps=${GIVEN}`, `--ambient-caps=${GIVEN}`];
    const daemon = await startDaemon(
      `services:
  it: {listen: "127.0.0.1:0", directory: /, exec: ${dumpProgram()}}
  has: {listen: "127.0.0.1:0", directory: /, exec: ${dumpProgram()}, capabilities: [net_bind_service]}
`,
      { ...options, wrapper },
    );
    expect(BigInt(`0x${status(daemon.pid)['CapEff'] ?? ''}`)).toBe(1n << 10n);
    const rightsIn = async (service: string): Promise<unknown> =>
      parseDump(await exchange(daemon.port(service), ''))['capabilities'];
    const sets = (all: readonly string[]) => ({ effective: all, permitted: all, inheritable: all, ambient: all });
    expect(await rightsIn('it')).toMatchObject(sets([]));
    expect(await rightsIn('has')).toMatchObject(sets(['net_bind_service']));
  });
});

testAsOther('a daemon that is not root gives its programs no way to more rights either', async () => {
  const wrapper = isRoot ? asOther : [];
  expect(await rightsOf('umask: "022"', { wrapper })).toMatchObject({ effective: 0n, hasNoNewPrivileges: true });
});

testAsRoot('a set-user-ID program makes nobody its owner, unless the file says so (needs root)', async () => {
  const folder = makeFolder();
  const program = join(folder, 'id');
  copyFileSync(findProgram('id'), program);
  chmodSync(folder, 0o755);
  chmodSync(program, 0o4755);
  const daemon = await startDaemon(`services:
  closed: {listen: "127.0.0.1:0", exec: [${program}, -u]}
  open: {listen: "127.0.0.1:0", exec: [${program}, -u], no_new_privileges: false}
`);
  expect(await exchange(daemon.port('closed'), '')).not.toBe('0\n');
  expect(await exchange(daemon.port('open'), '')).toBe('0\n');
});
