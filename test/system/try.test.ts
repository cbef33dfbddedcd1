/**
 * `try` starts where its caller is: in the caller's folder, with the caller's PATH.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from './client';
import { startDaemon, startWords } from './daemon';
import { endAll } from './endings';
import { main, makeFolder } from './fixtures';
import { findProgram, testAsRoot } from './machine';

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

test('what the program writes to its standard error is in the log, and not at the client', async () => {
  const script = ['sh', '-c', 'echo out; echo one >&2; (echo two >&2); printf three >&2'];
  const daemon = await startWords(['try', '127.0.0.1:0', '--', ...script]);
  expect(await exchange(daemon.port(), '')).toBe('out\n');
  await daemon.waitFor('reaped');
  const { pid } = daemon.all('accepted')[0] ?? {};
  const lines = daemon.all('said').map((said) => [said.service, said.connection, said.pid, said.line]);
  expect(lines).toEqual(['one', 'two', 'three'].map((line) => ['try', 'c1', pid, line]));
});

test('a program that closes its standard error, or floods it, ends as it would have', async () => {
  const script = ['sh', '-c', 'head -c 200000 /dev/zero | tr "\\0" "x" >&2; exec 2>&-; echo done'];
  const daemon = await startWords(['try', '127.0.0.1:0', '--', ...script]);
  expect(await exchange(daemon.port(), '')).toBe('done\n');
  expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 0 });
  const told = daemon.all('said').reduce((sum, { line = '' }) => sum + line.length, 0);
  expect(told).toBe(200_000);
  expect(await exchange(daemon.port(), '')).toBe('done\n');
});

test('a program that waits on the socket itself has its standard error in the log as well', async () => {
  const program = 'import socket, sys; socket.socket(fileno=0).recv(9); sys.exit("no such thing")';
  const yaml = { listen: '127.0.0.1:0/udp', exec: [findProgram('python3'), '-c', program], stop_grace: '100ms' };
  const daemon = await startDaemon(JSON.stringify({ services: { it: yaml } }));
  const port = Number(/:(\d+)/.exec(daemon.all('listening')[0]?.address ?? '')?.[1]);
  const client = createSocket('udp4');
  client.send('x', port, '127.0.0.1', () => {
    client.close();
  });
  expect(await daemon.waitFor('said')).toMatchObject({ service: 'it', line: 'no such thing' });
  expect(await daemon.waitFor('reaped')).toMatchObject({ exit: 1 });
});

testAsRoot('a file in a folder that is closed to nobody is told before anything starts (needs root)', () => {
  const cwd = join(folderWith('x', ''), 'closed');
  mkdirSync(cwd, { mode: 0o700 });
  writeFileSync(join(cwd, 'app.sh'), 'echo never\n');
  const words = [main, 'try', '127.0.0.1:0', '--', 'sh', 'app.sh'];
  const { status, stderr } = spawnSync(process.execPath, words, { cwd, encoding: 'utf8' });
  expect(stderr).toContain(`app.sh\\" is in ${cwd}, which user nobody may not enter: the program starts in /`);
  expect(status).toBe(78);
});
