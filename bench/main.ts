// How many connections per second, compared with the bare C loop and the peers, and at what cost in the daemon's CPU?
// `npm run bench`: all contenders run at once, each on a port of its own; rounds of load go from one to the next.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, type Launch, findFreePort, startDaemon } from './daemon';
import { type LoadResult, runLoad } from './load';
import { type MachineFacts, formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { launchLoop, launchStdiod, runsAsRoot, sameUser } from './ours';
import { type Site, findPeer, peers } from './peers';
import { readCpuUs } from './proc';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';

interface Contender {
  readonly name: string;
  readonly launch: ((site: Site) => Launch) | { readonly missing: string };
}

interface Running {
  readonly name: string;
  readonly port: number;
  readonly daemon: Daemon;
  readonly rounds: Round[];
}

interface Round extends LoadResult {
  readonly perSecond: number;
  /** Of the daemon's own process, without its children. */
  readonly cpuUsPerConnection: number;
}

interface Score {
  readonly name: string;
  /** Medians of the rounds; the ratio is taken to the bare loop in the same round. */
  readonly perSecond: number;
  readonly ratio: number;
  readonly lowestRatio: number;
  readonly highestRatio: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpuUsPerConnection: number;
  /** Connections of all rounds together that failed or got a wrong reply. */
  readonly failed: number;
}

interface Report {
  readonly machine: MachineFacts;
  readonly settings: Readonly<Record<string, number>>;
  readonly scores: readonly Score[];
  readonly missing: Readonly<Record<string, string>>;
}

const reference = 'loop';
const subject = 'stdiod';
const options = parseOptions({ rounds: 5, seconds: 3, clients: 16 });
const warmUpSeconds = 1;
const pauseMs = 200;

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const missing: Record<string, string> = {};
  const running = await startAll(programs, chooseContenders(programs), missing);
  try {
    await measure(programs, running);
  } finally {
    await Promise.all(running.map((contender) => contender.daemon.stop()));
  }
  const scores = scoreAll(running);
  const report: Report = { machine, settings: options.numbers, scores, missing };
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  if (scores.some((score) => score.name.startsWith(subject) && score.failed > 0)) process.exitCode = 1;
}

function chooseContenders(programs: Programs): Contender[] {
  const all = listContenders(programs);
  const unknown = options.only.find((name) => !all.some((contender) => contender.name === name));
  if (unknown !== undefined) {
    console.error(`--only: no contender "${unknown}"; there are ${all.map((each) => each.name).join(' ')}`);
    process.exit(2);
  }
  if (options.only.length === 0) return all;
  return all.filter(({ name }) => name === reference || options.only.includes(name));
}

function listContenders(programs: Programs): Contender[] {
  const hello = (site: Site) => [{ name: 'hello', port: site.port, program: site.program }];
  const asNobody: Contender = {
    name: `${subject}-nobody`,
    launch: (site) => launchStdiod(site.folder, `${subject}-nobody`, hello(site)),
  };
  const { against } = options;
  const before: Contender = {
    name: `${subject}-before`,
    launch: (site) => launchStdiod(site.folder, `${subject}-before`, hello(site), sameUser(), undefined, against),
  };
  return [
    { name: reference, launch: (site) => launchLoop(programs, hello(site)) },
    { name: subject, launch: (site) => launchStdiod(site.folder, subject, hello(site), sameUser()) },
    ...(against === undefined ? [] : [before]),
    ...(runsAsRoot ? [asNobody] : []),
    ...peers.map((peer) => {
      const found = findPeer(peer);
      return { name: peer.name, launch: 'path' in found ? (site: Site) => peer.launch(found.path, site) : found };
    }),
  ];
}

async function startAll(
  programs: Programs,
  contenders: readonly Contender[],
  missing: Record<string, string>,
): Promise<Running[]> {
  const running: Running[] = [];
  for (const { name, launch } of contenders) {
    if (typeof launch !== 'function') {
      missing[name] = launch.missing;
      continue;
    }
    try {
      const port = await findFreePort();
      const site = { folder: programs.folder, port, program: programs.hello };
      const daemon = await startDaemon(launch(site), name, programs.folder, port, 'hello\n');
      running.push({ name, port, daemon, rounds: [] });
    } catch (error) {
      missing[name] = (error as Error).message;
    }
  }
  return running;
}

