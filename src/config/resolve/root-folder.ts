/**
 * `chroot`: the folder that is `/` for a service's program, and whether stdiod can give it that.
 */
import { isAbsolute, resolve as resolvePath } from 'node:path';
import type { Sandbox } from '../../service/sandbox';
import type { Exec, Process } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import { whyNotForRights } from '../machine/trusted';
import { whyNotForRightsInside } from '../machine/trusted-inside';
import type { Problem } from '../report/problems';
import type { Shape } from './conflicts';

/** Where a program lives. */
export interface RootFolder {
  /** null: as for stdiod itself, which holds for programs of its own as well. */
  readonly root: string | null;
  /** For what is said of paths inside: nothing where the folder itself is wrong, which is reported. */
  readonly layers: Layers;
}

type Who = Pick<Process, 'identity' | 'rights' | 'sandbox'>;

export function resolveRoot(
  settings: ServiceSettings,
  { run }: Shape,
  who: Who,
  machine: Machine,
  layers: Layers,
): RootFolder {
  if (settings.chroot === undefined || run !== 'exec') return { root: null, layers };
  const root = resolvePath(layers.folderOf(['chroot']), settings.chroot);
  const problem = whyNoRoot(root, who, machine);
  if (problem !== null) layers.onMachine.report(['chroot'], problem);
  reportRelative(settings, layers);
  reportBeside(settings, who.sandbox, layers);
  return { root, layers: problem === null ? layers : layers.ignoringMachine() };
}

/** Of the folder itself it was asked before. @param layers as resolveRoot gives them */
export function reportUntrustedInside({ command, before, process }: Exec, machine: Machine, layers: Layers): void {
  const { root, identity } = process;
  if (root === null || !mayGainRights(process, machine)) return;
  const programs = [command, ...(before?.commands ?? [])].map(({ path }) => path);
  const problem = whyNotForRightsInside(root, programs, identity, machine);
  if (problem !== null) layers.onMachine.report(['chroot'], problem);
}

function whyNoRoot(root: string, who: Who, machine: Machine): Problem | null {
  const facts = machine.file(root);
  if (!machine.hasCapability('CAP_SYS_CHROOT')) {
    return {
      message: 'stdiod lacks CAP_SYS_CHROOT, which this takes',
      remedy: 'run stdiod as root, or with that capability',
    };
  }
  if (typeof facts === 'string') return explainAbsent(root, facts);
  if (facts.kind !== 'folder') return { message: `${root} is not a folder`, remedy: 'name a folder' };
  return mayGainRights(who, machine) ? whyNotForRights(root, who.identity, machine) : null;
}

function mayGainRights({ identity, rights }: Omit<Who, 'sandbox'>, machine: Machine): boolean {
  return (identity?.uid ?? machine.uid) === 0 || !rights.noNewPrivileges;
}

/** Inside there is no folder of the file from which they could start. */
function reportRelative({ exec, directory, stderr }: ServiceSettings, layers: Layers): void {
  const program = typeof exec === 'string' ? exec.trim() : (exec?.[0] ?? '');
  const paths = [
    { key: 'exec', path: /^[^\s/'"]+\//.test(program) ? program : '/' },
    { key: 'directory', path: directory ?? '/' },
    { key: 'stderr', path: stderr?.includes('/') === true ? stderr : '/' },
  ];
  for (const { key } of paths.filter(({ path }) => !isAbsolute(path))) {
    const message = `with "chroot" (${layers.where(['chroot'])}) a path begins with "/"`;
    layers.report([key], { message, remedy: 'write it as the program finds it inside' });
  }
}

/** What they say of paths is said of those outside: whoever reads it would have to guess which of the two comes first. */
function reportBeside(settings: ServiceSettings, sandbox: Sandbox, layers: Layers): void {
  const key = besideOf(settings, sandbox);
  if (key === undefined) return;
  const message = `"${key}" and "chroot" (${layers.where(['chroot'])}) exclude each other`;
  const remedy = 'remove one of them; without "chroot", "sandbox: strict" and "read_only" keep a program from files';
  layers.report([key], { message, remedy });
}

/** undefined: none. */
function besideOf(settings: ServiceSettings, sandbox: Sandbox): string | undefined {
  if (Object.keys(settings.credentials).length > 0) return 'credentials';
  const keys = [
    ...(sandbox.hidden.length > 0 ? ['hidden'] : []),
    ...(sandbox.files === null ? [] : [settings.read_only === undefined ? 'read_write' : 'read_only']),
    ...(sandbox.privateTmp ? ['private_tmp'] : []),
    ...(sandbox.privateDevices ? ['private_devices'] : []),
    ...(sandbox.privateProcesses ? ['private_processes'] : []),
  ];
  return keys.length > 0 && settings.sandbox === 'strict' ? 'sandbox' : keys[0];
}
