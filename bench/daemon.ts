// A running contender: started with its output in a file, answered a first client, stopped by its pid.
// Called by the benchmarks for stdiod, the bare loop and the peers alike.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { endWithUs, forget } from './ending';
import { until } from './until';

export interface Launch {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For a program that serves only from the background: where it writes its pid. */
  readonly pidFile?: string;
}

export interface Daemon {
  readonly pid: number;
  stop(): Promise<void>;
}

const startTimeoutMs = 10_000;
const stopTimeoutMs = 15_000;
const probeTimeoutMs = 2_000;

/** Resolves when a client on `port` was answered `reply`; `folder` takes NAME.log. */
export async function startDaemon(
  launch: Launch,
  name: string,
  folder: string,
  port: number,
  reply: string,
): Promise<Daemon> {
  const log = path.join(folder, `${name}.log`);
  const child = spawnLogged(launch, log);
  try {
    await until(`${name} answers on port ${port}`, startTimeoutMs, async () => {
      if (hasFailed(child, launch)) throw new Error(`${name} ended while it started`);
      return (await askOnce(port)) === reply;
    });
    const pid = launch.pidFile === undefined ? pidOf(child) : adopt(launch.pidFile);
    return { pid, stop: () => stop(pid) };
  } catch (error) {
    await stopAfterFailure(child, launch.pidFile);
    throw new Error(`${(error as Error).message}: ${lastWords(log)}`, { cause: error });
  }
}

/** A port to listen on that no client's connection can hold: below the ephemeral ports. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
  }
  throw new Error('no free port between 20000 and 29999');
}

/** Node raises its own limit on open files, and some servers close every possible fd: all get the usual 1024. */
function spawnLogged(launch: Launch, log: string): ChildProcess {
  const output = openSync(log, 'a');
  const argv = ['-c', 'ulimit -Sn 1024; exec "$@"', 'sh', ...launch.argv];
  const child = spawn('/bin/sh', argv, {
    // A process group of its own: some servers end with kill(0, SIGTERM).
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...process.env, ...launch.env },
  });
  closeSync(output);
  const pid = pidOf(child);
  endWithUs(pid);
  child.once('exit', () => {
    forget(pid);
  });
  return child;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('/bin/sh did not start');
  return child.pid;
}

function adopt(pidFile: string): number {
  const pid = Number(readFileSync(pidFile, 'utf8'));
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`no pid in ${pidFile}`);
  endWithUs(pid);
  return pid;
}

async function stopAfterFailure(child: ChildProcess, pidFile: string | undefined): Promise<void> {
  await stop(pidOf(child));
  if (pidFile !== undefined && existsSync(pidFile)) await stop(adopt(pidFile));
}

function hasFailed(child: ChildProcess, launch: Launch): boolean {
  if (child.signalCode !== null) return true;
  return child.exitCode !== null && (launch.pidFile === undefined || child.exitCode !== 0);
}

/** What a client is sent before the end; undefined when it could not connect or was reset. */
function askOnce(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setTimeout(probeTimeoutMs, () => socket.destroy(new Error('timeout')));
    socket.on('data', (data) => (text += data.toString()));
    socket.on('error', () => {
      resolve(undefined);
    });
    socket.on('close', () => {
      resolve(text);
    });
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

async function stop(pid: number): Promise<void> {
  if (isAlive(pid)) process.kill(pid, 'SIGTERM');
  try {
    await until(`process ${pid} ends`, stopTimeoutMs, () => !isAlive(pid));
  } catch {
    process.kill(pid, 'SIGKILL');
  }
  forget(pid);
}

/** A zombie counts as ended: one from the background is not ours to reap. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The last line that speaks of an error; without one, the last line. */
function lastWords(file: string): string {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
}
