/**
 * What every child of a service will do, prepared once when the configuration is loaded: like a prepared statement. What has
 * placeholders is filled in for each child.
 */
import {
  addon,
  type CapabilityWords,
  type NativePlan,
  type NativeSandbox,
  type PipeOwner,
  type PlanOptions,
  type Start,
  type Step,
} from '../native/addon';
import { hasMemoryLimit, type Cgroup } from '../service/cgroup';
import { CREDENTIALS_VARIABLE } from '../service/credentials';
import { FACT_NAMES } from '../service/fact-names';
import type { CapabilitySet, Exec, Identity, Labels, Process, Resources, Warm } from '../service/service';
import type { StopSignal } from '../service/stop-signal';
import { fillTemplate, hasPlaceholders, unescapeTemplate, type PlaceholderValues } from '../service/template';
import { planGroup } from './cgroups';
import { filterOf } from './filter';
import type { Channel } from './report-channel';

export interface Plan {
  readonly native: NativePlan;
  /** null: all children are alike. */
  readonly varying: Varying | null;
  /** On which the children say things, on fd 2; null: they do not. */
  readonly channel: Channel | null;
  /** The file says how early the kernel ends them; else they are told later (oom-scores.ts). */
  readonly hasOomScore: boolean;
  /** Each has a pipe of its own as fd 2 (words.ts), which is its user's; null: none. */
  readonly pipe: { readonly owner: PipeOwner | null } | null;
  /** Each is born in a leaf of its own in this group (cgroups.ts); null: in ours. */
  readonly cgroup: Cgroup | null;
  /** What asks them to leave. */
  readonly stopSignal: StopSignal;
  /** The one user whose processes they and all whom they start are for ever; null: they may become somebody else's. */
  readonly onlyUid: number | null;
}

/** Where fd 2 of children may lead, beside their connection. Open for as long as any plan is used. */
export interface Sinks {
  /** /dev/null. */
  readonly nullFd: number;
  /** Of the children of a user; null: stdiod's own. @throws SystemError when it has to be made and cannot be */
  readonly channelOf: (uid: number | null) => Channel;
}

/** Templates (service/template.ts). */
interface Varying {
  readonly argv: readonly string[];
  readonly directory: string;
  readonly variables: readonly (readonly [name: string, value: string])[];
}

/** What one child needs beyond the native plan and its descriptor. */
export type Filled = Omit<Start, 'fd'>;

type Program = Pick<Exec, 'command' | 'process'>;

/** linux/prctl.h. */
const [PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] = [8, 47, 4];

const STDERR_IS_CONNECTION = -1;

/**
 * @param isWait the children get the listening or datagram socket
 * @param sandbox what they join first; null: nothing
 * @param credentials the folder in which they find theirs; null: they have none
 */
export function preparePlan(
  run: Program,
  isWait: boolean,
  sinks: Sinks,
  sandbox: NativeSandbox | null,
  credentials: string | null = null,
): Plan {
  return prepare(run, planOf(run, isWait, sinks, credentials), sinks, sandbox);
}

/** Of a command that runs before the program, in its place but for the connection: neither does it read there nor write. */
export function prepareBlind(
  { command, process }: Program,
  sinks: Sinks,
  sandbox: NativeSandbox | null,
  credentials: string | null = null,
): Plan {
  const run = { command, process: { ...process, stderr: stderrWithoutSocket(process) } };
  return prepare(run, { ...planOf(run, false, sinks, credentials), isBlind: true }, sinks, sandbox);
}

/** Of a program that is started ahead of its clients, by ours that parks it (native/park). Its children are none of a connection. */
export function prepareParked(
  run: Program,
  warm: Warm,
  sinks: Sinks,
  sandbox: NativeSandbox | null,
  credentials: string | null = null,
): NativePlan {
  const options = planOf(run, false, sinks, credentials);
  const mode = warm.mayAskAddress ? `${warm.mode},getsockname` : warm.mode;
  // Its pipe comes with its connection.
  const stderrFd = run.process.stderr === 'log' ? STDERR_IS_CONNECTION : options.stderrFd;
  const argv = ['park', mode, options.path, ...options.argv];
  const parked = { ...options, path: warm.park, argv, stderrFd, isParked: true };
  return addon.preparePlan(sandbox === null ? parked : { ...parked, sandbox });
}

function prepare(run: Program, options: PlanOptions, sinks: Sinks, sandbox: NativeSandbox | null): Plan {
  const native = addon.preparePlan(sandbox === null ? options : { ...options, sandbox });
  const { process } = run;
  const { cgroup, resources, stopSignal } = process;
  if (cgroup !== null) planGroup(cgroup);
  const hasOomScore = resources.oomScore !== null;
  const [channel, pipe] = [channelOf(process, sinks), pipeOf(process)];
  return {
    native,
    varying: varyingOf(run),
    channel,
    hasOomScore,
    pipe,
    cgroup,
    stopSignal,
    onlyUid: onlyUidOf(process),
  };
}

