/**
 * Runs in the guest, started by systemd: tries every promise and writes what came of it to the file that it is told.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { endAll } from '../../system/endings';
import './all';
import { promises, type Outcome, type Promised } from './promises';

const LONGEST_MS = 400_000;

async function main(path: string): Promise<void> {
  const fd = openSync(path, 'a');
  for (const promised of promises()) writeSync(fd, `${JSON.stringify(await outcomeOf(promised))}\n`);
  closeSync(fd);
  process.exit();
}

async function outcomeOf({ title, body }: Promised): Promise<Outcome> {
  const startMs = performance.now();
  const error = await errorOf(() => inTime(body()));
  const ending = await errorOf(() => inTime(endAll()));
  return { title, error: error ?? ending, seconds: Math.round(performance.now() - startMs) / 1000 };
}

async function inTime(work: Promise<void>): Promise<void> {
  const late = new Promise<void>((_, reject) => {
    setTimeout(() => {
      reject(new Error(`it is not through after ${LONGEST_MS / 1000} s`));
    }, LONGEST_MS).unref();
  });
  await Promise.race([work, late]);
}

async function errorOf(action: () => Promise<void>): Promise<string | null> {
  try {
    await action();
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

void main(process.argv[2] ?? '/dev/stdout');
