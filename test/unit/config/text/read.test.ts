import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