async function measure(programs: Programs, running: readonly Running[]): Promise<void> {
  const { rounds, seconds, clients } = options.numbers;
  for (const { port } of running) await runLoad(programs, port, clients, { seconds: warmUpSeconds });
  for (let round = 1; round <= rounds; round++) {
    // Each round begins with another one: no contender always follows the same neighbour in time.
    const order = [...running.slice(round % running.length), ...running.slice(0, round % running.length)];
    for (const contender of order) {
      await sleep(pauseMs);
      const result = await measureOnce(programs, contender, { seconds, clients });
      contender.rounds.push(result);
      console.error(`round ${round}/${rounds}: ${contender.name} ${result.perSecond.toFixed(0)}/s`);
    }
  }
}

async function measureOnce(
  programs: Programs,
  { port, daemon }: Running,
  { seconds, clients }: { seconds: number; clients: number },
): Promise<Round> {
  const before = readCpuUs(daemon.pid);
  const result = await runLoad(programs, port, clients, { seconds });
  const cpuUs = readCpuUs(daemon.pid) - before;
  return {
    ...result,
    perSecond: result.counted === 0 ? 0 : result.counted / result.seconds,
    cpuUsPerConnection: cpuUs / result.served,
  };
}

function scoreAll(running: readonly Running[]): Score[] {
  const loop = running.find((contender) => contender.name === reference);
  const scores = running.map((contender) => score(contender, loop?.rounds ?? []));
  return scores.sort((a, b) => b.ratio - a.ratio);
}

function score({ name, rounds }: Running, loopRounds: readonly Round[]): Score {
  const of = (read: (round: Round) => number) => median(rounds.map(read));
  const ratios = rounds.map((round, i) => round.perSecond / (loopRounds[i]?.perSecond ?? NaN));
  return {
    name,
    perSecond: of((round) => round.perSecond),
    ratio: median(ratios),
    lowestRatio: Math.min(...ratios),
    highestRatio: Math.max(...ratios),
    p50Us: of((round) => round.p50Us),
    p99Us: of((round) => round.p99Us),
    cpuUsPerConnection: of((round) => round.cpuUsPerConnection),
    failed: rounds.reduce((sum, round) => sum + round.errors + round.wrong, 0),
  };
}

function formatReport(report: Report): string {
  const { rounds, seconds, clients } = report.settings;
  return [
    '## Connections per second\n\n',
    formatMachineFacts(report.machine),
    `- ${rounds} rounds of ${seconds} s with ${clients} clients; medians; ratios to the bare C loop in the same round\n\n`,
    formatScores(report.scores),
    `\n${formatVerdict(report.scores)}\n`,
    ...Object.entries(report.missing).map(([name, why]) => `- ${name}: not measured, ${why}\n`),
  ].join('');
}

function formatScores(scores: readonly Score[]): string {
  const right = (title: string): Column => ({ title, align: 'right' });
  const columns = [
    { title: 'Contender', align: 'left' } as const,
    ...['connections/s', 'ratio', 'lowest–highest', 'p50 ms', 'p99 ms', 'daemon CPU µs/connection', 'failed'].map(
      right,
    ),
  ];
  const ms = (us: number) => (us / 1000).toFixed(1);
  const rows = scores.map((each) => [
    each.name === reference ? 'bare C loop' : each.name,
    each.perSecond.toFixed(0),
    each.ratio.toFixed(2),
    `${each.lowestRatio.toFixed(2)}–${each.highestRatio.toFixed(2)}`,
    ms(each.p50Us),
    ms(each.p99Us),
    each.cpuUsPerConnection.toFixed(0),
    String(each.failed),
  ]);
  return formatTable(columns, rows);
}

function formatVerdict(scores: readonly Score[]): string {
  const ours = scores.find(({ name }) => name === subject);
  if (ours === undefined) return 'stdiod was not measured.';
  const best = scores.find(({ name }) => name !== reference && !name.startsWith(subject));
  const cost = `${ours.cpuUsPerConnection.toFixed(0)} µs of Node's CPU per connection`;
  const verdict = `stdiod: ${ours.ratio.toFixed(2)} of the bare C loop, ${cost}`;
  if (best === undefined) return `${verdict}; no peer was measured.`;
  return `${verdict}; the fastest peer, ${best.name}: ${best.ratio.toFixed(2)}.`;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
