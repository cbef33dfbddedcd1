/**
 * What a service's program is kept away from, and whether stdiod can do that.
 */
import { resolve as resolvePath } from 'node:path';
import type { FileRules, Sandbox } from '../../service/sandbox';
import { CALL_GROUPS } from '../../service/system-calls';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import type { Shape } from './conflicts';

/** The first version of Landlock that keeps a program from emptying what it may not write (truncate(2)). */
const NEEDED_LANDLOCK = 3;

export function resolveSandbox(settings: ServiceSettings, { run }: Shape, machine: Machine, layers: Layers): Sandbox {
  const { private_network, private_ipc, private_hostname, private_tmp } = settings;
  const hidden = pathsOf('hidden', settings.hidden, machine, layers);
  const switches = { private_network, private_ipc, private_hostname, private_tmp, hidden: hidden.length > 0 };
  reportUnprivileged(switches, machine, layers);
  return {
    // `defaults` may say it for all: to connect elsewhere is what a redirect is for.
    privateNetwork: private_network === true && run !== 'redirect',
    privateIpc: private_ipc === true,
    privateHostname: private_hostname === true,
    privateTmp: private_tmp === true,
    hidden,
    files: resolveFiles(settings, machine, layers),
    deniedCalls: deniedBy(settings.system_calls.deny),
  };
}

/** Namespaces of one's own are root's to make and to join. */
function reportUnprivileged(
  switches: Readonly<Record<string, boolean | undefined>>,
  machine: Machine,
  layers: Layers,
): void {
  const key = Object.keys(switches).find((each) => switches[each]);
  if (key === undefined || machine.hasCapability('CAP_SYS_ADMIN')) return;
  layers.onMachine.report([key], {
    message: 'stdiod lacks CAP_SYS_ADMIN, which this takes',
    remedy: 'run stdiod as root, or with that capability',
  });
}

function resolveFiles({ read_only, read_write }: ServiceSettings, machine: Machine, layers: Layers): FileRules | null {
  if (read_only === undefined && read_write === undefined) return null;
  reportLandlock(read_only === undefined ? 'read_write' : 'read_only', machine, layers);
  return {
    readOnly: pathsOf('read_only', read_only ?? ['/'], machine, layers),
    readWrite: pathsOf('read_write', read_write ?? [], machine, layers),
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

function deniedBy(deny: ServiceSettings['system_calls']['deny'] = []): Sandbox['deniedCalls'] {
  return CALL_GROUPS.filter((group) => deny === 'all' || deny.includes(group));
}
