import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Problems } from '../../../../src/config/report/problems';
import { readSource } from '../../../../src/config/text/read';
import { loadConfiguration } from '../../../../src/config/load';
import { problemsOf } from '../loading';
import { pretendMachine } from '../pretend-machine';

const folder = mkdtempSync(join(tmpdir(), 'stdiod-config-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function problemsOfBytes(bytes: Buffer | string): string[] {
  const file = join(folder, 'services.yaml');
  writeFileSync(file, bytes);
  const result = loadConfiguration(file, pretendMachine());
  if (result.ok) return [];
  return result.diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

const SOUND = 'services: {a: {listen: 7007, exec: cat}}\n';

test('reads a file', () => {
  expect(problemsOfBytes(SOUND)).toEqual([]);
});

test('reads a file that begins with a byte order mark or has Windows line ends', () => {
  expect(problemsOfBytes(`\ufeff${SOUND}`)).toEqual([]);
  expect(problemsOfBytes('services:\r\n  a:\r\n    listen: 7007\r\n    exec: cat\r\n')).toEqual([]);
});

test('says what to do about a file that is not there, and about a folder', () => {
  const missing = loadConfiguration(join(folder, 'missing.yaml'), pretendMachine());
  expect(missing).toMatchObject({
    diagnostics: [
      { line: 0, message: 'the file cannot be read: there is no such file', remedy: 'create it, or name another one' },
    ],
  });
  expect(loadConfiguration(folder, pretendMachine())).toMatchObject({
    diagnostics: [
      {
        message: 'the file cannot be read: it is a folder',
        remedy: `name a file in it, such as ${folder}/services.yaml`,
      },
    ],
  });
});

test('points at the first byte that is not UTF-8', () => {
  expect(problemsOfBytes(Buffer.from('# é\n# caf\xe9 x\n', 'latin1'))).toEqual(['1:3 the text is not UTF-8']);
  expect(problemsOfBytes(Buffer.concat([Buffer.from('# é\n# 日x'), Buffer.from([0xff, 0x41])]))).toEqual([
    '2:5 the text is not UTF-8',
  ]);
});

test('recognises UTF-16', () => {
  expect(problemsOfBytes(Buffer.from(`\ufeff${SOUND}`, 'utf16le'))).toEqual(['0:0 the file is UTF-16, not UTF-8']);
});

test.each([
  ['FIFO, main', 'pipe', 'a pipe'],
  ['FIFO, included', 'include: pipe\n', 'a pipe'],
  ['device', '/dev/null', 'a device'],
])('refuses what is no regular file and waits for nobody: %s', (_, name, kind) => {
  const [pipe, main] = [join(folder, 'pipe'), join(folder, 'including.yaml')];
  execFileSync('mkfifo', [pipe]);
  writeFileSync(main, name);
  const result = loadConfiguration(name.startsWith('include') ? main : name === 'pipe' ? pipe : name, pretendMachine());
  rmSync(pipe);
  expect(result).toMatchObject({
    diagnostics: [{ line: 0, message: `the file cannot be read: it is ${kind}, not a regular file` }],
  });
});

describe('a file that is rewritten in place', () => {
  const file = join(folder, 'written.yaml');

  /** Somebody writes to it while it is read, so many times. */
  function readWhile(times: number): { text: string | undefined; problems: string[]; reads: number } {
    const problems = new Problems();
    let reads = 0;
    writeFileSync(file, 'x');
    const source = readSource(file, file, 0, problems, (fd) => {
      const bytes = readFileSync(fd);
      if (reads < times) appendFileSync(file, 'x');
      reads += 1;
      return bytes;
    });
    return { text: source?.text, problems: problems.diagnostics().map(({ message }) => message), reads };
  }

  test('is read again until it stays as it is', () => {
    expect(readWhile(2)).toEqual({ text: 'xxx', problems: [], reads: 3 });
  });

  test('is refused when it does not, and the message says why', () => {
    const message = 'the file is being written: it has changed while it was read, 10 times';
    expect(readWhile(Number.POSITIVE_INFINITY)).toEqual({ text: undefined, problems: [message], reads: 10 });
  });

  test('is seen to change although it keeps its size', () => {
    const problems = new Problems();
    const texts = ['one', 'two', 'two'];
    writeFileSync(file, 'one');
    const source = readSource(file, file, 0, problems, () => {
      const text = texts.shift() ?? '';
      writeFileSync(file, 'two');
      utimesSync(file, 1e9, 1e9);
      return Buffer.from(text);
    });
    expect([source?.text, problems.isEmpty]).toEqual(['two', true]);
  });
});

test('does not read more than 16 MiB', () => {
  expect(problemsOfBytes(Buffer.alloc(17 * 1024 * 1024, '#'))).toEqual(['0:0 the file is larger than 16 MiB']);
});

test.each(['', '\n', '# nothing yet\n', '---\n', '\ufeff'])('calls %j an empty file', (text) => {
  expect(problemsOf(text)).toEqual([
    '0:0 the file is empty (say at least what to serve: "services: {echo: {listen: 7007, exec: cat}}")',
  ]);
});

test.each(['hello', '- a', '3', '[]'])('refuses %j, which is not a map', (text) => {
  expect(problemsOf(text)).toEqual([
    '1:1 the file is not a map of keys and values (begin with "services:", and below it each service by its name)',
  ]);
});
