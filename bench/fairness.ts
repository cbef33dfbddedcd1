// Does a port that many clients call hold up another one? One client on a polite port, alone and beside a greedy port
// that many clients keep full; what it waits is compared with the same at the peers which serve several ports.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, type Launch, findFreePort, startDaemon } from './daemon';
import { type LoadResult, runLoad } from './load';
import { formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { launchLoop, launchStdiod, sameUser } from './ours';
import { type Peer, type Site, findPeer, peers } from './peers';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';

interface Contender {
  readonly name: string;
  readonly launch: (site: Site) => Launch;
}

interface Running {
  readonly name: string;
  readonly daemon: Daemon;
  readonly greedy: number;
  readonly polite: number;
  readonly rounds: Round[];
}

interface Round {
  readonly alone: LoadResult;
  readonly beside: LoadResult;
  readonly greedy: LoadResult;
}

const reference = 'xinetd';
const options = parseOptions({ rounds: 5, seconds: 3, clients: 64 });
const warmUpSeconds = 1;
/** The greedy port is called for this much longer than the polite one, half of it before. */
const overlapSeconds = 2;

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const running: Running[] = [];
  try {
    for (const contender of listContenders(programs)) running.push(await start(programs, contender));
    await measure(programs, running);
  } finally {
    await Promise.all(running.map(({ daemon }) => daemon.stop()));
  }
  if (options.json) {
    const results = running.map(({ name, rounds }) => ({ name, rounds }));
    process.stdout.write(`${JSON.stringify({ machine, settings: options.numbers, results }, null, 2)}\n`);
    return;
  }
  const { rounds, seconds, clients } = options.numbers;
  process.stdout.write(
    [
      '## Fairness\n\n',
      formatMachineFacts(machine),
      `- ${rounds} rounds of ${seconds} s; 1 client on the polite port, ${clients} on the greedy one; medians; `,
      `ratios of p50 to ${reference} in the same round\n\n`,
      formatRounds(running),
    ].join(''),
  );
}

function listContenders(programs: Programs): Contender[] {
  const both = ({ port, otherPort = port, program }: Site) => [
    { name: 'greedy', port, program },
    { name: 'polite', port: otherPort, program },
  ];
  const { against } = options;
  const before = (checkout: string): Contender => ({
    name: 'stdiod-before',
    launch: (site) => launchStdiod(site.folder, 'stdiod-before', both(site), sameUser(), undefined, checkout),
  });
  return [
    { name: 'loop', launch: (site: Site) => launchLoop(programs, both(site)) },
    { name: 'stdiod', launch: (site: Site) => launchStdiod(site.folder, 'stdiod', both(site), sameUser()) },
    ...(against === undefined ? [] : [before(against)]),
    ...peers.filter(({ servesSeveral }) => servesSeveral === true).flatMap(listPeer),
  ].filter(({ name }) => options.only.length === 0 || options.only.includes(name));
}

function listPeer(peer: Peer): Contender[] {
  const found = findPeer(peer);
  if ('path' in found) return [{ name: peer.name, launch: (site) => peer.launch(found.path, site) }];
  console.error(`${peer.name}: not measured, ${found.missing}`);
  return [];
}

async function start(programs: Programs, { name, launch }: Contender): Promise<Running> {
  const greedy = await findFreePort();
  const polite = await findFreePort();
  const site = { folder: programs.folder, port: greedy, otherPort: polite, program: programs.hello };
  const daemon = await startDaemon(launch(site), name, programs.folder, polite, 'hello\n');
  return { name, daemon, greedy, polite, rounds: [] };
}

async function measure(programs: Programs, running: readonly Running[]): Promise<void> {
  for (const { greedy } of running) await runLoad(programs, greedy, 1, { seconds: warmUpSeconds });
  for (let round = 1; round <= options.numbers.rounds; round++) {
    // Each round begins with another one: no contender always follows the same neighbour in time.
    const order = [...running.slice(round % running.length), ...running.slice(0, round % running.length)];
    for (const contender of order) {
      const result = await measureOnce(programs, contender);
      contender.rounds.push(result);
      console.error(`round ${round}/${options.numbers.rounds}: ${contender.name} ${ms(result.beside.p50Us)} ms`);
    }
  }
}

async function measureOnce(programs: Programs, { greedy, polite }: Running): Promise<Round> {
  const { seconds, clients } = options.numbers;
  const alone = await runLoad(programs, polite, 1, { seconds });
  const load = runLoad(programs, greedy, clients, { seconds: seconds + overlapSeconds });
  await sleep((overlapSeconds * 1000) / 2);
  const beside = await runLoad(programs, polite, 1, { seconds });
  return { alone, beside, greedy: await load };
}

function formatRounds(running: readonly Running[]): string {
  const titles = ['alone p50 ms', 'p99 ms', 'beside p50 ms', 'p99 ms', 'ratio', 'lowest–highest', 'greedy/s', 'failed'];
  const right = (title: string): Column => ({ title, align: 'right' });
  const baseline = running.find(({ name }) => name === reference)?.rounds ?? [];
  const rows = running.map(({ name, rounds }) => describe(name, rounds, baseline));
  return formatTable([{ title: 'Contender', align: 'left' }, ...titles.map(right)], rows);
}

function describe(name: string, rounds: readonly Round[], baseline: readonly Round[]): string[] {
  const of = (read: (round: Round) => number) => median(rounds.map(read));
  const ratios = rounds.map(({ beside }, at) => beside.p50Us / (baseline[at]?.beside.p50Us ?? NaN));
  const failures = ({ errors, wrong }: LoadResult) => errors + wrong;
  return [
    name === 'loop' ? 'bare C loop' : name,
    ms(of(({ alone }) => alone.p50Us)),
    ms(of(({ alone }) => alone.p99Us)),
    ms(of(({ beside }) => beside.p50Us)),
    ms(of(({ beside }) => beside.p99Us)),
    median(ratios).toFixed(2),
    `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
    of(({ greedy }) => greedy.counted / greedy.seconds).toFixed(0),
    String(rounds.reduce((sum, each) => sum + failures(each.alone) + failures(each.beside) + failures(each.greedy), 0)),
  ];
}

function ms(us: number): string {
  return (us / 1000).toFixed(1);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