/** Root may become anybody; any other user takes a right for that, or a set-user-ID program. */
export function onlyUidOf({ identity, rights }: Pick<Process, 'identity' | 'rights'>): number | null {
  const uid = identity?.uid ?? process.geteuid?.() ?? 0;
  const mayChange = uid === 0 || !rights.noNewPrivileges || rights.capabilities?.numbers.includes(CAP_SETUID) === true;
  return mayChange ? null : uid;
}

/** capabilities(7). */
const CAP_SETUID = 7;

export function planOf(
  { command, process }: Program,
  isWait: boolean,
  sinks: Sinks,
  credentials: string | null = null,
): PlanOptions {
  const secrets = credentials === null ? [] : [`${CREDENTIALS_VARIABLE}=${credentials}`];
  return {
    path: command.path,
    argv: command.argv.map(unescapeTemplate),
    environment: variablesOf(process)
      .filter(([, value]) => !hasPlaceholders(value))
      .map(([name, value]) => `${name}=${unescapeTemplate(value)}`)
      .concat(secrets),
    ...(process.root === null ? {} : { root: process.root }),
    directory: unescapeTemplate(process.directory),
    steps: stepsOf(process),
    stderrFd: stderrOf(process, sinks),
    ...(typeof process.stderr === 'object' ? { stderrFile: process.stderr.file } : {}),
    ...(process.resources.oomScore === null ? {} : { oomScore: process.resources.oomScore }),
    isWait,
    ...labelsOf(process),
    ...(process.cgroup === null ? {} : { hasGroup: true, isApart: hasMemoryLimit(process.cgroup) }),
  };
}

/** The first word of AppArmor's is what to do. */
function labelsOf({ labels: { apparmor, selinux } }: Process): Pick<PlanOptions, 'apparmor' | 'selinux'> {
  return {
    ...(apparmor === null ? {} : { apparmor: `exec ${apparmor}` }),
    ...(selinux === null ? {} : { selinux }),
  };
}

type Settings = Pick<Process, 'umask' | 'labels' | 'root' | 'resources' | 'identity' | 'rights' | 'sandbox' | 'stderr'>;

/** What a child does to itself before it is the program, in this order. */
export function stepsOf({ umask, labels, root, resources, identity, rights, sandbox, stderr }: Settings): Step[] {
  const { noNewPrivileges, securebits } = rights;
  const capabilities = rights.capabilities ?? leftOf(securebits, identity);
  return [
    { op: 'setsid' },
    ...stepsForResources(resources),
    { op: 'umask', args: [umask] },
    // A right that stdiod was given as an ambient capability (to bind low ports, say) is not the program's.
    { op: 'prctl', args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] },
    // For the exec to come, while it is us who ask: the user may not be let, Landlock closes the file, and another root may have no /proc.
    ...stepsForLabels(labels),
    // It takes a right that the next steps give up. Every path below is one inside.
    ...(root === null ? [] : [{ op: 'chroot' } as const]),
    ...(capabilities === null ? [] : keep(capabilities)),
    ...(identity === null ? [] : become(identity)),
    // By a right that goes with the next step, and no sooner: some of the bits would keep the user's change from taking rights away.
    ...(securebits === null ? [] : [{ op: 'securebits', args: [securebits] } as const]),
    ...(capabilities === null ? [] : [{ op: 'capset', args: wordsOf(capabilities) } as const]),
    ...(noNewPrivileges ? [{ op: 'no_new_privs' } as const] : []),
    // As the user, so that nobody has a file written, or is placed in a folder, that is closed to them.
    ...(typeof stderr === 'object' ? ([{ op: 'stderr' }] as const) : []),
    { op: 'chdir' },
    ...(sandbox.files === null ? [] : [{ op: 'landlock' } as const]),
    // Last of all: what it denies, no step before it has to do without.
    ...(sandbox.deniedCalls.length > 0 ? [{ op: 'seccomp', list: filterOf(sandbox.deniedCalls) } as const] : []),
  ];
}

function stepsForLabels({ apparmor, selinux }: Labels): Step[] {
  const steps: (Step | null)[] = [
    apparmor === null ? null : { op: 'apparmor' },
    selinux === null ? null : { op: 'selinux' },
  ];
  return steps.filter((step) => step !== null);
}

