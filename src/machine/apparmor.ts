/**
 * Which profiles AppArmor knows on this machine.
 */
import { readProc } from './files';

/** Both are the kernel's own, and the second is root's to read. */
const SWITCH = '/sys/module/apparmor/parameters/enabled';
const PROFILES = '/sys/kernel/security/apparmor/profiles';

/** null: AppArmor is not there; unknown: it does not tell us. */
export function readProfiles(): readonly string[] | 'unknown' | null {
  if (readProc(SWITCH)?.trim() !== 'Y') return null;
  const text = readProc(PROFILES);
  return text === null ? 'unknown' : profilesIn(text);
}

/** Lines such as `web (enforce)`. */
export function profilesIn(text: string): string[] {
  return text.split('\n').flatMap((line) => /^(.+) \([a-z]+\)$/.exec(line)?.[1] ?? []);
}
