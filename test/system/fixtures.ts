/**
 * The small programs of test/fixtures, put where the user that serves them can reach them: a checkout may lie in a folder
 * that is closed to `nobody`. C is compiled on first use.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { atEnd } from './endings';

export const project = findProject(__dirname);
export const main = join(project, 'dist/src/main.js');

const sources = join(project, 'test/fixtures');
let folder: string | null = null;

afterAll(() => {
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
  folder = null;
});

/** @param name as in test/fixtures; returns the path of the program */
export function fixture(name: string): string {
  return made(name, []);
}

/** A fixture for LD_PRELOAD. */
export function libraryFixture(name: string): string {
  return made(name, ['-shared', '-fPIC']);
}

function made(name: string, flags: readonly string[]): string {
  folder ??= createFolder();
  const source = join(sources, name);
  const program = join(folder, basename(name, '.c'));
  if (existsSync(program)) return program;
  if (name.endsWith('.c')) compile(source, program, flags);
  else copyFileSync(source, program);
  chmodSync(program, 0o755);
  return program;
}

/** A new folder that everybody may enter, gone after the test. */
export function makeFolder(): string {
  const made = createFolder();
  atEnd(() => {
    rmSync(made, { recursive: true, force: true });
  });
  return made;
}

function createFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'stdiod-test-'));
  chmodSync(made, 0o755);
  return made;
}

function compile(source: string, program: string, more: readonly string[]): void {
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', ...more];
  execFileSync(process.env['CC'] ?? 'cc', [...flags, '-o', program, source], { stdio: 'pipe' });
}

function findProject(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findProject(dirname(from));
}
