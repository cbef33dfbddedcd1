// Is memory flat? RSS and fds of stdiod, and of the bare C loop, as connections pass; what an idle live connection
// costs; and whether a new connection is served as fast beside thousands of idle ones as without them.

import { type Daemon, type Launch, findFreePort, startDaemon } from './daemon';
import { holdConnections, runLoad } from './load';
import { formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { type Served, launchLoop, launchStdiod, sameUser } from './ours';
import { countChildren, countOpenFds, readRssKiB } from './proc';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';
import { until } from './until';

interface Subject {
  readonly name: string;
  readonly daemon: Daemon;
  readonly hello: number;
  readonly sleeper: number;
}

interface Sample {
  readonly connections: number;
  readonly rssKiB: number;
  readonly fds: number;
}

interface IdleRound {
  readonly rssBeforeKiB: number;
  readonly rssBesideKiB: number;
  readonly fdsBefore: number;
  readonly fdsBeside: number;
  readonly perSecondWithout: number;
  readonly perSecondBeside: number;
  /** Idle connections that were ended by the server. */
  readonly lost: number;
}

interface Result {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly idle: readonly IdleRound[];
  /** When everything was over. */
  readonly end: Sample;
}

const options = parseOptions({ connections: 50_000, step: 5_000, idle: 5_000, rounds: 3, seconds: 3, clients: 16 });
const quietTimeoutMs = 60_000;

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const results: Result[] = [];
  for (const name of ['loop', 'stdiod']) {
    if (options.only.length === 0 || options.only.includes(name)) results.push(await examine(programs, name));
  }
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, settings: options.numbers, results }, null, 2)}\n`);
    return;
  }
  const { rounds, seconds, clients, idle } = options.numbers;
  process.stdout.write(
    [
      '## Memory\n\n',
      formatMachineFacts(machine),
      `- ${clients} clients; ${idle} idle connections; rates: medians of ${rounds} rounds of ${seconds} s\n\n`,
      formatSamples(results),
      '\n',
      formatIdle(results),
    ].join(''),
  );
}

async function examine(programs: Programs, name: string): Promise<Result> {
  const subject = await start(programs, name);
  try {
    const samples = await sampleAsConnectionsPass(programs, subject);
    const idle: IdleRound[] = [];
    for (let round = 0; round < options.numbers.rounds; round++) {
      idle.push(await measureBesideIdle(programs, subject));
      console.error(`${name}: round ${round + 1}/${options.numbers.rounds} beside idle connections`);
    }
    const end = sample(subject, options.numbers.connections);
    return { name, samples, idle, end };
  } finally {
    await subject.daemon.stop();
  }
}

async function start(programs: Programs, name: string): Promise<Subject> {
  const [hello, sleeper] = [await findFreePort(), await findFreePort()];
  const services: Served[] = [
    { name: 'hello', port: hello, program: programs.hello },
    { name: 'sleeper', port: sleeper, program: programs.sleeper },
  ];
  const launch: Launch =
    name === 'loop' ? launchLoop(programs, services) : launchStdiod(programs.folder, name, services, sameUser());
  const daemon = await startDaemon(launch, name, programs.folder, hello, 'hello\n');
  return { name, daemon, hello, sleeper };
}

async function sampleAsConnectionsPass(programs: Programs, subject: Subject): Promise<Sample[]> {
  const { connections: total, step, clients } = options.numbers;
  const samples = [sample(subject, 0)];
  for (let done = 0; done < total;) {
    const connections = Math.min(step, total - done);
    const { served, firstError } = await runLoad(programs, subject.hello, clients, { connections });
    if (served < connections) throw new Error(`${subject.name} served ${served} of ${connections}: ${firstError}`);
    done += served;
    await untilQuiet(subject, 0);
    samples.push(sample(subject, done));
    console.error(`${subject.name}: ${done}/${total} connections`);
  }
  return samples;
}

async function measureBesideIdle(programs: Programs, subject: Subject): Promise<IdleRound> {
  const { idle, seconds, clients } = options.numbers;
  const rate = async () => {
    const { counted, seconds: elapsed } = await runLoad(programs, subject.hello, clients, { seconds });
    return counted / elapsed;
  };
  const perSecondWithout = await rate();
  await untilQuiet(subject, 0);
  const before = sample(subject, 0);
  const holder = await holdConnections(programs, subject.sleeper, idle);
  if (holder.held < idle) throw new Error(`${subject.name} served ${holder.held} of ${idle} idle connections`);
  await untilQuiet(subject, idle);
  const beside = sample(subject, 0);
  const perSecondBeside = await rate();
  const lost = await holder.release();
  await untilQuiet(subject, 0);
  return {
    rssBeforeKiB: before.rssKiB,
    rssBesideKiB: beside.rssKiB,
    fdsBefore: before.fds,
    fdsBeside: beside.fds,
    perSecondWithout,
    perSecondBeside,
    lost,
  };
}

async function untilQuiet(subject: Subject, children: number): Promise<void> {
  const { pid } = subject.daemon;
  await until(`${subject.name} has ${children} children`, quietTimeoutMs, () => countChildren(pid) === children);
}

function sample({ daemon: { pid } }: Subject, connections: number): Sample {
  return { connections, rssKiB: readRssKiB(pid), fds: countOpenFds(pid) };
}

function formatSamples(results: readonly Result[]): string {
  const columns = [right('connections'), ...results.flatMap(({ name }) => [right(`${name} RSS KiB`), right('fds')])];
  const counts = results[0]?.samples.map((each) => each.connections) ?? [];
  const rows = counts.map((count, i) => [String(count), ...results.flatMap(({ samples }) => describe(samples[i]))]);
  return formatTable(columns, [...rows, ['end', ...results.flatMap(({ end }) => describe(end))]]);
}

function describe(each: Sample | undefined): string[] {
  return [String(each?.rssKiB), String(each?.fds)];
}

function formatIdle(results: readonly Result[]): string {
  const titles = [
    'RSS bytes per idle connection',
    'fds before',
    'fds beside',
    'connections/s without',
    'beside',
    'ratio',
    'lost',
  ];
  return formatTable([{ title: 'Subject', align: 'left' }, ...titles.map(right)], results.map(describeIdle));
}

/** Memory at its worst round: later ones may use again what the first has left. */
function describeIdle({ name, idle }: Result): string[] {
  const growths = idle.map((round) => ((round.rssBesideKiB - round.rssBeforeKiB) * 1024) / options.numbers.idle);
  return [
    name,
    Math.max(...growths).toFixed(0),
    String(Math.max(...idle.map((round) => round.fdsBefore))),
    String(Math.max(...idle.map((round) => round.fdsBeside))),
    median(idle.map((round) => round.perSecondWithout)).toFixed(0),
    median(idle.map((round) => round.perSecondBeside)).toFixed(0),
    median(idle.map((round) => round.perSecondBeside / round.perSecondWithout)).toFixed(2),
    String(idle.reduce((sum, round) => sum + round.lost, 0)),
  ];
}

function right(title: string): Column {
  return { title, align: 'right' };
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
