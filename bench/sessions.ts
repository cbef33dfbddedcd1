// What do thousands of idle sessions cost that have a time to end? The CPU of stdiod's own process over a while in which nothing
// happens, with no session, and with as many as are asked for, by the keys of their service.

import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort, startDaemon } from './daemon';
import { holdConnections } from './load';
import { formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { type Keys, launchStdiod, sameUser } from './ours';
import { countChildren, countOpenFds, readCpuUs, readRssKiB } from './proc';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable } from './table';
import { until } from './until';

interface Subject {
  readonly name: string;
  readonly keys: Keys;
}

interface Row {
  readonly name: string;
  readonly sessions: number;
  /** Of one processor, with no session and with all of them. */
  readonly idlePercent: number;
  readonly percent: number;
  readonly rssKiB: number;
  readonly fds: number;
  /** Sessions that were ended by the server. */
  readonly lost: number;
}

const options = parseOptions({ sessions: 10_000, seconds: 20 });
const subjects: readonly Subject[] = [
  { name: 'none', keys: {} },
  { name: '`session_timeout: 1h`', keys: { session_timeout: '1h' } },
  { name: '`idle_timeout: 1h`', keys: { idle_timeout: '1h' } },
  { name: 'both', keys: { session_timeout: '1h', idle_timeout: '1h' } },
  { name: '`on_disconnect: terminate`', keys: { on_disconnect: 'terminate' } },
];
const changeTimeoutMs = 120_000;
/** After a change stdiod still has something to tidy up, for less than this. */
const restMs = 3_000;

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const rows: Row[] = [];
  for (const [index, subject] of subjects.entries()) {
    rows.push(await examine(programs, subject, index));
    console.error(`${index + 1}/${subjects.length}: ${subject.name}`);
  }
  const { sessions, seconds } = options.numbers;
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ machine, settings: options.numbers, rows }, null, 2)}\n`
      : [
          '## Idle sessions\n\n',
          formatMachineFacts(machine),
          `- ${sessions} sessions, ${seconds} s each without and with them; CPU as percent of one processor\n\n`,
          formatTable(columns, rows.map(cells)),
        ].join(''),
  );
}

async function examine(programs: Programs, { name, keys }: Subject, index: number): Promise<Row> {
  const { sessions } = options.numbers;
  const [hello, sleeper] = [await findFreePort(), await findFreePort()];
  const services = [
    { name: 'hello', port: hello, program: programs.hello },
    { name: 'sleeper', port: sleeper, program: programs.sleeper, keys },
  ];
  const file = `sessions-${index}`;
  const launch = launchStdiod(programs.folder, file, services, sameUser());
  const daemon = await startDaemon(launch, file, programs.folder, hello, 'hello\n');
  try {
    const idlePercent = await measure(daemon.pid);
    const holder = await holdConnections(programs, sleeper, sessions);
    if (holder.held < sessions) throw new Error(`stdiod served ${holder.held} of ${sessions} sessions`);
    const percent = await measure(daemon.pid);
    const [rssKiB, fds] = [readRssKiB(daemon.pid), countOpenFds(daemon.pid)];
    const lost = await holder.release();
    await until('all sessions are over', changeTimeoutMs, () => countChildren(daemon.pid) === 0);
    return { name, sessions, idlePercent, percent, rssKiB, fds, lost };
  } finally {
    await daemon.stop();
  }
}

/** The share of one processor that a process takes. */
async function measure(pid: number): Promise<number> {
  await sleep(restMs);
  const [cpuUs, ms] = [readCpuUs(pid), performance.now()];
  await sleep(options.numbers.seconds * 1000);
  return ((readCpuUs(pid) - cpuUs) / 1000 / (performance.now() - ms)) * 100;
}

const columns: readonly Column[] = [
  { title: 'Keys of the service', align: 'left' },
  ...['CPU without sessions, %', 'with', 'RSS KiB', 'fds', 'lost'].map((title): Column => ({ title, align: 'right' })),
];

function cells({ name, idlePercent, percent, rssKiB, fds, lost }: Row): string[] {
  return [name, idlePercent.toFixed(2), percent.toFixed(2), String(rssKiB), String(fds), String(lost)];
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
