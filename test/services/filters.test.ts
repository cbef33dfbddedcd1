// echo, line-length, greet and daytime: what a client sends and what it gets, on pipes and on a connection.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compiled, open, runOnPipes, script, serve, talk } from './harness';

const everyByte = Buffer.from(Array.from({ length: 256 * 1024 }, (_, index) => index % 256));

describe('echo', () => {
  it('sends back every byte, in order', async () => {
    const host = await serve(script('echo.sh'));
    expect((await talk(host.port, everyByte)).equals(everyByte)).toBe(true);
    await host.stop();
  });

  it('sends back nothing for nothing', async () => {
    expect(await runOnPipes(script('echo.sh'), '')).toEqual({ stdout: '', stderr: '', status: 0 });
  });
});

describe('line-length', () => {
  const count = (input: string | Buffer): ReturnType<typeof runOnPipes> => runOnPipes(compiled('line-length'), input);

  it.each([
    ['counts the characters of each line', 'one\nthree\n', '3\n5\n', 'lines = 2 chars = 8\n'],
    ['answers an empty line with 0', '\n\n', '0\n0\n', 'lines = 2 chars = 0\n'],
    ['counts a last line without a newline', 'a\nbc', '1\n2\n', 'lines = 2 chars = 3\n'],
    ['knows no line in empty input', '', '', 'lines = 0 chars = 0\n'],
    ['counts characters, not bytes', 'zwölf €\n😀\n', '7\n1\n', 'lines = 2 chars = 8\n'],
    ['takes a NUL for a character', 'a\0b\n', '3\n', 'lines = 1 chars = 3\n'],
  ])('%s', async (_promise, input, stdout, stderr) => {
    expect(await count(input)).toEqual({ stdout, stderr, status: 0 });
  });

  it('counts a line of many megabytes', async () => {
    const { stdout } = await count(Buffer.alloc(8_000_000, 'x'));
    expect(stdout).toBe('8000000\n');
  });

  it('answers a line before the next one is sent', async () => {
    const host = await serve(compiled('line-length'));
    const client = await open(host.port, 'seven77\n');
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString()).toBe('7\n');
    client.destroy();
    await host.stop();
  });
});

describe('greet', () => {
  it('asks first, answers each line before the next one is sent, and leaves with its client', async () => {
    const host = await serve(script('greet.py'));
    const client = await open(host.port, '');
    const lines = createInterface({ input: client });
    const next = async (): Promise<unknown> => ((await once(lines, 'line')) as unknown[])[0];
    expect(await next()).toBe('Hello, what is your name?');
    client.write('Ann\n');
    expect(await next()).toBe('Pleased to meet you, Ann.');
    client.end();
    await once(client, 'close');
    await host.stop();
  });

  it('tells the log who has left, and takes what is no text', async () => {
    const { stderr, status } = await runOnPipes(script('greet.py'), Buffer.from('\xff\n', 'latin1'), {
      ...process.env,
      ...{ LANG: 'C.UTF-8', REMOTE_ADDR: '192.0.2.7' },
    });
    expect([stderr, status]).toEqual(['somebody at 192.0.2.7 has left\n', 0]);
  });
});

describe('daytime', () => {
  it('says day, date, time and zone on one line, and needs no input', async () => {
    const { stdout, status } = await runOnPipes(script('daytime.sh'), '');
    expect(stdout).toMatch(/^[A-Z][a-z]+day, [A-Z][a-z]+ \d\d, \d{4} \d\d:\d\d:\d\d-\S+\r\n$/);
    expect(status).toBe(0);
  });

  it('speaks English whatever the locale', async () => {
    const { stdout } = await runOnPipes(script('daytime.sh'), '', { ...process.env, LC_ALL: 'de_DE.UTF-8', TZ: 'UTC' });
    expect(stdout).toMatch(/day, .*-UTC\r\n$/);
  });
});
