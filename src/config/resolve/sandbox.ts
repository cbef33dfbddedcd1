/**
 * What a service's program is kept away from, and whether stdiod can do that.
 */
import type { Sandbox } from '../../service/sandbox';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import type { Shape } from './conflicts';

export function resolveSandbox(settings: ServiceSettings, { run }: Shape, machine: Machine, layers: Layers): Sandbox {
  // `defaults` may say it for all: to connect elsewhere is what a redirect is for.
  const privateNetwork = settings.private_network === true && run !== 'redirect';
  if (privateNetwork) reportUnprivileged('private_network', machine, layers);
  return { privateNetwork };
}

/** Namespaces of one's own are root's to make and to join. */
function reportUnprivileged(key: string, machine: Machine, layers: Layers): void {
  if (machine.hasCapability('CAP_SYS_ADMIN')) return;
  layers.onMachine.report([key], {
    message: 'stdiod lacks CAP_SYS_ADMIN, which this takes',
    remedy: 'run stdiod as root, or with that capability',
  });
}
