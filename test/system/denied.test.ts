/**
 * System calls of the daemon that fail, for a while or for ever: whoever is not concerned is served, nobody spins, what failed
 * is served again when the kernel says yes, and the daemon stops when it is told to.
 */
import { join } from 'node:path';
import { connectTo, exchange, type Client } from './client';
import { launchDaemon, startDaemon, type Daemon } from './daemon';
import { Denial, type Errno } from './denial';
import { endAll } from './endings';
import { makeFolder } from './fixtures';
import { withPreload } from './preload';
import { childrenOf, listenerFd, openFds, strings } from './proc';
import { expectRest } from './rest';
import { exchangeUnix } from './unix-client';
import { untilTrue } from './until';

afterEach(endAll);

const TWO = `services:
  it: {listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}
  other: {listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}
`;

interface Denied {
  readonly daemon: Daemon;
  /** @param times that it fails; absent: until `allow` */
  readonly deny: (times?: number) => void;
  readonly allow: () => void;
  /** How many calls have failed. */
  readonly count: () => number;
}

/** @param ofIt only with the listener of the service `it` */
async function startDenied(step: string, error: Errno, yaml = TWO, ofIt = step === 'accept4'): Promise<Denied> {
  const denial = new Denial(step);
  const daemon = await startDaemon(yaml, { wrapper: denial.wrapper });
  const fd = ofIt ? listenerFd(daemon.pid, daemon.port('it')) : -1;
  return {
    daemon,
    deny: (times = 0) => {
      denial.deny(error, { times, fd });
    },
    allow: () => {
      denial.allow();
    },
    count: () => denial.count,
  };
}

describe('accept that fails for ever', () => {
  test.each([
    ['EPERM', 'accept'],
    ['EOPNOTSUPP', 'accept'],
    ['ECONNABORTED', 'accept'],
    ['EINVAL', 'accept'],
    ['EMFILE', 'open-files'],
    ['ENFILE', 'open-files'],
    ['ENOMEM', 'memory'],
    ['ENOBUFS', 'memory'],
  ] as const)('with %s pauses that one listener, and nothing else', async (error, reason) => {
    const { daemon, deny, allow } = await startDenied('accept4', error);
    expect(await exchange(daemon.port('it'), 'first')).toBe('first');
    deny();
    const client = await connectTo(daemon.port('it'));
    expect(await daemon.waitFor('paused')).toMatchObject({ service: 'it', reason });
    await expectRest(daemon.pid);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
    allow();
    expect(await client.ask('late')).toBe('late');
    await daemon.waitFor('resumed', { service: 'it' });
    expect(daemon.all('paused')).toHaveLength(1);
  });

  test.each(['EPERM', 'EINVAL', 'EMFILE'] as const)('with %s does not keep a stop waiting', async (error) => {
    const { daemon, deny } = await startDenied('accept4', error);
    expect(await exchange(daemon.port('it'), 'first')).toBe('first');
    deny();
    await connectTo(daemon.port('it'));
    await daemon.waitFor('paused');
    expect(await daemon.stop()).toBe(0);
  });

  test.each(['EPERM', 'EINVAL', 'EMFILE'] as const)('with %s does not keep a removed listener', async (error) => {
    const { daemon, deny } = await startDenied('accept4', error);
    const fds = openFds(daemon.pid).size;
    expect(await exchange(daemon.port('it'), 'first')).toBe('first');
    deny();
    await connectTo(daemon.port('it'));
    await daemon.waitFor('paused');
    await daemon.reload('services: {other: {listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}}\n');
    await untilTrue('it is closed', () => openFds(daemon.pid).size < fds);
    expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
  });
});

