// The C programs of the benchmarks, compiled when a benchmark runs, in a temporary folder of its own.
// The folder also takes the contenders' configuration and log files; it is removed when the process ends.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface Programs {
  readonly folder: string;
  readonly hello: string;
  readonly hold: string;
  readonly load: string;
  readonly loop: string;
  readonly sleeper: string;
}

const sources = path.join(__dirname, '..', '..', 'bench');

export function compilePrograms(): Programs {
  const folder = openFolder();
  return {
    folder,
    hello: compile(folder, 'hello'),
    hold: compile(folder, 'hold'),
    load: compile(folder, 'load'),
    loop: compile(folder, 'loop'),
    sleeper: compile(folder, 'sleeper', '-static'),
  };
}

function openFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stdiod-bench-'));
  process.on('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  // Others than us must get at the programs: as root, stdiod runs them as nobody.
  chmodSync(folder, 0o755);
  return folder;
}

function compile(folder: string, name: string, ...flags: readonly string[]): string {
  const source = path.join(sources, `${name}.c`);
  if (!existsSync(source)) throw new Error(`${source} is missing: benchmarks run from a source tree`);
  const program = path.join(folder, name);
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', ...flags, '-o', program, source], { stdio: 'inherit' });
  return program;
}
