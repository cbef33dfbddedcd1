/**
 * A script that runs within the daemon, before anything of its own: for what no client can bring about at the right moment.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from './fixtures';

/** The environment of a daemon with it. Its threads run it as well: `isMainThread` tells. */
export function withPreload(script: string): Record<string, string> {
  const file = join(makeFolder(), 'preload.cjs');
  writeFileSync(file, `const { isMainThread } = require('node:worker_threads');\n${script}`);
  return { NODE_OPTIONS: `--require ${file}` };
}
