/**
 * What a service's program is kept away from, and whether stdiod can do that.
 */
import { resolve as resolvePath } from 'node:path';
import type { FileRules, Sandbox } from '../../service/sandbox';
import { CALL_GROUPS, type CallGroup } from '../../service/system-calls';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import type { Shape } from './conflicts';

/** The first version of Landlock that keeps a program from emptying what it may not write (truncate(2)). */
const NEEDED_LANDLOCK = 3;

type Rung = NonNullable<ServiceSettings['sandbox']>;

/** What honest programs use now and then, or libraries of theirs: only `strict` denies it. */
const USED_SOMETIMES: readonly CallGroup[] = [
  'code',
  'identity',
  'io_uring',
  'keys',
  'namespaces',
  'personality',
  'priorities',
  'set_id_files',
  'sockets',
];

/** Where people and their programs keep what is theirs: `strict` hides those that are there. */
const HOMES = ['/home', '/root', '/run/user'];

const DENIED: Readonly<Record<Rung, readonly CallGroup[]>> = {
  none: [],
  basic: CALL_GROUPS.filter((group) => !USED_SOMETIMES.includes(group)),
  strict: CALL_GROUPS,
};

export function resolveSandbox(settings: ServiceSettings, { run }: Shape, machine: Machine, layers: Layers): Sandbox {
  const { sandbox: rung = 'none', read_write } = settings;
  const hidden = pathsOf('hidden', settings.hidden ?? homesOf(rung, machine), machine, layers);
  const read_only = settings.read_only ?? (rung === 'strict' || read_write !== undefined ? ['/'] : undefined);
  const switches = switchesOf(settings, rung);
  reportUnprivileged(settings, { ...switches, hidden: hidden.length > 0 }, machine, layers);
  // `defaults` may say it for all: to connect elsewhere is what a redirect is for.
  const privateNetwork = switches.private_network && run !== 'redirect';
  return {
    privateNetwork,
    privateIpc: switches.private_ipc,
    privateHostname: switches.private_hostname,
    privateTmp: switches.private_tmp,
    privateDevices: switches.private_devices,
    privateProcesses: switches.private_processes,
    hidden,
    files: read_only === undefined ? null : resolveFiles(settings, read_only, machine, layers),
    deniedCalls: deniedBy(settings, rung, run === 'redirect' || settings.private_network === false),
  };
}

function homesOf(rung: Rung, machine: Machine): readonly string[] {
  return rung === 'strict' ? HOMES.filter((path) => typeof machine.file(path) !== 'string') : [];
}

const SWITCHES = [
  'private_network',
  'private_ipc',
  'private_hostname',
  'private_tmp',
  'private_devices',
  'private_processes',
] as const;

type Switch = (typeof SWITCHES)[number];

function switchesOf(settings: ServiceSettings, rung: Rung): Readonly<Record<Switch, boolean>> {
  const isOn = (key: Switch): boolean => settings[key] ?? rung === 'strict';
  return {
    private_network: isOn('private_network'),
    private_ipc: isOn('private_ipc'),
    private_hostname: isOn('private_hostname'),
    private_tmp: isOn('private_tmp'),
    private_devices: isOn('private_devices'),
    private_processes: isOn('private_processes'),
  };
}

/** Namespaces of one's own are root's to make and to join. */
function reportUnprivileged(
  settings: ServiceSettings,
  switches: Readonly<Record<Switch | 'hidden', boolean>>,
  machine: Machine,
  layers: Layers,
): void {
  const key = ([...SWITCHES, 'hidden'] as const).find((each) => switches[each]);
  if (key === undefined || machine.hasCapability('CAP_SYS_ADMIN')) return;
  const isOfRung = settings[key] === undefined;
  layers.onMachine.report([isOfRung ? 'sandbox' : key], {
    message: 'stdiod lacks CAP_SYS_ADMIN, which this takes',
    remedy: `run stdiod as root, or with that capability${isOfRung ? '; "basic" does without' : ''}`,
  });
}

function resolveFiles(
  settings: ServiceSettings,
  readOnly: readonly string[],
  machine: Machine,
  layers: Layers,
): FileRules {
  const key = (['read_only', 'read_write'] as const).find((each) => settings[each] !== undefined);
  reportLandlock(key ?? 'sandbox', machine, layers);
  return {
    readOnly: pathsOf('read_only', readOnly, machine, layers),
    readWrite: pathsOf('read_write', settings.read_write ?? [], machine, layers),
  };
}

function reportLandlock(key: string, { landlockVersion }: Machine, layers: Layers): void {
  if (landlockVersion >= NEEDED_LANDLOCK) return;
  const isThere = landlockVersion > 0;
  layers.onMachine.report([key], {
    message: isThere
      ? `the Landlock of this kernel is of version ${landlockVersion}, which lets a program empty files that it may not write`
      : 'this kernel has no Landlock, or it is switched off',
    remedy: isThere
      ? 'Linux 6.2 has version 3'
      : 'Linux 6.2 and newer have what is needed; it may have to be named in lsm= at boot',
  });
}

/** A path that is not there yet would be open to all when it comes, or closed. */
function pathsOf(key: string, written: readonly string[], machine: Machine, layers: Layers): string[] {
  return written.map((path, at) => {
    const absolute = resolvePath(layers.folderOf([key]), path);
    const facts = machine.file(absolute);
    if (typeof facts === 'string') layers.onMachine.report([key, at], explainAbsent(absolute, facts));
    return absolute;
  });
}

/** @param hasNetwork that it is to use: the name alone does not keep it from that */
function deniedBy({ system_calls }: ServiceSettings, rung: Rung, hasNetwork: boolean): Sandbox['deniedCalls'] {
  const { deny = DENIED[rung].filter((group) => !(hasNetwork && group === 'sockets')), allow = [] } = system_calls;
  return CALL_GROUPS.filter((group) => (deny === 'all' || deny.includes(group)) && !allow.includes(group));
}
