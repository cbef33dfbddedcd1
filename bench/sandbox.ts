// What does it cost to keep a program away from something? The time until a client has its answer, and the CPU that a child takes, by
// the keys of its service. One stdiod serves all of them, and rounds go from one to the next: one run compares them.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { findFreePort, startDaemon } from './daemon';
import { runLoad } from './load';
import { type MachineFacts, formatMachineFacts, readMachineFacts } from './machine';
import { parseOptions } from './options';
import { type Keys, type Served, launchStdiod } from './ours';
import { type Programs, compilePrograms } from './programs';
import { type Column, formatTable, median } from './table';
import { until } from './until';

interface Subject {
  readonly served: Served;
  /** As the file has it. */
  readonly title: string;
  /** Of the rounds: the median time of a client. */
  readonly waitsUs: number[];
  /** Of the rounds: the median CPU time of a child. */
  readonly cpusUs: number[];
}

interface Row {
  readonly title: string;
  readonly waitUs: number;
  readonly cpuUs: number;
  /** To the plain service in the same round. */
  readonly addedWaitUs: number;
  readonly addedCpuUs: number;
}

interface Missing {
  readonly title: string;
  readonly why: string;
}

/** Many short rounds: what else the machine does changes from one second to the next. */
const options = parseOptions({ rounds: 60, connections: 30 });
const name = 'sandbox';
/** What is private_tmp's is not where others have it: both lie elsewhere. */
const common = { exec: ['/bin/echo', 'hello'], directory: '/' };
const plain: Keys = {};
const variants: readonly Keys[] = [
  plain,
  { capabilities: [] },
  { private_network: true },
  { private_ipc: true },
  { private_hostname: true },
  { private_tmp: true },
  { private_devices: true },
  { private_processes: true },
  { hidden: ['/home', '/root'] },
  { read_only: ['/'] },
  { system_calls: { deny: 'all' } },
  { sandbox: 'basic' },
  { sandbox: 'strict' },
  { cgroup: { per_connection: { processes_max: 100 } } },
  { cgroup: { per_connection: { memory_max: '64M' } } },
];

async function main(): Promise<void> {
  const machine = readMachineFacts();
  const programs = compilePrograms();
  const all = await Promise.all(variants.map(subjectOf));
  const launch = launchStdiod(
    programs.folder,
    name,
    all.map(({ served }) => served),
  );
  const daemon = await startDaemon(launch, name, programs.folder, all[0]?.served.port ?? 0, 'hello\n');
  try {
    await until('stdiod serves', 10_000, () => eventsIn(programs).some(({ event }) => event === 'serving'));
    const reasons = reasonsIn(eventsIn(programs));
    const subjects = all.filter(({ served }) => !reasons.has(served.name));
    await measure(programs, subjects);
    const others = all.filter(({ served }) => reasons.has(served.name));
    const missing = others.map(({ title, served }) => ({ title, why: reasons.get(served.name) ?? '' }));
    report(machine, summarise(subjects), missing);
  } finally {
    await daemon.stop();
  }
}

async function subjectOf(keys: Keys, index: number): Promise<Subject> {
  const served = { name: `s${index}`, port: await findFreePort(), program: '', keys: { ...common, ...keys } };
  return { served, title: titleOf(keys), waitsUs: [], cpusUs: [] };
}

function titleOf(keys: Keys): string {
  const text = JSON.stringify(keys).slice(1, -1).replaceAll('"', '').replaceAll(':', ': ').replaceAll(',', ', ');
  return text === '' ? 'none' : `\`${text}\``;
}

interface LogLine {
  readonly event: string;
  readonly service?: string;
  readonly reason?: string;
  readonly usage?: { readonly user: number; readonly system: number };
}

/** The last line may be half written. */
function eventsIn({ folder }: Programs): LogLine[] {
  const lines = readFileSync(path.join(folder, `${name}.log`), 'utf8')
    .split('\n')
    .slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LogLine);
}