/** To raise any of them takes rights that the identity may lack. */
function stepsForResources({ limits, nice, cpus, scheduling, ioPriority }: Resources): Step[] {
  const steps: (Step | null)[] = [
    ...limits.map(({ resource, soft, hard }): Step => ({ op: 'prlimit', args: [resource, soft, hard] })),
    cpus === null ? null : { op: 'sched_setaffinity', list: maskOf(cpus) },
    // Before nice: a policy of real time knows none, and `other` keeps it.
    scheduling === null ? null : { op: 'sched_setscheduler', args: [scheduling.policy, scheduling.priority] },
    nice === null ? null : { op: 'setpriority', args: [nice] },
    ioPriority === null ? null : { op: 'ioprio_set', args: [ioPriority] },
  ];
  return steps.filter((step) => step !== null);
}

/** 32 CPUs to a word, the first in its lowest bit. */
function maskOf(cpus: readonly number[]): number[] {
  const words = Array.from({ length: Math.floor(Math.max(...cpus) / MASK_BITS) + 1 }, () => 0);
  for (const cpu of cpus) {
    const index = Math.floor(cpu / MASK_BITS);
    words[index] = ((words[index] ?? 0) | (1 << (cpu % MASK_BITS))) >>> 0;
  }
  return words;
}

const MASK_BITS = 32;

/** Whoever sets the bits keeps the right to it until then, and nothing after that. */
function leftOf(securebits: number | null, identity: Identity | null): CapabilitySet | null {
  const isOrdinary = identity !== null && identity.uid !== 0;
  return securebits !== null && isOrdinary ? NO_CAPABILITIES : null;
}

const NO_CAPABILITIES: CapabilitySet = { numbers: [], isBound: false };

/** Without KEEPCAPS the change to another user than root loses all of them; the exec forgets it. */
function keep(capabilities: CapabilitySet): Step[] {
  const keepAll: Step = { op: 'prctl', args: [PR_SET_KEEPCAPS, 1] };
  return capabilities.isBound ? [{ op: 'capbset_drop', args: wordsOf(capabilities) }, keepAll] : [keepAll];
}

function wordsOf({ numbers }: CapabilitySet): CapabilityWords {
  const word = (first: number): number => {
    const within = numbers.filter((number) => number >= first && number < first + MASK_BITS);
    return within.reduce((sum, number) => sum + 2 ** (number - first), 0);
  };
  return [word(0), word(MASK_BITS)];
}

/** Groups, then gid, then uid: each needs the right that the next one gives up. */
function become({ uid, gid, groups }: Identity): Step[] {
  return [
    { op: 'setgroups', list: groups },
    { op: 'setresgid', args: [gid] },
    { op: 'setresuid', args: [uid] },
    { op: 'verify-ids', args: [uid, gid], list: groups },
  ];
}

function channelOf({ stderr, identity }: Process, sinks: Sinks): Channel | null {
  return stderr === 'report' ? sinks.channelOf(identity?.uid ?? null) : null;
}

function pipeOf({ stderr, identity }: Process): Plan['pipe'] {
  return stderr === 'log' ? { owner: identity && { uid: identity.uid, gid: identity.gid } } : null;
}

function stderrWithoutSocket({ stderr }: Process): Process['stderr'] {
  if (stderr === 'socket') return 'null';
  return stderr === 'report' ? 'log' : stderr;
}

function stderrOf(process: Process, sinks: Sinks): number {
  if (process.stderr === 'socket') return STDERR_IS_CONNECTION;
  // With `log` each child's own pipe comes with its start; a file is opened by the child itself.
  return channelOf(process, sinks)?.writer ?? sinks.nullFd;
}

/** @param values called only when the plan has placeholders */
export function fillPlan(plan: Plan, facts: string, values: () => PlaceholderValues): Filled {
  if (plan.varying === null) return { facts };
  const { argv, directory, variables } = plan.varying;
  const known = values();
  return {
    facts: facts + endEach(variables.map(([name, value]) => `${name}=${fillTemplate(value, known)}`)),
    words: endEach(argv.map((word) => fillTemplate(word, known))),
    directory: fillTemplate(directory, known),
  };
}

function varyingOf({ command: { argv }, process }: Program): Varying | null {
  const { directory } = process;
  const variables = variablesOf(process).filter(([, value]) => hasPlaceholders(value));
  const isAlike = variables.length === 0 && ![...argv, directory].some(hasPlaceholders);
  return isAlike ? null : { argv, directory, variables };
}

/** A fact of the connection, and where its credentials are, outranks a variable of the same name; two entries of one name would be read differently by each program. */
function variablesOf({ environment, credentials }: Process): [name: string, value: string][] {
  const isOurs = (name: string): boolean =>
    FACT_NAMES.has(name) || (name === CREDENTIALS_VARIABLE && credentials !== null);
  return Object.entries(environment).filter(([name]) => !isOurs(name));
}

function endEach(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join('');
}
