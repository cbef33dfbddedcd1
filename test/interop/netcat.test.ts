/**
 * The netcats as clients of `cat`: 10 MB there and back, with each side saying its end while the other goes on.
 */
import { startDaemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { untilTrue } from '../system/until';
import { childrenOf, isRunning } from '../system/proc';
import { bytesOf, outputOf, startProgram } from './client-program';
import { BOTH_FAMILIES, oneService } from './configure';
import { checksum, makeBytes, MEGABYTE } from './files';
import { testNeeding } from './needs';

afterEach(endAll);

/** Debian has several programs called nc: `-N`, the half-close, is that of OpenBSD's. */
const CLIENTS: Readonly<Record<string, (host: string, port: number) => string[]>> = {
  'nc.openbsd': (host, port) => ['nc.openbsd', '-N', host, String(port)],
  ncat: (host, port) => ['ncat', host, String(port)],
  // After the end of its stdin, socat gives the answer half a second unless told otherwise.
  socat: (host, port) => ['socat', '-t', '3600', '-', `TCP:${host.includes(':') ? `[${host}]` : host}:${port}`],
};

describe.each(Object.entries(CLIENTS))('%s', (name, wordsFor) => {
  const testClient = testNeeding(name);
  const testClient6 = testNeeding(name, 'IPv6');
  const sent = makeBytes(10 * MEGABYTE);

  testClient('gets back from cat the 10 MB that it sent', async () => {
    const daemon = await startDaemon(oneService(['cat']));
    const received = await bytesOf(wordsFor('127.0.0.1', daemon.port()), { input: sent });
    expect(checksum(received)).toBe(checksum(sent));
    expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
  });

  testClient6('gets back from cat the 10 MB that it sent over IPv6', async () => {
    const daemon = await startDaemon(oneService(['cat'], { listen: BOTH_FAMILIES }));
    const received = await bytesOf(wordsFor('::1', daemon.port('it', 1)), { input: sent });
    expect(checksum(received)).toBe(checksum(sent));
    expect((await daemon.waitFor('accepted')).peer).toMatch(/^\[::1\]:/);
  });

  testClient('is answered after it has said its end', async () => {
    const daemon = await startDaemon(oneService(['sha256sum']));
    const answer = await outputOf(wordsFor('127.0.0.1', daemon.port()), { input: sent });
    expect(answer).toBe(`${checksum(sent)}  -\n`);
  });

  testClient('takes its program with it when it is killed', async () => {
    const daemon = await startDaemon(oneService(['cat']));
    const client = startProgram(wordsFor('127.0.0.1', daemon.port()));
    const { pid } = await daemon.waitFor('accepted');
    expect(childrenOf(daemon.pid)).toContain(pid);
    client.kill('SIGKILL');
    await daemon.waitFor('reaped', { pid });
    await untilTrue('the program is gone', () => !isRunning(pid));
  });
});
