/**
 * What a service's program may do beyond its user's rights, and whether stdiod can give that.
 */
import { capabilityNumber, parseCapability, type Capability } from '../../service/capabilities';
import { securebitsOf, type Securebit } from '../../service/securebits';
import { needsNoNewPrivileges, type Sandbox } from '../../service/sandbox';
import type { CapabilitySet, Identity, Rights } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import type { Machine } from '../machine/machine';

export function resolveRights(
  settings: ServiceSettings,
  identity: Identity | null,
  sandbox: Sandbox,
  machine: Machine,
  layers: Layers,
): Rights {
  const capabilities = capabilitiesOf(settings);
  const isRoot = isRootHere(identity, machine);
  const isKeptAway = needsNoNewPrivileges(sandbox);
  const noNewPrivileges = settings.no_new_privileges ?? (isKeptAway || !isRoot);
  if (isKeptAway && !noNewPrivileges) reportEscape(isRoot && isAdmin(capabilities), layers);
  const securebits = resolveSecurebits(settings.securebits ?? [], machine, layers);
  if (capabilities === undefined) return { noNewPrivileges, capabilities: null, securebits };
  const set = resolveCapabilities(capabilities, machine, layers);
  if (!set.isBound && (isRoot || !noNewPrivileges)) reportUnbound(isRoot, layers);
  return { noNewPrivileges, capabilities: set, securebits };
}

function isRootHere(identity: Identity | null, machine: Machine): boolean {
  return (identity?.uid ?? machine.uid) === 0;
}

function resolveSecurebits(names: readonly Securebit[], machine: Machine, layers: Layers): number | null {
  if (names.length === 0) return null;
  if (!machine.hasCapability('CAP_SETPCAP')) {
    layers.onMachine.report(['securebits'], {
      message: 'stdiod lacks CAP_SETPCAP, which this takes',
      remedy: 'run stdiod as root, or with that capability',
    });
  }
  return securebitsOf(names);
}

/** undefined: nothing is said of them. */
function capabilitiesOf({ capabilities, sandbox }: ServiceSettings): readonly string[] | undefined {
  return capabilities ?? (sandbox === 'strict' ? [] : undefined);
}

/** Of a program that runs as root: undefined is all. */
function isAdmin(capabilities: readonly string[] | undefined): boolean {
  return capabilities === undefined || capabilities.some((each) => parseCapability(each) === 'CAP_SYS_ADMIN');
}

/** Root with all capabilities is kept away by the kernel all the same. */
function reportEscape(isFullRoot: boolean, layers: Layers): void {
  if (isFullRoot) return;
  layers.report(['no_new_privileges'], {
    message: 'a program that gains rights cannot be kept from system calls or files',
    remedy: 'remove it, or remove what the program is kept from',
  });
}

function resolveCapabilities(written: readonly string[], machine: Machine, layers: Layers): CapabilitySet {
  const wanted = new Set(written.map(parseCapability).filter((capability) => capability !== undefined));
  const lacking = [...wanted].filter((capability) => !machine.hasCapability(capability));
  if (lacking.length > 0) reportLacking(lacking, layers);
  const numbers = [...wanted].map(capabilityNumber).sort((a, b) => a - b);
  return { numbers, isBound: machine.hasCapability('CAP_SETPCAP') };
}

function reportLacking(lacking: readonly Capability[], layers: Layers): void {
  layers.onMachine.report(['capabilities'], {
    message: `stdiod itself lacks ${lacking.join(', ')}`,
    remedy: 'start stdiod with it (AmbientCapabilities= in its unit), or as root',
  });
}

/** An exec as root, and one of a set-user-ID program, gives all that the bounding set has. */
function reportUnbound(isRoot: boolean, layers: Layers): void {
  layers.onMachine.report(['capabilities'], {
    message: 'without CAP_SETPCAP stdiod cannot keep the program from having others',
    remedy: isRoot ? 'start stdiod with it' : 'start stdiod with it, or remove no_new_privileges',
  });
}
