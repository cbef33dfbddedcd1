/**
 * Web servers that serve one request per process, and curl as their client: the shipped one and BusyBox's.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientThatSent, inParallel } from '../system/client';
import { startDaemon, type Daemon } from '../system/daemon';
import { endAll } from '../system/endings';
import { bytesOf, outputOf } from './client-program';
import { BOTH_FAMILIES, oneService, Shipped } from './configure';
import { checksum, makeBytes, makeTestFolder, MEGABYTE } from './files';
import { NODE_FOR_EVERYBODY, testNeeding } from './needs';

afterEach(endAll);

const CURL = ['curl', '--silent', '--show-error', '--path-as-is'];

function statusOf(url: string): Promise<string> {
  return outputOf([...CURL, '--output', '/dev/null', '--write-out', '%{http_code}', url]);
}

describe('the shipped http service', () => {
  const testHttp = testNeeding('curl', 'python3', NODE_FOR_EVERYBODY);

  /** All of config/services.yaml: the service is not alone. */
  async function serveHttp(): Promise<{ daemon: Daemon; url: string; folder: string }> {
    const shipped = new Shipped();
    const daemon = await shipped.start('services.yaml');
    return { daemon, url: `http://127.0.0.1:${daemon.port('http')}`, folder: shipped.path('services/www') };
  }

  testHttp('gives curl the files of its folder', async () => {
    const { daemon, url, folder } = await serveHttp();
    expect(await bytesOf([...CURL, '--fail', `${url}/hello.txt`])).toEqual(readFileSync(join(folder, 'hello.txt')));
    expect(await bytesOf([...CURL, '--fail', `${url}/`])).toEqual(readFileSync(join(folder, 'index.html')));
    expect(await daemon.waitFor('reaped')).toMatchObject({ service: 'http', exit: 0 });
  });

  testHttp('tells curl with a status what it does not give', async () => {
    const { url } = await serveHttp();
    expect(await statusOf(`${url}/missing`)).toBe('404');
    expect(await statusOf(`${url}/../httpd.py`)).toBe('404');
    expect(await outputOf([...CURL, '--request', 'POST', '--write-out', '%{http_code}', url])).toMatch(/405$/);
  });

  testHttp('gives curl 10 MB unchanged', async () => {
    const { url, folder } = await serveHttp();
    const bytes = makeBytes(10 * MEGABYTE);
    writeFileSync(join(folder, 'bytes.bin'), bytes);
    expect(checksum(await bytesOf([...CURL, '--fail', `${url}/bytes.bin`]))).toBe(checksum(bytes));
  });

  testHttp('answers others while clients keep it waiting', async () => {
    const { url, daemon } = await serveHttp();
    for (let count = 0; count < 5; count += 1) await clientThatSent(daemon.port('http'), 'GET / HT');
    await inParallel(20, 5, async () => {
      expect(await statusOf(`${url}/hello.txt`)).toBe('200');
    });
  });
});

describe('busybox httpd -i', () => {
  const testHttpd = testNeeding('busybox', 'curl');
  const testHttpd6 = testNeeding('busybox', 'curl', 'IPv6');

  async function serveFolder(listen: readonly string[]): Promise<{ daemon: Daemon; bytes: Buffer }> {
    const folder = makeTestFolder();
    mkdirSync(join(folder, 'www'));
    const bytes = makeBytes(MEGABYTE);
    writeFileSync(join(folder, 'www/bytes.bin'), bytes);
    const daemon = await startDaemon(oneService(['busybox', 'httpd', '-i', '-h', join(folder, 'www')], { listen }));
    return { daemon, bytes };
  }

  testHttpd('gives curl a file', async () => {
    const { daemon, bytes } = await serveFolder(['127.0.0.1:0']);
    const url = `http://127.0.0.1:${daemon.port()}`;
    expect(checksum(await bytesOf([...CURL, '--fail', `${url}/bytes.bin`]))).toBe(checksum(bytes));
    expect(await statusOf(`${url}/missing`)).toBe('404');
  });

  testHttpd6('gives curl a file over IPv6', async () => {
    const { daemon, bytes } = await serveFolder(BOTH_FAMILIES);
    const url = `http://[::1]:${daemon.port('it', 1)}/bytes.bin`;
    expect(checksum(await bytesOf([...CURL, '--fail', '--globoff', url]))).toBe(checksum(bytes));
  });
});