describe('a child that cannot be made', () => {
  test.each([
    ['clone', 'EAGAIN', 'processes'],
    ['clone', 'ENOMEM', 'memory'],
    ['mmap', 'ENOMEM', 'memory'],
  ] as const)('because of %s: %s is made later, and its client waits', async (step, error, reason) => {
    const { daemon, deny, allow } = await startDenied(step, error);
    deny();
    const clients = [await connectTo(daemon.port('it')), await connectTo(daemon.port('other'))];
    for (const service of ['it', 'other'])
      expect(await daemon.waitFor('paused', { service })).toMatchObject({ reason });
    await expectRest(daemon.pid);
    allow();
    for (const client of clients) expect(await client.ask('late')).toBe('late');
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('for good costs its client, and no one else', async () => {
    const { daemon, deny } = await startDenied('clone', 'EPERM');
    deny(1);
    expect(await (await connectTo(daemon.port('it'))).rest()).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ service: 'it', step: 'clone', error: 'EPERM' });
    expect(await exchange(daemon.port('it'), 'next')).toBe('next');
  });

  test('is waited for by each client for as long as its own service grants at a stop', async () => {
    const [short, long] = ['100ms', '60s'].map((grace) => `{listen: "127.0.0.1:0", exec: cat, stop_grace: ${grace}}`);
    const yaml = `services: {short: ${short}, long: ${long}}\n`;
    const { daemon, deny, allow } = await startDenied('clone', 'EAGAIN', yaml);
    deny();
    const clients = [await connectTo(daemon.port('short')), await connectTo(daemon.port('long'))];
    for (const service of ['short', 'long']) await daemon.waitFor('paused', { service });
    daemon.signal('SIGTERM');
    expect(await clients[0]?.rest()).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ service: 'short', step: 'clone', error: 'EAGAIN' });
    await expectRest(daemon.pid);
    allow();
    expect(await clients[1]?.ask('late')).toBe('late');
    clients[1]?.end();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.all('dropped')).toHaveLength(1);
  });
});

test('a child is accounted for when the kernel does not tell how large we are ourselves', async () => {
  const { daemon, deny } = await startDenied('getrusage', 'EPERM');
  deny();
  expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
  expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0, rss: null });
  expect(await exchange(daemon.port('it'), 'next')).toBe('next');
});

