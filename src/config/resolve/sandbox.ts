/**
 * What a service's program is kept away from, and whether stdiod can do that.
 */
import type { Sandbox } from '../../service/sandbox';
import { CALL_GROUPS } from '../../service/system-calls';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import type { Shape } from './conflicts';

export function resolveSandbox(settings: ServiceSettings, { run }: Shape, machine: Machine, layers: Layers): Sandbox {
  const { private_network, private_ipc, private_hostname } = settings;
  reportUnprivileged({ private_network, private_ipc, private_hostname }, machine, layers);
  return {
    // `defaults` may say it for all: to connect elsewhere is what a redirect is for.
    privateNetwork: private_network === true && run !== 'redirect',
    privateIpc: private_ipc === true,
    privateHostname: private_hostname === true,
    deniedCalls: deniedBy(settings.system_calls.deny),
  };
}

function deniedBy(deny: ServiceSettings['system_calls']['deny'] = []): Sandbox['deniedCalls'] {
  return CALL_GROUPS.filter((group) => deny === 'all' || deny.includes(group));
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
