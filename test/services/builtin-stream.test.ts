// builtin over connections and pipes: what each service says, and how it ends.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { compiled, loopbacks, project, runOnPipes, serve, talk } from './harness';
import { closeEverything, converse } from './sockets';

const builtin = (...args: string[]): string[] => [...compiled('builtin'), ...args];
const shippedQuotes = join(project, 'services/quotes.txt');
const quietEnd = { status: 0, stderr: '' };
const daytimeLine = /^[A-Z][a-z]+day, [A-Z][a-z]+ \d\d, \d{4} \d\d:\d\d:\d\d-\S+\r\n$/;

/** The first bytes of what RFC 864 shows. */
function chargenText(length: number): string {
  const alphabet = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
  const endless = alphabet + alphabet;
  const lines = Array.from({ length: 95 }, (_, first) => `${endless.slice(first, first + 72)}\r\n`).join('');
  return lines.repeat(Math.ceil(length / lines.length)).slice(0, length);
}

/** As long as they have room in four bytes: until 2036. */
function secondsSince1900(): number {
  return Math.floor(Date.now() / 1000) + 2_208_988_800;
}

afterEach(closeEverything);

describe('echo', () => {
  it('sends back 10 megabytes, in order', async () => {
    const bytes = Buffer.from(Uint32Array.from({ length: 2_500_000 }, (_, index) => index).buffer);
    const host = await serve(builtin('echo'));
    expect((await talk(host.port, bytes)).equals(bytes)).toBe(true);
    await host.stop();
  });

  it('answers before the client has finished, and sends the rest after the client has', async () => {
    const { client, ended } = await converse(builtin('echo'));
    client.write('one');
    expect(((await once(client, 'data')) as [Buffer])[0].toString()).toBe('one');
    client.end('two');
    expect(await text(client)).toBe('two');
    expect(await ended).toEqual(quietEnd);
  });

  it('ends without a complaint when the client resets the connection', async () => {
    const { client, ended } = await converse(builtin('echo'));
    client.write('one');
    await once(client, 'data');
    client.resetAndDestroy();
    expect(await ended).toEqual(quietEnd);
  });

  for (const { address, family, test } of loopbacks) {
    test(`serves ${family}`, async () => {
      const host = await serve(builtin('echo'), address);
      expect((await talk(host.port, 'hello', address)).toString()).toBe('hello');
      await host.stop();
    });
  }

  it('works on pipes', async () => {
    expect(await runOnPipes(builtin('echo'), 'hello\n')).toEqual({ ...quietEnd, stdout: 'hello\n' });
  });

  it('says so, and fails, when it cannot read', async () => {
    const outcome = await runOnPipes(['/bin/sh', '-c', '"$@" </', 'sh', ...builtin('echo')], '');
    expect(outcome).toEqual({ stdout: '', stderr: 'builtin: Is a directory\n', status: 1 });
  });
});

describe('discard', () => {
  it('reads to the end and says nothing', async () => {
    const { client, ended } = await converse(builtin('discard'));
    client.end(Buffer.alloc(4_000_000));
    expect(await text(client)).toBe('');
    expect(await ended).toEqual(quietEnd);
  });
});

describe('chargen', () => {
  it('sends lines of 72 characters, each beginning one character later, and begins again after 95', async () => {
    const length = 300 * 74;
    const { client } = await converse(builtin('chargen'));
    let received = '';
    for await (const chunk of client as AsyncIterable<Buffer>) {
      received += chunk.toString('latin1');
      if (received.length >= length) break;
    }
    expect(received.slice(0, length)).toBe(chargenText(length));
  });

  it('ends without a complaint when the client leaves', async () => {
    const { client, ended } = await converse(builtin('chargen'));
    await once(client, 'data');
    client.destroy();
    expect(await ended).toEqual(quietEnd);
  });

  it('throws away what the client sends, even while the client does not read', async () => {
    const { client, ended } = await converse(builtin('chargen'));
    await new Promise((resolve) => client.write(Buffer.alloc(20_000_000), resolve));
    expect(((await once(client, 'data')) as [Buffer])[0].length).toBeGreaterThan(0);
    client.destroy();
    expect(await ended).toEqual(quietEnd);
  });

  it('goes on when the client only stops sending', async () => {
    const { client } = await converse(builtin('chargen'));
    client.end();
    let received = 0;
    for await (const chunk of client as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > 4_000_000) break; // more than the buffers of both sides hold
    }
    expect(received).toBeGreaterThan(4_000_000);
  });

  it('ends with the reader of its pipe', async () => {
    const { stdout } = await runOnPipes(['/bin/sh', '-c', '"$@" | head -n 1', 'sh', ...builtin('chargen')], '');
    expect(stdout).toBe(chargenText(74));
  });
});

describe('daytime, time and qotd', () => {
  it('daytime says day, date, time and zone on one line', async () => {
    expect((await runOnPipes(builtin('daytime'), '')).stdout).toMatch(daytimeLine);
  });

  it('time sends the seconds since 1900, the highest byte first', async () => {
    const before = secondsSince1900();
    const { client } = await converse(builtin('time'));
    client.end();
    const bytes = await buffer(client);
    expect(bytes.length).toBe(4);
    expect(bytes.readUInt32BE()).toBeGreaterThanOrEqual(before);
    expect(bytes.readUInt32BE()).toBeLessThanOrEqual(secondsSince1900());
  });

  it.each(['daytime', 'qotd'])('%s reaches a client that has sent what nobody reads', async (name) => {
    const { client, ended } = await converse(builtin(name, ...(name === 'qotd' ? ['--file', shippedQuotes] : [])));
    client.end(Buffer.alloc(1_000_000));
    expect(await text(client)).toMatch(/\r\n$/); // a reset would reject
    expect(await ended).toEqual(quietEnd);
  });

  it('parts after a while from a client that stays', async () => {
    const { client, ended } = await converse(builtin('daytime'));
    expect(await text(client)).toMatch(daytimeLine);
    expect(await ended).toEqual(quietEnd); // the client has not closed its end
  });
});

