// What is it worth to have programs wait for their clients? For each kind of program: connections per second with many
// clients, and what one client alone waits, cold, from a pool and from a template, beside the bare C loop, which starts one
// for each connection.

import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, findFreePort, startDaemon } from './daemon';
import { type LoadResult, runLoad } from './load';
import { formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { launchLoop, launchStdiod, sameUser } from './ours';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';

/** As the first line of a script names it; null: it is compiled. */
interface Runtime {
  readonly name: string;
  readonly interpreter: string | null;
  readonly script: string;
  readonly modes: readonly Mode[];
}

type Mode = 'cold' | 'pool' | 'template';

interface Round {
  readonly many: LoadResult;
  readonly one: LoadResult;
}

interface Score {
  readonly runtime: string;
  readonly way: string;
  readonly perSecond: number;
  /** To the bare loop. */
  readonly ratio: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly failed: number;
}

const options = parseOptions({ rounds: 3, seconds: 2, clients: 16, pool: 16 });
const pauseMs = 500;
const BOTH: readonly Mode[] = ['cold', 'pool', 'template'];

const RUNTIMES: readonly Runtime[] = [
  { name: 'C', interpreter: null, script: '', modes: BOTH },
  { name: 'bash', interpreter: '/bin/bash', script: 'echo hello\n', modes: BOTH },
  { name: 'perl', interpreter: '/usr/bin/perl', script: 'print "hello\\n";\n', modes: BOTH },
  {
    name: 'python with imports',
    interpreter: '/usr/bin/python3',
    script: 'import json, http.server, logging\nprint("hello")\n',
    modes: BOTH,
  },
  {
    name: 'node',
    interpreter: process.execPath,
    script: 'process.stdout.write("hello\\n");\n',
    modes: ['cold', 'pool'],
  },
];

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const scores: Score[] = [];
  for (const runtime of RUNTIMES) {
    if (runtime.interpreter === null || existsSync(runtime.interpreter))
      scores.push(...(await examine(programs, runtime)));
  }
  const settings = options.numbers;
  const json = `${JSON.stringify({ machine, settings, scores }, null, 2)}\n`;
  process.stdout.write(options.json ? json : `## Warm\n\n${formatMachineFacts(machine)}${formatScores(scores)}`);
}

/** The ways take turns, so that what disturbs one disturbs all. */
async function examine(programs: Programs, runtime: Runtime): Promise<Score[]> {
  const program = programFor(programs, runtime);
  const ways = [];
  for (const way of ['loop', ...runtime.modes] as const) {
    console.error(`${runtime.name}: ${way}`);
    ways.push({ way, ...(await start(programs, program, way)), rounds: [] as Round[] });
  }
  try {
    for (let round = 0; round < options.numbers.rounds; round += 1) {
      for (const { port, rounds } of ways) rounds.push(await measure(programs, port));
    }
  } finally {
    await Promise.all(ways.map(({ daemon }) => daemon.stop()));
  }
  const [loop] = ways;
  return ways.map(({ way, rounds }) => score(runtime.name, way, rounds, loop?.rounds ?? []));
}

function programFor({ folder, hello }: Programs, { name, interpreter, script }: Runtime): string {
  if (interpreter === null) return hello;
  const file = path.join(folder, name.replaceAll(' ', '-'));
  writeFileSync(file, `#!${interpreter}\n${script}`, { mode: 0o755 });
  accessSync(file, constants.X_OK);
  return file;
}

async function start(
  programs: Programs,
  program: string,
  way: 'loop' | Mode,
): Promise<{ readonly port: number; readonly daemon: Daemon }> {
  const port = await findFreePort();
  const size = way === 'pool' ? options.numbers.pool : 1;
  const early = program.endsWith('node') ? ['getsockname'] : [];
  const keys = way === 'cold' ? {} : { warm: { mode: way, size, early } };
  const services = [{ name: 'hello', port, program, keys }];
  const launch =
    way === 'loop'
      ? launchLoop(programs, services)
      : launchStdiod(programs.folder, `${way}-${path.basename(program)}`, services, sameUser());
  const name = `${way}-${path.basename(program)}`;
  const daemon = await startDaemon(launch, name, programs.folder, port, 'hello\n');
  return { port, daemon };
}

/** By the pause the pool is full again. */
async function measure(programs: Programs, port: number): Promise<Round> {
  const { seconds, clients } = options.numbers;
  const many = await runLoad(programs, port, clients, { seconds });
  await sleep(pauseMs);
  const one = await runLoad(programs, port, 1, { seconds });
  await sleep(pauseMs);
  return { many, one };
}

function score(runtime: string, way: string, rounds: readonly Round[], loop: readonly Round[]): Score {
  const perSecond = (all: readonly Round[]): number => median(all.map(({ many }) => many.counted / many.seconds));
  return {
    runtime,
    way,
    perSecond: perSecond(rounds),
    ratio: perSecond(rounds) / perSecond(loop),
    p50Us: median(rounds.map(({ one }) => one.p50Us)),
    p99Us: median(rounds.map(({ one }) => one.p99Us)),
    failed: rounds.reduce((sum, { many, one }) => sum + many.errors + many.wrong + one.errors + one.wrong, 0),
  };
}

function formatScores(scores: readonly Score[]): string {
  const { rounds, seconds, clients, pool } = options.numbers;
  const titles = [`/s, ${clients} clients`, 'to the loop', '1 client, p50 ms', 'p99 ms', 'failed'];
  const columns: Column[] = [
    { title: 'Program', align: 'left' },
    { title: 'Way', align: 'left' },
    ...titles.map((title): Column => ({ title, align: 'right' })),
  ];
  const rows = scores.map((each) => [
    each.runtime,
    each.way,
    each.perSecond.toFixed(0),
    each.ratio.toFixed(2),
    (each.p50Us / 1000).toFixed(2),
    (each.p99Us / 1000).toFixed(2),
    String(each.failed),
  ]);
  return `- ${rounds} rounds of ${seconds} s each, a pool of ${pool}; medians\n\n${formatTable(columns, rows)}`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
