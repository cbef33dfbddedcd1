/**
 * The files that go through the services: made here, and compared after their journey by checksum.
 */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atEnd } from '../system/endings';
import { makeFolder } from '../system/fixtures';
import { isRoot } from '../system/machine';

export const MEGABYTE = 1 << 20;

/** Every byte value and no pattern, so that nothing can compress it; the same at every call. */
export function makeBytes(count: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 'key'), Buffer.alloc(16)).update(Buffer.alloc(count));
}

export function checksum(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Everybody may enter it; it goes with the test. */
export function makeTestFolder(): string {
  const folder = makeFolder();
  atEnd(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Text, a large binary file, an empty one, a folder, and a name that needs quoting. */
export function writeSampleFiles(folder: string): void {
  const files = { 'read me.txt': 'hello\n', empty: '', 'deep/er/bytes.bin': makeBytes(MEGABYTE), ünïcode: 'ä\n' };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** Of every file below, by its path; what a version control system keeps for itself does not count. */
export function checksums(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const own = paths.filter((path) => !/^\.(git|svn)\//.test(path)).sort();
  return Object.fromEntries(own.map((path) => [path, checksum(readFileSync(join(folder, path)))]));
}

/** Lets the services write there: as root they run as nobody. */
export function giveToServices(path: string): void {
  if (isRoot) execFileSync('chown', ['-R', 'nobody', path]);
}