/** By service, why this machine does not let us have it. */
function reasonsIn(events: readonly LogLine[]): Map<string, string> {
  const found = events.filter(({ event }) => event === 'unavailable');
  return new Map(found.map(({ service = '', reason = '' }) => [service, reason]));
}

async function measure(programs: Programs, subjects: readonly Subject[]): Promise<void> {
  const { rounds, connections } = options.numbers;
  for (const subject of subjects) await waitOf(programs, subject);
  for (let round = 1; round <= rounds; round++) {
    // Each round begins with another one: none always follows the same neighbour in time.
    const order = [...subjects.slice(round % subjects.length), ...subjects.slice(0, round % subjects.length)];
    for (const subject of order) subject.waitsUs.push(await waitOf(programs, subject));
    console.error(`round ${round}/${rounds}`);
  }
  const cpus = await cpusOf(programs, subjects);
  for (const { served, cpusUs } of subjects) {
    const all = (cpus.get(served.name) ?? []).slice(-rounds * connections);
    for (let round = 0; round < rounds; round++) {
      cpusUs.push(median(all.slice(round * connections, (round + 1) * connections)));
    }
  }
}

/** One client after the other: nobody waits for a processor that another child has. */
async function waitOf(programs: Programs, { served, title }: Subject): Promise<number> {
  const { connections } = options.numbers;
  const { served: count, wrong, p50Us, firstError } = await runLoad(programs, served.port, 1, { connections });
  if (count < connections || wrong > 0) throw new Error(`${title}: ${count} of ${connections} served: ${firstError}`);
  return p50Us;
}

/** Of the children of each service, in the order of their ends, once all of them are told. */
async function cpusOf(programs: Programs, subjects: readonly Subject[]): Promise<Map<string, number[]>> {
  const expected = subjects.length * (options.numbers.rounds + 1) * options.numbers.connections;
  const reaped = (): LogLine[] => eventsIn(programs).filter(({ event }) => event === 'reaped');
  await until('all children are told', 10_000, () => reaped().length >= expected);
  const cpus = new Map<string, number[]>();
  for (const { service = '', usage = { user: 0, system: 0 } } of reaped()) {
    const cpuUs = (usage.user + usage.system) * 1e6;
    const list = cpus.get(service);
    if (list === undefined) cpus.set(service, [cpuUs]);
    else list.push(cpuUs);
  }
  return cpus;
}

function summarise(subjects: readonly Subject[]): Row[] {
  const [reference] = subjects;
  const added = (own: readonly number[], others: readonly number[] = []): number =>
    median(own.map((value, round) => value - (others[round] ?? NaN)));
  return subjects.map(({ title, waitsUs, cpusUs }) => ({
    title,
    waitUs: median(waitsUs),
    cpuUs: median(cpusUs),
    addedWaitUs: added(waitsUs, reference?.waitsUs),
    addedCpuUs: added(cpusUs, reference?.cpusUs),
  }));
}

function report(machine: MachineFacts, rows: readonly Row[], missing: readonly Missing[]): void {
  const { rounds, connections } = options.numbers;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, settings: options.numbers, rows, missing }, null, 2)}\n`);
    return;
  }
  const text = [
    '## Isolation\n\n',
    formatMachineFacts(machine),
    `- ${rounds} rounds of ${connections} connections, one after the other; medians, in microseconds\n\n`,
    formatTable(columns, rows.map(cells)),
    ...missing.map(({ title, why }) => `\n- ${title}: not measured, ${why}`),
  ];
  process.stdout.write(`${text.join('').trimEnd()}\n`);
}

const columns: readonly Column[] = [
  { title: 'Keys of the service', align: 'left' },
  ...['until the answer', 'added', 'CPU of the child', 'added'].map((title): Column => ({ title, align: 'right' })),
];

function cells({ title, waitUs, cpuUs, addedWaitUs, addedCpuUs }: Row): string[] {
  return [title, ...[waitUs, addedWaitUs, cpuUs, addedCpuUs].map((value) => value.toFixed(0))];
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
