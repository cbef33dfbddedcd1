/**
 * `try` starts where its caller is: in the caller's folder, with the caller's PATH.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from './client';
import { startWords } from './daemon';
import { endAll } from './endings';
import { main, makeFolder } from './fixtures';
import { testAsRoot } from './machine';

afterEach(endAll);

function folderWith(name: string, text: string, mode = 0o644): string {
  const folder = makeFolder();
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), mode);
  return folder;
}

test('a script is found by its name in the folder of the caller', async () => {
  const cwd = folderWith('greet.sh', 'echo hello from "$PWD"\n');
  const daemon = await startWords(['try', '127.0.0.1:0', '--', 'sh', 'greet.sh'], { cwd });
  expect(await exchange(daemon.port(), '')).toBe(`hello from ${cwd}\n`);
});

test('a script runs whose interpreter only the PATH of the caller has', async () => {
  const cwd = folderWith('app', '#!/usr/bin/env own-language\n', 0o755);
  const language = folderWith('own-language', '#!/bin/sh\necho spoken\n', 0o755);
  const env = { PATH: `${language}:${process.env['PATH'] ?? ''}` };
  const daemon = await startWords(['try', '127.0.0.1:0', '--', './app'], { cwd, env });
  expect(await exchange(daemon.port(), '')).toBe('spoken\n');
});

test('a port alone is printed as a number, with a word on who may connect', async () => {
  const daemon = await startWords(['try', '0', '--', 'cat']);
  expect(daemon.stdout).toMatch(/^ +listen: 0 # every address of this machine; for itself alone: 127\.0\.0\.1:0$/m);
});

testAsRoot('a file in a folder that is closed to nobody is told before anything starts (needs root)', () => {
  const cwd = join(folderWith('x', ''), 'closed');
  mkdirSync(cwd, { mode: 0o700 });
  writeFileSync(join(cwd, 'app.sh'), 'echo never\n');
  const words = [main, 'try', '127.0.0.1:0', '--', 'sh', 'app.sh'];
  const { status, stderr } = spawnSync(process.execPath, words, { cwd, encoding: 'utf8' });
  expect(stderr).toContain(`"app.sh" is in ${cwd}, which user nobody may not enter: the program starts in /`);
  expect(status).toBe(78);
});
