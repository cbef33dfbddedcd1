/**
 * What a service's processes may use together: from the words of the file to the kernel's, and whether stdiod may make the
 * groups that hold them to it.
 */
import {
  CGROUP_LIMITS,
  CGROUP_LIMIT_NAMES,
  parseCgroupLimit,
  type Cgroup,
  type CgroupLimit,
  type CgroupSetting,
} from '../../service/cgroup';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { CgroupFacts, Machine } from '../machine/machine';
import type { Problem } from '../report/problems';
import type { Shape } from './conflicts';

type Limits = Readonly<Partial<Record<CgroupLimit, string | number | undefined>>>;

/** null: the file asks for none. */
export function resolveCgroup(
  { cgroup }: ServiceSettings,
  { isWaiting }: Shape,
  machine: Machine,
  layers: Layers,
): Cgroup | null {
  const each = isWaiting ? {} : (cgroup.per_connection ?? {});
  if (isWaiting) reportWaiting(layers);
  const names = CGROUP_LIMIT_NAMES.filter((name) => cgroup[name] !== undefined || each[name] !== undefined);
  if (names.length === 0) return null;
  const problem = whyNoGroups(names, machine.cgroup());
  if (problem !== null) layers.onMachine.report(['cgroup'], problem);
  const controllers = [...new Set(names.map((name) => CGROUP_LIMITS[name].controller))].sort();
  return { name: layers.name, controllers, whole: settingsOf(cgroup), each: settingsOf(each) };
}

function reportWaiting(layers: Layers): void {
  const key = ['cgroup', 'per_connection'];
  if (!layers.isOwn(key)) return;
  const message = '"per_connection" has no meaning where one child has the socket';
  layers.reportKey(key, { message, remedy: 'write its limits into "cgroup" itself' }, key);
}

function settingsOf(limits: Limits): CgroupSetting[] {
  return CGROUP_LIMIT_NAMES.flatMap((name) => {
    const value = limits[name];
    const setting = value === undefined ? undefined : parseCgroupLimit(CGROUP_LIMITS[name], value);
    return setting === undefined ? [] : [setting];
  });
}

const DELEGATE = 'write Delegate=yes into the unit of stdiod (systemctl edit stdiod), and restart it';

/** What is missing first, as long as the rest cannot be known without it. */
function whyNoGroups(names: readonly CgroupLimit[], facts: CgroupFacts | null): Problem | null {
  if (facts === null) {
    return { message: 'this machine has no cgroup v2', remedy: 'mount it: mount -t cgroup2 none /sys/fs/cgroup' };
  }
  const { folder } = facts;
  if (!facts.isDelegated) {
    return { message: `systemd has not delegated stdiod's control group, ${folder}`, remedy: DELEGATE };
  }
  if (!facts.isWritable) return { message: `stdiod may not change its control group, ${folder}`, remedy: DELEGATE };
  return whyNoControllers(names, facts) ?? whyNotAlone(facts) ?? whyTooOld(names, facts);
}

function whyNoControllers(names: readonly CgroupLimit[], { folder, controllers, known }: CgroupFacts): Problem | null {
  const wanted = new Set(names.map((name) => CGROUP_LIMITS[name].controller));
  const lacking = [...wanted].filter((controller) => !controllers.includes(controller)).sort();
  if (lacking.length === 0) return null;
  const isUnknown = lacking.some((controller) => !known.includes(controller));
  return {
    message: `stdiod's control group, ${folder}, has no controller ${lacking.join(', ')}`,
    remedy: isUnknown
      ? `boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_disable=, so that cgroup v2 has ${lacking.length === 1 ? 'it' : 'them'}`
      : DELEGATE,
  };
}

function whyNotAlone({ folder, strangers: [first, ...others] }: CgroupFacts): Problem | null {
  if (first === undefined) return null;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return {
    message: `stdiod is not alone in its control group, ${folder}: process ${first}${more}`,
    remedy: 'give stdiod a unit of its own: systemd-run -p Delegate=yes stdiod run',
  };
}

function whyTooOld(names: readonly CgroupLimit[], { hasKill, hasFile }: CgroupFacts): Problem | null {
  if (!hasKill) return { message: 'this kernel has no cgroup.kill', remedy: 'it takes Linux 5.14 or newer' };
  const absent = names.map((name) => CGROUP_LIMITS[name].file).filter((file) => !hasFile(file));
  if (absent.length === 0) return null;
  return { message: `this kernel has no ${absent.join(', ')}`, remedy: 'remove the key, or take a kernel with it' };
}
