/**
 * What is looked at may be another thing by the time it is opened: nobody is waited for.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../src/native/load-addon';

let folder = '';

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'stdiod-files-'))));
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** In a process of its own: one that waits for ever is ended, and fails the test. */
function headOf(path: string): string {
  const files = join(packageRoot(), 'dist/src/machine/files.js');
  const script = `console.log(String(require(${JSON.stringify(files)}).readHead(${JSON.stringify(path)})))`;
  return execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 30_000 }).trim();
}

test('the head of a regular file is its first 256 bytes', () => {
  const file = join(folder, 'program');
  writeFileSync(file, `#!/bin/sh ${'x'.repeat(1000)}`);
  expect(headOf(file)).toBe(`#!/bin/sh ${'x'.repeat(246)}`);
});

test('a FIFO has no head, and no writer is waited for', () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  expect(headOf(fifo)).toBe('undefined');
});

test.each(['/dev/zero', '/', '/no/such/file'])('%s has none', (path) => {
  expect(headOf(path)).toBe('undefined');
});

test('the head of a file on which somebody holds a lease is not known, and nobody is waited for', async () => {
  const file = join(folder, 'program');
  copyFileSync('/bin/true', file);
  const holder = spawn('python3', [join(packageRoot(), 'test/fixtures/holds-lease.py'), file], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  expect(headOf(file)).toBe('undefined');
  holder.stdin.end();
  expect(await once(holder, 'exit')).toEqual([0, null]);
});