describe('qotd', () => {
  const box = mkdtempSync(join(tmpdir(), 'builtin-test-'));
  const file = join(box, 'quotes');

  afterAll(() => {
    rmSync(box, { recursive: true });
  });

  async function quoteFrom(content: string | Buffer): Promise<string> {
    writeFileSync(file, content);
    return (await runOnPipes(builtin('qotd', '--file', file), '')).stdout;
  }

  it.each([
    ['one quote, with or without a last newline', 'All is well.', 'All is well.\r\n'],
    ['several lines, as they stand', ' a\n\n  b\n', ' a\r\n\r\n  b\r\n'],
    ['lines that end with CR LF', 'a\r\n%\r\n', 'a\r\n'],
    ['nothing of empty quotes', '%\n%\nonly\n%\n%\n', 'only\r\n'],
    ['a % that is not alone', '100 %\n%%\n', '100 %\r\n%%\r\n'],
    ['the first 512 bytes of a long one', 'x'.repeat(2000), 'x'.repeat(512)],
    ['whole characters only', `${'x'.repeat(511)}€`, 'x'.repeat(511)],
    ['no line after one that was cut', `${'x'.repeat(511)}€\nb\n`, 'x'.repeat(511)],
  ])('sends %s', async (_what, content, expected) => {
    expect(await quoteFrom(content)).toBe(expected);
  });

  it('chooses among all quotes', async () => {
    writeFileSync(file, 'a\n%\nb\n%\nc\n');
    const runs = Array.from({ length: 60 }, () => runOnPipes(builtin('qotd', '--file', file), ''));
    const seen = new Set((await Promise.all(runs)).map(({ stdout }) => stdout));
    expect([...seen].sort()).toEqual(['a\r\n', 'b\r\n', 'c\r\n']);
  });

  it.each([
    ['is missing', '/nonexistent/quotes', 'No such file or directory'],
    ['is a folder', '/', 'Is a directory'],
    ['has no quote', '/dev/null', 'there is no quote in it'],
  ])('says so when the file %s', async (_what, path, problem) => {
    const outcome = await runOnPipes(builtin('qotd', '--file', path), '');
    expect(outcome).toEqual({ stdout: '', stderr: `builtin: ${path}: ${problem}\n`, status: 1 });
  });
});

describe('the command line', () => {
  it.each([
    ['no name', [], 'it takes the name of one service'],
    ['two names', ['echo', 'time'], 'it takes the name of one service'],
    ['an unknown name', ['ehco'], 'the services are chargen, daytime, discard, echo, qotd and time; there is no ehco'],
    ['an option of datagrams for a connection', ['echo', '--idle', '3'], 'only with --datagram: --idle'],
    ['qotd without a file', ['qotd'], 'qotd, and only qotd, needs --file PATH'],
    ['a file for another service', ['echo', '--file', '/dev/null'], 'qotd, and only qotd, needs --file PATH'],
    ...['0', '-1', 'x', '10000000'].map((rate): [string, string[], string] => [
      `--rate "${rate}"`,
      ['--datagram', '--rate', rate, 'echo'],
      '--rate takes a number from 1 to 9999999',
    ]),
    ...['5/', '5/0', '5/86401', '5/m'].map((rate): [string, string[], string] => [
      `--rate "${rate}"`,
      ['--datagram', '--rate', rate, 'echo'],
      'behind the slash --rate takes seconds, from 1 to 86400',
    ]),
    ...['0', '-1', '1.5', 'x', '', '86401'].map((idle): [string, string[], string] => [
      `--idle "${idle}"`,
      ['--datagram', '--idle', idle, 'echo'],
      '--idle takes whole seconds, from 1 to 86400',
    ]),
    ...['x', '7,', ',7', '65536', '9-7', '-7', '1-2-3', ' 7', '+7'].map((ports): [string, string[], string] => [
      `--ports "${ports}"`,
      ['--datagram', '--ports', ports, 'echo'],
      `--ports takes ports and ranges, such as 7,7100-7199, not ${ports}`,
    ]),
  ])('refuses %s', async (_what, args, problem) => {
    const outcome = await runOnPipes(builtin(...args), '');
    expect(outcome).toEqual({ stdout: '', stderr: `builtin: ${problem}\nTry: builtin --help\n`, status: 2 });
  });

  it('refuses an unknown option', async () => {
    const { stderr, status } = await runOnPipes(builtin('--bogus', 'echo'), '');
    expect(stderr).toMatch(/unrecognized option '--bogus'\nTry: builtin --help\n$/);
    expect(status).toBe(2);
  });

  it('explains itself', async () => {
    const { stdout, status } = await runOnPipes(builtin('--help'), '');
    expect(stdout).toMatch(/^Usage: builtin/);
    expect(status).toBe(0);
  });

  it('says so when stdin is no datagram socket', async () => {
    const { stderr, status } = await runOnPipes(builtin('--datagram', 'echo'), '');
    expect(stderr).toMatch(/^builtin: stdin is not a datagram socket that works: /);
    expect(status).toBe(1);
  });
});
