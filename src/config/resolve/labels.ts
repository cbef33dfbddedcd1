/**
 * Whether the security modules that a service names are there, and know what it names, as far as that can be told.
 */
import type { Labels } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';
import type { Problem } from '../report/problems';

export function resolveLabels({ apparmor, selinux }: ServiceSettings, machine: Machine, layers: Layers): Labels {
  const profile = apparmor === undefined ? null : whyNoProfile(apparmor, machine);
  if (profile !== null) layers.onMachine.report(['apparmor'], profile);
  if (selinux !== undefined && !machine.hasSelinux) layers.onMachine.report(['selinux'], NO_SELINUX);
  return { apparmor: apparmor ?? null, selinux: selinux ?? null };
}

const NO_SELINUX: Problem = {
  message: 'this kernel has no SELinux, or it is switched off',
  remedy: 'remove it; or boot with "selinux=1 security=selinux", and a policy',
};

const NO_APPARMOR: Problem = {
  message: 'this kernel has no AppArmor, or it is switched off',
  remedy: 'remove it; or boot with "apparmor=1 security=apparmor"',
};

/** null: it is loaded, or that is not for us to know. */
function whyNoProfile(name: string, machine: Machine): Problem | null {
  const loaded = machine.apparmorProfiles();
  if (loaded === null) return NO_APPARMOR;
  if (loaded === 'unknown' || isSpecial(name) || loaded.includes(name)) return null;
  return { message: `AppArmor has no profile "${name.slice(0, 60)}"`, remedy: 'load it: apparmor_parser -r FILE' };
}

/** What is always there, stacks of profiles, and those of another namespace. */
function isSpecial(name: string): boolean {
  return name === 'unconfined' || name.startsWith(':') || name.includes('//&');
}
