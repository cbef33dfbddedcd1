// httpd: good requests, bad requests, and clients who mean harm.

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type Host, loopbacks, open, runOnPipes, script, serve, talk } from './harness';

const box = mkdtempSync(join(tmpdir(), 'httpd-test-'));
const www = join(box, 'www');
const httpd = [...script('httpd.py'), www];
/** Root may read every file, unless it gives that right away. */
const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', ...httpd] : httpd;
const big = randomBytes(16 * 1024 * 1024);

interface Response {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

beforeAll(() => {
  mkdirSync(join(www, 'folder/empty'), { recursive: true });
  writeFileSync(join(box, 'secret.txt'), 'secret\n');
  mkdirSync(join(box, 'www-private'));
  writeFileSync(join(box, 'www-private/secret.txt'), 'secret\n');
  writeFileSync(join(www, 'index.html'), '<p>home</p>\n');
  writeFileSync(join(www, 'folder/index.html'), '<p>folder</p>\n');
  writeFileSync(join(www, 'note.txt'), 'a note\n');
  writeFileSync(join(www, 'zwölf 100%.txt'), 'twelve\n');
  writeFileSync(join(www, 'unknown.kind'), '?');
  writeFileSync(join(www, 'empty.txt'), '');
  writeFileSync(join(www, '.hidden'), 'secret\n');
  writeFileSync(join(www, 'locked.txt'), 'secret\n');
  chmodSync(join(www, 'locked.txt'), 0);
  writeFileSync(join(www, 'big.bin'), big);
  utimesSync(join(www, 'note.txt'), 784111777, 784111777);
  symlinkSync('note.txt', join(www, 'inside.txt'));
  symlinkSync('../secret.txt', join(www, 'outside.txt'));
  symlinkSync('..', join(www, 'up'));
  symlinkSync('loop', join(www, 'loop'));
  mkdirSync(join(www, 'trap'));
  symlinkSync('../../secret.txt', join(www, 'trap/index.html'));
  execFileSync('mkfifo', [join(www, 'pipe')]);
});

afterAll(() => {
  rmSync(box, { recursive: true });
});

/** One request on pipes: the quickest way to ask for many. */
async function ask(request: string | Buffer): Promise<Response> {
  return parse(Buffer.from((await runOnPipes(httpd, request)).stdout));
}

const get = (target: string): Promise<Response> => ask(`GET ${target} HTTP/1.1\r\nHost: test\r\n\r\n`);

function parse(bytes: Buffer): Response {
  const end = bytes.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const pairs = lines.map((line) => line.split(/: (.*)/s));
  const headers = Object.fromEntries(pairs.map(([name = '', value = '']) => [name.toLowerCase(), value]));
  return { status: Number(/^HTTP\/1\.1 (\d{3}) \w/.exec(statusLine)?.[1]), headers, body: bytes.subarray(end + 4) };
}

describe('a good request', () => {
  it('gets the file with type, length, date, age and the word that the connection closes', async () => {
    const { status, headers, body } = await get('/note.txt');
    expect({ status, body: body.toString() }).toEqual({ status: 200, body: 'a note\n' });
    expect(headers).toEqual({
      date: expect.stringMatching(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/) as string,
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '7',
      'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT',
      connection: 'close',
    });
  });

  it.each([
    ['the index of a folder', '/', '<p>home</p>\n', 'text/html; charset=utf-8'],
    ['the index of a folder within', '/folder/', '<p>folder</p>\n', 'text/html; charset=utf-8'],
    ['a file whose name is encoded', '/zw%C3%B6lf%20100%25.txt', 'twelve\n', 'text/plain; charset=utf-8'],
    ['a file of a kind that we do not know', '/unknown.kind', '?', 'application/octet-stream'],
    ['an empty file', '/empty.txt', '', 'text/plain; charset=utf-8'],
    ['a file, whatever the query', '/note.txt?a=/../b&c=%zz', 'a note\n', 'text/plain; charset=utf-8'],
    ['a file by an absolute URL', 'http://test/note.txt', 'a note\n', 'text/plain; charset=utf-8'],
    ['the index by an absolute URL without a path', 'HTTP://test', '<p>home</p>\n', 'text/html; charset=utf-8'],
    ['a link that stays in the folder', '/inside.txt', 'a note\n', 'text/plain; charset=utf-8'],
    ['a file behind doubled slashes', '//folder///index.html', '<p>folder</p>\n', 'text/html; charset=utf-8'],
  ])('gets %s', async (_what, target, content, type) => {
    const { status, headers, body } = await get(target);
    expect({ status, body: body.toString(), type: headers['content-type'] }).toEqual({
      status: 200,
      body: content,
      type,
    });
  });

  it.each([
    ['HTTP/1.0 without Host', 'GET /note.txt HTTP/1.0\r\n\r\n'],
    ['HTTP/1.1 with Host', 'GET /note.txt HTTP/1.1\r\nHost: test\r\n\r\n'],
    ['a later HTTP/1', 'GET /note.txt HTTP/1.9\r\nHost: test\r\n\r\n'],
    ['lines that end with LF alone', 'GET /note.txt HTTP/1.1\nHost: test\n\n'],
    ['headers of every shape', 'GET /note.txt HTTP/1.1\r\nHOST:test\r\nX-Empty:\r\nX-Tab:\ta\tb \r\nX-e: ü\r\n\r\n'],
  ])('may be %s', async (_what, request) => {
    expect((await ask(request)).status).toBe(200);
  });

  it.each(['/note.txt', '/', '/missing', '/folder', '/big.bin'])(
    'HEAD %s gets the headers of GET and no body',
    async (target) => {
      const got = await ask(`GET ${target} HTTP/1.0\r\n\r\n`);
      const headed = await ask(`HEAD ${target} HTTP/1.0\r\n\r\n`);
      expect(headed).toMatchObject({ status: got.status, headers: { ...got.headers, date: headed.headers['date'] } });
      expect(headed.body).toHaveLength(0);
    },
  );

  it.each([
    ['/folder', '/folder/'],
    ['/folder?a=b?c', '/folder/?a=b?c'],
    ['//folder', '/folder/'],
    ['http://test/folder/empty', '/folder/empty/'],
  ])('for a folder without its slash, %s, is sent on to %s', async (target, location) => {
    const { status, headers } = await get(target);
    expect({ status, location: headers['location'] }).toEqual({ status: 301, location });
  });
});

describe('a request for what there is not', () => {
  it.each([
    '/missing',
    '/folder/missing',
    '/folder/empty/',
    '/note.txt/',
    '/note.txt/x',
    '/loop',
    `/${'x'.repeat(300)}`,
  ])('%s gets 404', async (target) => {
    expect((await get(target)).status).toBe(404);
  });

  it('gets 404 for a named pipe, at once', async () => {
    expect((await get('/pipe')).status).toBe(404);
  });

  it('gets 403 for a file that we may not read', async () => {
    const { stdout } = await runOnPipes(unprivileged, 'GET /locked.txt HTTP/1.0\r\n\r\n');
    expect(parse(Buffer.from(stdout)).status).toBe(403);
  });
});

describe('a request that wants out of the folder', () => {
  it.each([
    '/../secret.txt',
    '/folder/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/%2E./secret.txt',
    '/folder/%2e%2e/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/folder%2f..%2f..%2fsecret.txt',
    '/%252e%252e/secret.txt',
    '/..%5csecret.txt',
    '/..%c0%afsecret.txt',
    '//../secret.txt',
    '/outside.txt',
    '/up/secret.txt',
    '/up/www-private/secret.txt',
    '/../www-private/secret.txt',
    '/trap/',
    '/.hidden',
    '/%2ehidden',
    '/./note.txt',
    'http://test/../secret.txt',
    'http://../secret.txt',
  ])('by %s gets 400 or 404 and nothing else', async (target) => {
    const { status, body } = await get(target);
    expect([400, 404]).toContain(status);
    expect(body.toString()).not.toContain('secret');
  });

  it('by the absolute path of a file gets 404', async () => {
    expect((await get(join(box, 'secret.txt'))).status).toBe(404);
    expect((await get(`/${join(box, 'secret.txt')}`)).status).toBe(404);
  });
});

describe('a bad request', () => {
  it.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['no version, as in HTTP/0.9', 'GET /\r\n'],
    ['an empty line', '\r\n\r\n'],
    ['too many words', 'GET / HTTP/1.1 x\r\nHost: a\r\n\r\n'],
    ['two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a method that is no word', 'G(T / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a version that is none', 'GET / HTTP/one\r\nHost: a\r\n\r\n'],
    ['a lower-case version', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
    ['a version in other digits', 'GET / HTTP/1.²\r\nHost: a\r\n\r\n'],
    ['HTTP/1.1 without Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a header without a colon', 'GET / HTTP/1.0\r\nnonsense\r\n\r\n'],
    ['a header without a name', 'GET / HTTP/1.0\r\n: value\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.0\r\nHost : a\r\n\r\n'],
    ['a folded header', 'GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n'],
    ['a NUL in a header', 'GET / HTTP/1.0\r\nA: b\0c\r\n\r\n'],
    ['a CR within a line', 'GET / HTTP/1.0\r\nA: b\rc\r\n\r\n'],
    ['a target without a slash', 'GET note.txt HTTP/1.0\r\n\r\n'],
    ['a star for a target', 'GET * HTTP/1.0\r\n\r\n'],
    ['another scheme', 'GET ftp://test/ HTTP/1.0\r\n\r\n'],
    ['a NUL in the target', 'GET /\0 HTTP/1.0\r\n\r\n'],
    ['an encoded NUL', 'GET /note.txt%00.html HTTP/1.0\r\n\r\n'],
    ['an encoded slash', 'GET /folder%2Findex.html HTTP/1.0\r\n\r\n'],
    ['a percent sign alone', 'GET /% HTTP/1.0\r\n\r\n'],
    ['half an encoding', 'GET /%4 HTTP/1.0\r\n\r\n'],
    ['a wrong encoding', 'GET /%zz HTTP/1.0\r\n\r\n'],
    ['a plus in an encoding', 'GET /%+4 HTTP/1.0\r\n\r\n'],
    ['letters that are not encoded', 'GET /zwölf HTTP/1.0\r\n\r\n'],
    ['TLS', Buffer.from('160301020001', 'hex')],
    ['a request that stops in the first line', 'GET / HT'],
    ['a request that stops after the first line', 'GET / HTTP/1.0\r\n'],
    ['a request that stops in a header', 'GET / HTTP/1.0\r\nHost: a'],
    ['a request that stops before the empty line', 'GET / HTTP/1.0\r\nHost: a\r\n'],
  ])('with %s gets 400', async (_what, request) => {
    expect((await ask(request)).status).toBe(400);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH', 'CONNECT'])(
    'by %s gets 405 and is told what is allowed',
    async (method) => {
      const { status, headers } = await ask(`${method} / HTTP/1.0\r\n\r\n`);
      expect({ status, allow: headers['allow'] }).toEqual({ status: 405, allow: 'GET, HEAD' });
    },
  );

  it.each(['BREW', 'get', 'M-SEARCH'])('by the method %s gets 501', async (method) => {
    expect((await ask(`${method} / HTTP/1.0\r\n\r\n`)).status).toBe(501);
  });

  it.each(['HTTP/2.0', 'HTTP/0.9', 'HTTP/3.0'])('in %s gets 505', async (version) => {
    expect((await ask(`GET / ${version}\r\n\r\n`)).status).toBe(505);
  });

  it('with a target of 10,000 characters gets 414', async () => {
    expect((await get(`/${'x'.repeat(10_000)}`)).status).toBe(414);
  });

  it.each([
    ['one header of 100,000 characters', `X: ${'x'.repeat(100_000)}\r\n`],
    ['10,000 headers', 'X: y\r\n'.repeat(10_000)],
  ])('with %s gets 431', async (_what, headers) => {
    expect((await ask(`GET / HTTP/1.0\r\n${headers}\r\n`)).status).toBe(431);
  });

  it('that never ends its first line gets 414, not our memory', async () => {
    expect((await ask(Buffer.alloc(4_000_000, 'x'))).status).toBe(414);
  });
});

describe('on a connection', () => {
  let host: Host;
  beforeAll(async () => {
    host = await serve(httpd);
  });
  afterAll(() => host.stop());

  for (const { address, family, test } of loopbacks) {
    test(`serves a file over ${family}`, async () => {
      const server = await serve(httpd, address);
      const { status, body } = parse(await talk(server.port, 'GET /note.txt HTTP/1.0\r\n\r\n', address));
      expect({ status, body: body.toString() }).toEqual({ status: 200, body: 'a note\n' });
      await server.stop();
    });
  }

  it('closes after the response, although the client would send more', async () => {
    const client = await open(host.port, 'GET /note.txt HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(parse(await buffer(client)).status).toBe(200);
  });

  it('answers the first of several requests', async () => {
    const response = parse(await talk(host.port, 'GET /note.txt HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3)));
    expect(response.body.toString()).toBe('a note\n');
  });

  it('sends a big file whole', async () => {
    const { headers, body } = parse(await talk(host.port, 'GET /big.bin HTTP/1.0\r\n\r\n'));
    expect(headers['content-length']).toBe(String(big.length));
    expect(sha256(body)).toBe(sha256(big));
  });

  it('sends nothing to a client that sent nothing', async () => {
    expect(await talk(host.port, '')).toHaveLength(0);
  });

  it('answers half a request with 400 when the client stops sending', async () => {
    expect(parse(await talk(host.port, 'GET /note.txt HT')).status).toBe(400);
  });

  it('reads what it will not use, so that the response is not lost to a reset', async () => {
    const upload = Buffer.concat([Buffer.from('POST / HTTP/1.1\r\nHost: a\r\n\r\n'), Buffer.alloc(8_000_000)]);
    expect(parse(await talk(host.port, upload)).status).toBe(405);
  });

  it('sends 408 to a client that does not send its request in time', async () => {
    const hasty = await serve([...httpd, '1']);
    const client = await open(hasty.port, 'GET / HTTP/1.0\r\n');
    expect(parse(await buffer(client)).status).toBe(408);
    await hasty.stop();
  });

  it('sends 408 to a client that keeps sending, too slowly', async () => {
    const hasty = await serve([...httpd, '1']);
    const client = await open(hasty.port, 'GET / HTTP/1.0\r\n');
    const drip = setInterval(() => client.write('X: y\r\n'), 50);
    client.once('end', () => {
      clearInterval(drip);
    });
    expect(parse(await buffer(client)).status).toBe(408);
    await hasty.stop();
  });

  it('serves others while clients are slow', async () => {
    const slow = await Promise.all(Array.from({ length: 20 }, () => open(host.port, 'GET / HT')));
    const others = await Promise.all(Array.from({ length: 5 }, () => talk(host.port, 'GET / HTTP/1.0\r\n\r\n')));
    expect(others.map((response) => parse(response).status)).toEqual([200, 200, 200, 200, 200]);
    expect(slow.every((client) => client.readable && client.bytesRead === 0)).toBe(true);
    for (const client of slow) client.destroy();
  });

  it('serves others after a client was reset in the middle of a big file', async () => {
    const client = await open(host.port, 'GET /big.bin HTTP/1.0\r\n\r\n');
    await once(client, 'data');
    client.resetAndDestroy();
    expect(parse(await talk(host.port, 'GET / HTTP/1.0\r\n\r\n')).status).toBe(200);
  });
});

it('says how to use it when it gets no folder', async () => {
  const { stderr, status } = await runOnPipes(script('httpd.py'), '');
  expect({ stderr, status }).toEqual({ stderr: 'usage: httpd.py FOLDER [SECONDS]\n', status: 1 });
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
