// Puts load on one port: runs the load generator (load.c) to its end, or holds idle connections open (hold.c).

import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { endWithUs, forget } from './ending';
import type { Programs } from './programs';

export interface LoadResult {
  /** Connections that got the right reply. */
  readonly served: number;
  /** Those of them that ended in time: counted / seconds is the rate. */
  readonly counted: number;
  readonly seconds: number;
  /** Connections that failed, and that ended with another reply. */
  readonly errors: number;
  readonly wrong: number;
  readonly firstError: string;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export type Amount = { readonly seconds: number } | { readonly connections: number };

export async function runLoad(programs: Programs, port: number, clients: number, amount: Amount): Promise<LoadResult> {
  const [unit, value] = 'seconds' in amount ? ['seconds', amount.seconds] : ['connections', amount.connections];
  const args = [port, clients, unit, value].map(String);
  const { stdout } = await promisify(execFile)(programs.load, args);
  return JSON.parse(stdout) as LoadResult;
}

export interface Held {
  readonly held: number;
  /** Hangs up all of them; says how many the server had already ended. */
  release(): Promise<number>;
}

export async function holdConnections(programs: Programs, port: number, count: number): Promise<Held> {
  const child = spawn(programs.hold, [port, count].map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
  const { pid } = child;
  if (pid === undefined) throw new Error('the holder of idle connections did not start');
  endWithUs(pid);
  child.once('exit', () => {
    forget(pid);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (key: string): Promise<number> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('the holder of idle connections ended early');
    return Number((JSON.parse(line.value) as Record<string, number>)[key]);
  };
  const held = await next('held');
  const release = (): Promise<number> => {
    child.stdin.end();
    return next('lost');
  };
  return { held, release };
}
