/**
 * stdiod under `systemd-socket-activate`, which binds sockets, starts stdiod at the first sign of a client, and passes the
 * sockets on as systemd does with a .socket unit.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from '../system/client';
import { Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { findFreePorts } from '../system/machine';
import { answerOf, outputOf } from './client-program';
import { makeTestFolder } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

const testActivation = testNeeding('systemd-socket-activate');

type Services = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Returns when the sockets are bound; stdiod itself is started by the first client. */
async function activate(options: readonly string[], services: Services): Promise<Daemon> {
  const folder = makeTestFolder();
  const file = join(folder, 'services.yaml');
  writeFileSync(file, JSON.stringify({ services }));
  const words = ['run', '-c', file];
  const daemon = new Daemon(folder, words, { wrapper: ['systemd-socket-activate', ...options] });
  const count = options.filter((option) => option === '-l').length;
  await daemon.untilText(new RegExp(`Listening on \\S+ as ${count + 2}\\.`));
  return daemon;
}

describe('a socket that systemd-socket-activate has bound', () => {
  testActivation('is served from the very client on that woke stdiod', async () => {
    const port = await findFreePorts(1);
    const daemon = await activate(['-l', `127.0.0.1:${port}`, '--fdname=web'], {
      it: { listen: 'fd:web', exec: 'cat' },
    });
    for (const text of ['first', 'second']) expect(await exchange(port, text)).toBe(text);
    expect(daemon.all('listening')).toMatchObject([{ service: 'it', address: `127.0.0.1:${port}` }]);
    expect(daemon.all('unused')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
  });

  testActivation('may be named by its number', async () => {
    const port = await findFreePorts(1);
    await activate(['-l', `127.0.0.1:${port}`], { it: { listen: 'fd:3', exec: 'cat' } });
    expect(await exchange(port, 'hello')).toBe('hello');
  });

  testActivation('goes with all that have its name to one service', async () => {
    const first = await findFreePorts(2);
    const ports = [first, first + 1];
    const listen = ports.flatMap((port) => ['-l', `127.0.0.1:${port}`]);
    await activate([...listen, '--fdname=web:web'], {
      it: { listen: 'fd:web', exec: ['sh', '-c', 'echo "$TCPLOCALPORT"'] },
    });
    for (const port of ports) expect(await exchange(port, '')).toBe(`${port}\n`);
  });

  testActivation('is told to the operator when no service uses it', async () => {
    const used = await findFreePorts(2);
    const listen = ['-l', `127.0.0.1:${used}`, '-l', `127.0.0.1:${used + 1}`];
    const daemon = await activate([...listen, '--fdname=web:other'], { it: { listen: 'fd:web', exec: 'cat' } });
    expect(await exchange(used, 'hello')).toBe('hello');
    expect(await daemon.waitFor('unused')).toMatchObject({ socket: 'fd:4 (other)' });
  });

  testActivation('and the words about it stay with stdiod', async () => {
    const port = await findFreePorts(1);
    const exec = ['sh', '-c', 'env | grep ^LISTEN_; ls /proc/self/fd'];
    await activate(['-l', `127.0.0.1:${port}`, '--fdname=web'], { it: { listen: 'fd:web', exec } });
    // The fourth one is the folder that ls reads.
    expect(await exchange(port, '')).toBe('0\n1\n2\n3\n');
  });

  testActivation('is kept by a reload, and served again by another', async () => {
    const port = await findFreePorts(1);
    const services = { it: { listen: 'fd:web', exec: 'cat' } };
    const daemon = await activate(['-l', `127.0.0.1:${port}`, '--fdname=web'], services);
    expect(await exchange(port, 'hello')).toBe('hello');
    await daemon.reload(JSON.stringify({ services: { other: { listen: '127.0.0.1:0', exec: 'cat' } } }));
    await daemon.reload(JSON.stringify({ services: { it: { listen: 'fd:web', exec: 'tr a-z A-Z' } } }));
    expect(await exchange(port, 'hello')).toBe('HELLO');
  });

  testActivation(
    'that the file names wrongly leaves nothing to serve, and those that were passed are told',
    async () => {
      const port = await findFreePorts(1);
      const daemon = await activate(['-l', `127.0.0.1:${port}`, '--fdname=web'], {
        it: { listen: 'fd:wbe', exec: 'cat' },
      });
      await exchange(port, '').catch(() => undefined);
      expect(await daemon.ended()).toBe(1);
      expect(daemon.stderr).toMatch(/no socket \\"wbe\\" was passed[^]*that were passed are web \(3\)/);
    },
  );
});

describe('a socket of another kind that systemd-socket-activate has bound', () => {
  const testSocat = testNeeding('systemd-socket-activate', 'socat');

  testSocat('serves datagrams, the first one included', async () => {
    const port = await findFreePorts(1);
    const daemon = await activate(['-d', '-l', `127.0.0.1:${port}`, '--fdname=echo'], {
      it: { listen: 'fd:echo', builtin: 'echo' },
    });
    const client = ['socat', '-', `UDP:127.0.0.1:${port}`];
    for (const text of ['first\n', 'second\n']) expect(await answerOf(client, text)).toBe(text);
    expect(await daemon.waitForCount('started', 1)).toMatchObject([{ address: `127.0.0.1:${port}/udp` }]);
  });

  testSocat('serves a Unix socket, whose file stdiod leaves alone', async () => {
    const path = join(makeTestFolder(), 'socket');
    const daemon = await activate(['-l', path, '--fdname=web'], { it: { listen: 'fd:web', exec: 'cat' } });
    expect(await answerOf(['socat', '-', `UNIX-CONNECT:${path}`], 'hello')).toBe('hello');
    expect(daemon.all('listening')).toMatchObject([{ address: `unix:${path}` }]);
    expect(await daemon.stop()).toBe(0);
    expect(await outputOf(['stat', '--format=%F', path])).toBe('socket\n');
  });

  testNeeding('systemd-socket-activate', 'uuidd')('is handed on to a program that wants it itself', async () => {
    const path = join(makeTestFolder(), 'socket');
    const exec = 'uuidd --socket-activation --no-fork --no-pid --timeout 1';
    const service = { listen: 'fd:request', exec, wait: true, stderr: null };
    await activate(['-l', path, '--fdname=request'], { uuidd: service });
    expect(await outputOf(['uuidd', '--socket', path, '--random'])).toMatch(/^[0-9a-f-]{36}$/m);
  });
});
