/**
 * What a service's program may use and where it stands beside others: from the words of the file to the kernel's numbers, and
 * whether stdiod has the right to give that.
 */
import { KEPT, RLIMITS, RLIMIT_NAMES, isAbove, parseRlimit, type Rlimit } from '../../service/rlimits';
import { isRealtime, isRealtimeIo, parseCpus, parseIoPriority, parseScheduling } from '../../service/scheduling';
import type { Resources } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';

export function resolveResources(settings: ServiceSettings, machine: Machine, layers: Layers): Resources {
  const { nice, scheduling, io_priority, oom_score_adjust } = settings;
  const resources: Resources = {
    limits: resolveLimits(settings.rlimits, machine, layers),
    nice: nice ?? null,
    cpus: resolveCpus(settings.cpu_affinity, machine, layers),
    scheduling: (scheduling === undefined ? null : parseScheduling(scheduling)) ?? null,
    ioPriority: (io_priority === undefined ? null : parseIoPriority(io_priority)) ?? null,
    oomScore: oom_score_adjust ?? null,
  };
  reportScore(resources, machine, layers);
  if (!machine.hasCapability('CAP_SYS_NICE')) reportPrivileged(resources, machine, layers);
  return resources;
}

/**
 * Of every child. Node raises its own soft limit on open files to the hard one, and programs that loop over every possible descriptor
 * would suffer for it: a child gets what a login shell gets. A core is written only where the file wants one.
 */
const STANDARD: readonly Rlimit[] = [
  { resource: RLIMITS.open_files.resource, soft: 1024, hard: KEPT },
  { resource: RLIMITS.core_size.resource, soft: 0, hard: KEPT },
];

function resolveLimits(written: ServiceSettings['rlimits'], machine: Machine, layers: Layers): Rlimit[] {
  const limits = RLIMIT_NAMES.flatMap((name) => {
    const value = written[name];
    const limit = value === undefined ? undefined : parseRlimit(RLIMITS[name], value);
    if (limit === undefined) return [];
    reportTooHigh(name, limit, machine, layers);
    return [limit];
  });
  const isSaid = ({ resource }: Rlimit): boolean => limits.some((limit) => limit.resource === resource);
  return [...STANDARD.filter((limit) => !isSaid(limit)), ...limits];
}

function reportTooHigh(name: string, { resource, hard }: Rlimit, machine: Machine, layers: Layers): void {
  const most = machine.highestLimit(resource);
  if (!isAbove(hard, most)) return;
  layers.onMachine.report(['rlimits', name], {
    message: `stdiod may give ${most} at most, its own hard limit`,
    remedy: 'write less, or start stdiod with a higher limit or as root',
  });
}

function resolveCpus(written: string | number | undefined, machine: Machine, layers: Layers): Resources['cpus'] {
  const cpus = written === undefined ? undefined : parseCpus(String(written));
  if (cpus === undefined) return null;
  if (cpus.some((cpu) => machine.cpus().includes(cpu))) return cpus;
  layers.onMachine.report(['cpu_affinity'], {
    message: `this machine has none of these CPUs for stdiod; it has ${machine.cpus().join(',')}`,
    remedy: 'name one of those',
  });
  return cpus;
}

function reportScore({ oomScore }: Resources, machine: Machine, layers: Layers): void {
  const own = machine.oomScore();
  const report = (message: string, remedy: string): void => {
    layers.onMachine.report(['oom_score_adjust'], { message, remedy });
  };
  if (oomScore === null) return;
  if (own === null) report('stdiod does not find its children in /proc', 'mount the /proc of its own pid namespace');
  else if (oomScore < own && !machine.hasCapability('CAP_SYS_RESOURCE')) {
    report(`stdiod may give ${own} at the lowest, its own`, 'write more, or start stdiod with CAP_SYS_RESOURCE');
  }
}

/** What takes CAP_SYS_NICE. */
function reportPrivileged(resources: Resources, machine: Machine, layers: Layers): void {
  const { nice, scheduling, ioPriority } = resources;
  const report = (key: string, message: string): void => {
    layers.onMachine.report([key], { message, remedy: 'run stdiod as root, or with CAP_SYS_NICE' });
  };
  if (nice !== null && nice < machine.lowestNice()) {
    report('nice', `stdiod may give ${machine.lowestNice()} at the lowest`);
  }
  if (scheduling !== null && isRealtime(scheduling)) report('scheduling', 'real time takes a right that stdiod lacks');
  if (ioPriority !== null && isRealtimeIo(ioPriority))
    report('io_priority', 'real time takes a right that stdiod lacks');
}
