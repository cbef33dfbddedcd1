// Formats the C and C++ of this repository; with --check only tells what is not formatted. Part of `npm run fix` and
// `npm run check`. A machine without clang-format skips it and says so, but a CI run may not.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folders = ['native', 'native/park', 'services', 'bench', 'test/fixtures'];

const files = folders.flatMap((folder) => {
  const path = join(root, folder);
  const names = existsSync(path) ? readdirSync(path) : [];
  return names.filter((name) => /\.(cc|c|h)$/.test(name)).map((name) => join(folder, name));
});
const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];

const { status, error } = spawnSync('clang-format', [...mode, ...files], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (error) console.error('clang-format is not installed: C++ format not checked');
process.exitCode = error ? Number(process.env.CI === 'true') : status;
