// What do thousands of listeners cost? How long stdiod takes to start with them, and whether a connection is served as fast
// as with one listener: a child copies the descriptor table of its parent, and must not copy that part of it.

import { type Daemon, findFreePort, startDaemon } from './daemon';
import { runLoad } from './load';
import { formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { launchStdiod, sameUser } from './ours';
import { countOpenFds, readRssKiB } from './proc';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';

interface Subject {
  readonly name: string;
  readonly daemon: Daemon;
  readonly hello: number;
  readonly startSeconds: number;
  readonly rates: number[];
}

const options = parseOptions({ listeners: 10_000, rounds: 5, seconds: 3, clients: 16 });
/** Ports of the many: below those that the kernel gives to clients. */
const firstPort = 20_000;
const msPerSecond = 1000;

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const subjects = [await start(programs, 'one', 0), await start(programs, 'many', options.numbers.listeners)];
  try {
    for (let round = 0; round < options.numbers.rounds; round++) {
      for (const subject of subjects) await measure(programs, subject);
      console.error(`round ${round + 1}/${options.numbers.rounds}`);
    }
    const rows = subjects.map((subject) => summarise(subject, subjects[0]));
    if (options.json)
      process.stdout.write(`${JSON.stringify({ machine, settings: options.numbers, rows }, null, 2)}\n`);
    else
      process.stdout.write(`## Listeners\n\n${formatMachineFacts(machine)}\n${formatTable(columns, rows.map(cells))}`);
  } finally {
    for (const { daemon } of subjects) await daemon.stop();
  }
}

async function start(programs: Programs, name: string, listeners: number): Promise<Subject> {
  const hello = await findFreePort();
  const services = [{ name: 'hello', port: hello, program: programs.hello }];
  const idle = listeners === 0 ? undefined : `127.0.0.2:${firstPort}-${firstPort + listeners - 1}`;
  const launch = launchStdiod(programs.folder, name, services, sameUser(), idle);
  const before = performance.now();
  const daemon = await startDaemon(launch, name, programs.folder, hello, 'hello\n');
  return { name, daemon, hello, startSeconds: (performance.now() - before) / msPerSecond, rates: [] };
}

async function measure(programs: Programs, { hello, rates }: Subject): Promise<void> {
  const { seconds, clients } = options.numbers;
  const { counted, seconds: elapsed } = await runLoad(programs, hello, clients, { seconds });
  rates.push(counted / elapsed);
}

interface Row {
  readonly name: string;
  readonly fds: number;
  readonly startSeconds: number;
  readonly rssKiB: number;
  readonly perSecond: number;
  /** To the rate with one listener in the same round. */
  readonly ratio: number;
}

function summarise({ name, daemon, startSeconds, rates }: Subject, reference: Subject | undefined): Row {
  const ratios = rates.map((rate, round) => rate / (reference?.rates[round] ?? rate));
  return {
    name,
    fds: countOpenFds(daemon.pid),
    startSeconds,
    rssKiB: readRssKiB(daemon.pid),
    perSecond: median(rates),
    ratio: median(ratios),
  };
}

const columns: readonly Column[] = [
  { title: 'Listeners', align: 'left' },
  ...['fds', 'start, s', 'RSS, KiB', 'per second', 'ratio'].map((title): Column => ({ title, align: 'right' })),
];

function cells({ name, fds, startSeconds, rssKiB, perSecond, ratio }: Row): string[] {
  return [name, String(fds), startSeconds.toFixed(2), String(rssKiB), perSecond.toFixed(0), ratio.toFixed(2)];
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