describe('a start without', () => {
  test.each([
    ['epoll_create1', 'EMFILE', 2],
    ['socketpair', 'EMFILE', 0],
  ] as const)('%s (%s) says so and ends with 1', async (step, error, skip) => {
    const denial = new Denial(step);
    // What Node asks for itself before us it gets.
    denial.deny(error, { skip });
    const reporting = 'services: {it: {listen: "127.0.0.1:0", redirect: "127.0.0.1:9"}}\n';
    const daemon = launchDaemon(reporting, { wrapper: denial.wrapper });
    expect(await daemon.ended()).toBe(1);
    expect(daemon.stderr).toMatch(new RegExp(`"event":"failed".*"error":"${step}: ${error} .*"nothing was started"`));
  });

  test('threads of its own says so and ends with 1', async () => {
    // Node's own threads would be refused first.
    const env = withPreload(`
const load = process.dlopen;
process.dlopen = (module, ...rest) => {
  load.call(process, module, ...rest);
  if (typeof module.exports.startAside === 'function') module.exports.startAside = refuse;
};
function refuse() {
  throw Object.assign(new Error('clone: EAGAIN refused'), { code: 'EAGAIN', errno: 11, syscall: 'clone' });
}
`);
    const daemon = launchDaemon(TWO, { env });
    expect(await daemon.ended()).toBe(1);
    expect(daemon.stderr).toMatch(/"event":"failed".*"error":"clone: EAGAIN .*"nothing was started"/);
    expect(daemon.stderr).not.toMatch(/^ +at /m);
  });
});

test('a full service whose queue cannot be looked at waits for its slot, and nobody spins', async () => {
  const yaml = 'services: {it: {listen: "127.0.0.1:0", exec: cat, max_connections: 1, stop_grace: 100ms}}\n';
  const { daemon, deny } = await startDenied('poll', 'ENOMEM', yaml);
  const first = await connectTo(daemon.port());
  await first.ask('hello');
  deny();
  const second = await connectTo(daemon.port());
  expect(await daemon.waitFor('paused')).toMatchObject({ reason: 'full' });
  await expectRest(daemon.pid);
  first.end();
  expect(await second.ask('second')).toBe('second');
});

test('a Unix client whose user the kernel does not tell is not taken for root', async () => {
  const path = join(makeFolder(), 'socket');
  const yaml = `services: {it: {listen: "unix:${path}", exec: [sh, -c, "echo $UNIXREMOTEEUID"]}}\n`;
  const denial = new Denial('getsockopt');
  await startDaemon(yaml, { wrapper: denial.wrapper });
  denial.deny('ENOBUFS');
  expect(await exchangeUnix(path)).toBe('4294967295\n');
});

describe('a descriptor that cannot be watched', () => {
  const MUX = `services:
  mux: {listen: "127.0.0.1:0", builtin: tcpmux}
  plain: {tcpmux: true, exec: cat, stop_grace: 100ms}
  other: {listen: "127.0.0.1:0", exec: cat, stop_grace: 100ms}
`;

  test.each(['ENOSPC', 'ENOMEM'] as const)(
    'costs a client of tcpmux its connection (%s), and no one else',
    async (error) => {
      const { daemon, deny, allow } = await startDenied('epoll_ctl', error, MUX);
      // What libuv itself watches is watched by now: it would not survive to be refused.
      expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
      await daemon.waitFor('reaped');
      deny();
      const client = await connectTo(daemon.port('mux'));
      expect(await client.rest()).toBe('');
      expect(await daemon.waitFor('refused')).toMatchObject({ service: 'mux', peer: client.address, reason: 'memory' });
      expect(await exchange(daemon.port('other'), 'hello')).toBe('hello');
      allow();
      const next = await connectTo(daemon.port('mux'));
      next.send('plain\r\n');
      expect(await next.ask('hello')).toBe('hello');
    },
  );

  test('that is a listener is watched as soon as it can be', async () => {
    const yaml = 'services: {it: {listen: "127.0.0.1:0", exec: cat, max_connections: 1, stop_grace: 100ms}}\n';
    const { daemon, deny, allow } = await startDenied('epoll_ctl', 'ENOSPC', yaml);
    const first = await connectTo(daemon.port());
    await first.ask('hello');
    const second = await connectTo(daemon.port());
    await daemon.waitFor('paused');
    deny();
    first.end();
    expect(await second.ask('second')).toBe('second');
    await expectRest(daemon.pid);
    second.end();
    await daemon.waitForCount('reaped', 2);
    allow();
    expect(await exchange(daemon.port(), 'third')).toBe('third');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('a program that cannot be executed for a moment', () => {
  const MOMENT = 4;

  test.each(['ETXTBSY', 'EAGAIN'] as const)('because of %s serves its client all the same', async (error) => {
    const { daemon, deny } = await startDenied('execve', error);
    for (let round = 0; round < 3; round += 1) {
      deny(MOMENT);
      expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    }
    expect(daemon.all('dropped')).toEqual([]);
  });

  /** Clients whose children have tried five times. */
  async function startWaiting(count: number): Promise<Denied & { clients: Client[] }> {
    const denied = await startDenied('execve', 'EAGAIN');
    denied.deny();
    const clients = await Promise.all(Array.from({ length: count }, () => connectTo(denied.daemon.port('it'))));
    await untilTrue('they have tried often', () => denied.count() > count * (MOMENT + 1));
    return { ...denied, clients };
  }

  test('because its user has too many processes serves its client when one of them has ended', async () => {
    const { daemon, allow, clients } = await startWaiting(1);
    allow();
    for (const client of clients) expect(await client.ask('hello')).toBe('hello');
    expect(daemon.all('dropped')).toEqual([]);
  });

  test('lets no more wait than four: they are processes of that user, too', async () => {
    const { daemon, allow, clients } = await startWaiting(12);
    await daemon.waitForCount('dropped', 8);
    await untilTrue('their clients know', () => clients.filter(({ hasEnd }) => hasEnd).length === 8);
    allow();
    await untilTrue('nobody waits', () => childrenOf(daemon.pid).every((pid) => strings(pid, 'cmdline')[0] === 'cat'));
    expect(daemon.all('dropped', { step: 'execve', error: 'EAGAIN' })).toHaveLength(8);
    expect(await Promise.all(clients.filter(({ hasEnd }) => !hasEnd).map((client) => client.ask('hello')))).toEqual(
      new Array(4).fill('hello'),
    );
  });

  test('and waits for that is ended by a stop like any other', async () => {
    const { daemon } = await startWaiting(1);
    expect(await daemon.stop()).toBe(0);
    expect(daemon.all('reaped')).toMatchObject([{ signal: 'SIGTERM', reason: 'stop' }]);
  });

  test('is given up when that does not pass', async () => {
    const { daemon, deny } = await startDenied('execve', 'ETXTBSY');
    deny(MOMENT + 1);
    expect(await (await connectTo(daemon.port('it'))).rest()).toBe('');
    expect(await daemon.waitFor('dropped')).toMatchObject({ step: 'execve', error: 'ETXTBSY' });
    expect(await exchange(daemon.port('it'), 'hello')).toBe('hello');
    await daemon.waitFor('reaped');
    expect(childrenOf(daemon.pid)).toEqual([]);
  });
});
