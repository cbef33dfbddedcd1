/**
 * The kernel's capabilities (capabilities(7)), by name.
 */

/** By number, without CAP_ (linux/capability.h). */
const NAMES = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
] as const;

/** `CAP_NET_BIND_SERVICE` */
export type Capability = `CAP_${Uppercase<(typeof NAMES)[number]>}`;

export const CAPABILITY_NAMES: readonly string[] = NAMES;

/** `net_bind_service`, in any letter case, also with `cap_`; undefined: there is none of that name. */
export function parseCapability(text: string): Capability | undefined {
  const name = text.toLowerCase().replace(/^cap_/, '');
  return CAPABILITY_NAMES.includes(name) ? (`CAP_${name.toUpperCase()}` as Capability) : undefined;
}

export function capabilityNumber(capability: Capability): number {
  return CAPABILITY_NAMES.indexOf(capability.slice('CAP_'.length).toLowerCase());
}
