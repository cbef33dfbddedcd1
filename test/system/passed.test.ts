/**
 * Sockets that somebody else has bound and passed to the daemon, as systemd does.
 */
import { connectTo, exchange } from './client';
import { launchDaemon, startDaemon, type Daemon, type DaemonOptions } from './daemon';
import { datagramClient } from './datagram-client';
import { endAll } from './endings';
import { fixture } from './fixtures';
import { expectRest } from './rest';

afterEach(endAll);

/** @param sockets `web=tcp,ask=udp` */
function passing(sockets: string): DaemonOptions {
  return { wrapper: ['python3', fixture('passes-sockets.py'), sockets] };
}

function serve(listen: string, exec = 'echo hello', more = ''): string {
  return `services: {it: {listen: "${listen}", exec: ${exec}, pass_env: [PATH], stop_grace: 100ms, ${more}}}\n`;
}

function portOf(daemon: Daemon): number {
  return Number(/:(\d+)(\/udp)?$/.exec(daemon.all('listening')[0]?.address ?? '')?.[1]);
}

const accepts = fixture('accepts.py');

describe('a passed socket', () => {
  test.each(['fd:web', 'fd:3'])('is served as %s', async (listen) => {
    const daemon = await startDaemon(serve(listen), passing('web=tcp'));
    for (let count = 0; count < 3; count += 1) expect(await exchange(daemon.port(), '')).toBe('hello\n');
    expect(daemon.all('unused')).toEqual([]);
  });

  test('of datagrams is handed to a child', async () => {
    const daemon = await startDaemon(serve('fd:ask', fixture('receives.py')), passing('ask=udp'));
    expect(await (await datagramClient()).ask('hello', portOf(daemon))).toMatch(/^\d+ hello$/);
  });

  test('may be handed on to a child that accepts for itself', async () => {
    const daemon = await startDaemon(serve('fd:web', accepts, 'wait: true, stderr: null'), passing('web=tcp'));
    for (let round = 0; round < 3; round += 1) {
      const client = await connectTo(daemon.port());
      const { pid } = JSON.parse(await client.ask('facts')) as { pid: number };
      await client.ask('leave');
      await daemon.waitFor('reaped', { pid, exit: 0 });
    }
  });

  test('that a child shuts down is listened on again', async () => {
    const daemon = await startDaemon(serve('fd:web', accepts, 'wait: true, stderr: null'), passing('web=tcp'));
    const port = daemon.port();
    const first = await connectTo(port);
    await first.ask('shutdown');
    await daemon.waitFor('reaped');
    await expectRest(daemon.pid);
    const second = await connectTo(port);
    expect(await second.ask('hello')).toMatch(/^\d+ hello$/);
  });

  test('that nobody uses is told', async () => {
    const daemon = await startDaemon(serve('fd:web'), passing('web=tcp,more=tcp'));
    expect(await daemon.waitFor('unused')).toMatchObject({ socket: 'fd:4 (more)' });
    expect(daemon.all('unused')).toHaveLength(1);
  });

  test('that was not passed is refused, and those that were are named', async () => {
    const daemon = launchDaemon(serve('fd:wed'), passing('web=tcp'));
    expect(await daemon.ended()).toBe(1);
    expect(daemon.stderr).toContain('web');
  });

  test('of connections is no good where datagrams are needed', async () => {
    const daemon = launchDaemon('services: {it: {listen: "fd:ask", redirect: "127.0.0.1:9"}}\n', passing('ask=udp'));
    expect(await daemon.ended()).toBe(78);
  });

  test('that is bound but does not listen is refused', async () => {
    const daemon = launchDaemon(serve('fd:web'), passing('web=unbound'));
    expect([1, 78]).toContain(await daemon.ended());
  });

  test('is nothing that is no socket', async () => {
    const daemon = launchDaemon(serve('fd:web'), passing('web=file'));
    expect(await daemon.ended()).toBe(1);
  });

  test('for another process is left alone', async () => {
    const daemon = launchDaemon(serve('fd:web'), { ...passing('web=tcp'), env: { LISTEN_PID: '1' } });
    expect(await daemon.ended()).toBe(1);
  });
});

test('the variables of passed sockets do not reach a child, not even by pass_env', async () => {
  const yaml = serve('fd:web', 'env').replace('[PATH]', '[LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES]');
  const daemon = await startDaemon(yaml, passing('web=tcp'));
  expect(await exchange(daemon.port(), '')).not.toContain('LISTEN_');
});

describe('a reload', () => {
  test('keeps a passed socket', async () => {
    const daemon = await startDaemon(serve('fd:web'), passing('web=tcp'));
    const port = daemon.port();
    await daemon.reload(serve('fd:web', 'echo other'));
    expect(await exchange(port, '')).toBe('other\n');
  });

  test('gives a passed socket up and takes it again', async () => {
    const daemon = await startDaemon(serve('fd:web'), passing('web=tcp'));
    const port = daemon.port();
    await daemon.reload('services: {}\n');
    await daemon.reload(serve('fd:web', 'echo again'));
    expect(await exchange(port, '')).toBe('again\n');
    await daemon.reload('services: {}\n');
    await daemon.reload(serve('fd:web', 'echo last'));
    expect(await exchange(port, '')).toBe('last\n');
    expect(await daemon.stop()).toBe(0);
  });

  test('that takes it again while a child has it starts no second child beside that one', async () => {
    // The child has to leave when nobody wants its socket for so long.
    const yaml = serve('fd:web', accepts, 'wait: true, stderr: null').replace('100ms', '1m');
    const daemon = await startDaemon(yaml, passing('web=tcp'));
    const port = daemon.port();
    const first = await connectTo(port);
    await first.ask('hello');
    await daemon.reload('services: {}\n');
    await daemon.reload(yaml);
    const second = await connectTo(port);
    await second.ask('hello');
    expect(await daemon.waitForCount('started', 1)).toHaveLength(1);
    await second.ask('leave');
    await daemon.waitFor('reaped');
    expect(await (await connectTo(port)).ask('hello')).toMatch(/hello$/);
  });
});
