/**
 * Whether a network interface that the configuration names is there: as `device`, or in an address such as `[fe80::1%eth0]`.
 */
import type { Machine } from '../machine/machine';
import type { Problem } from '../report/problems';

/** null: it is. */
export function whyNoInterface(name: string, machine: Machine): Problem | null {
  if (machine.hasInterface(name)) return null;
  const message = `there is no network interface "${name}"`;
  return { message, remedy: `the interfaces here are ${machine.interfaces().join(', ')}` };
}

/** Of an address; null also when it names none. */
export function whyNoZone(host: string, machine: Machine): Problem | null {
  const [, zone] = host.split('%');
  return zone === undefined ? null : whyNoInterface(zone, machine);
}
