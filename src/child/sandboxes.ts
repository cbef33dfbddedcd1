/**
 * What children of a service join, made once for each service and kept for as long as it is served: a reload that changes nothing of it
 * goes on with the same one, and whoever runs still is in one network with those to come.
 */
import { addon, type NativeSandbox, type SandboxOptions } from '../native/addon';
import { asSystemError, describeSystemError } from '../native/system-error';
import type { Sandbox } from '../service/sandbox';
import type { Service } from '../service/service';

/** The machine does not give what a service wants of it. */
export class SandboxError extends Error {}

/** linux/sched.h. */
const [CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWNS] = [0x4000_0000, 0x800_0000, 0x400_0000, 0x2_0000];

export class Sandboxes {
  readonly #made = new Map<string, NativeSandbox>();

  /** @returns null: its children need none. @throws SandboxError */
  of(service: Service): NativeSandbox | null {
    const options = optionsOf(service);
    if (options === null) return null;
    const key = keyOf(service, options);
    const sandbox = this.#made.get(key) ?? open(options);
    this.#made.set(key, sandbox);
    return sandbox;
  }

  /**
   * Closes those that none of these has. A connection for which no child could be made so far, and whose service has changed
   * to another one or to none, is dropped: it is not to be served with less than was promised, and the old one is gone.
   */
  keep(services: Iterable<Service>): void {
    if (this.#made.size === 0) return;
    const used = new Set<string>();
    for (const service of services) {
      const options = optionsOf(service);
      if (options !== null) used.add(keyOf(service, options));
    }
    for (const [key, sandbox] of this.#made) {
      if (used.has(key)) continue;
      this.#made.delete(key);
      addon.closeSandbox(sandbox);
    }
  }
}

function open(options: SandboxOptions): NativeSandbox {
  try {
    return addon.openSandbox(options);
  } catch (error) {
    const failure = asSystemError(error);
    throw new SandboxError(`sandbox: ${failure.syscall}: ${describeSystemError(failure)}`);
  }
}

function optionsOf({ run }: Service): SandboxOptions | null {
  if (run.kind !== 'exec') return null;
  const { sandbox } = run.process;
  const { privateTmp, hidden, files } = sandbox;
  const namespaces = namespacesOf(sandbox);
  if (namespaces === 0 && files === null) return null;
  // A folder of their own that nobody may write to would be of no use.
  const tmp = privateTmp ? OWN_TMP : [];
  const rules = files === null ? null : { ...files, readWrite: [...files.readWrite, ...tmp] };
  return { namespaces, hasOwnTmp: privateTmp, hidden, files: rules };
}

const OWN_TMP = ['/tmp'];

function namespacesOf({ privateNetwork, privateIpc, privateHostname, privateTmp, hidden }: Sandbox): number {
  const flags = [
    privateNetwork ? CLONE_NEWNET : 0,
    privateIpc ? CLONE_NEWIPC : 0,
    privateHostname ? CLONE_NEWUTS : 0,
    privateTmp || hidden.length > 0 ? CLONE_NEWNS : 0,
  ];
  return flags.reduce((all, flag) => all | flag, 0);
}

function keyOf({ name }: Service, options: SandboxOptions): string {
  return JSON.stringify([name, options]);
}
