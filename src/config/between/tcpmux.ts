/**
 * Whether services that are offered by name can be reached: some enabled service has to be `builtin: tcpmux`.
 */
import type { Resolved } from '../resolve/resolve';

export function reportUnreachable(all: readonly Resolved[]): void {
  const enabled = all.filter(({ service }) => service.enabled);
  if (enabled.some(({ service }) => service.run.kind === 'tcpmux')) return;
  for (const { service, layers } of enabled) {
    if (service.tcpmux === null) continue;
    const message = 'no service has "builtin: tcpmux", through which this one could be asked for by name';
    const remedy = 'add one: "tcpmux: {listen: 1, builtin: tcpmux}"';
    layers.reportKey(['tcpmux'], { message, remedy }, ['tcpmux']);
  }
}
