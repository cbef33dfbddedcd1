/**
 * What children of a service join, made once for each service and kept for as long as it is served: a reload that changes nothing of it
 * goes on with the same one, and whoever runs still is in one network with those to come.
 */
import { createHash } from 'node:crypto';
import { addon, type NativeSandbox, type SandboxOptions } from '../native/addon';
import { asSystemError, describeSystemError } from '../native/system-error';
import { CREDENTIALS_MOUNT, type Credentials } from '../service/credentials';
import type { FileRules, Sandbox } from '../service/sandbox';
import type { Service } from '../service/service';
import { CredentialFolders } from './credential-folders';

/** The machine does not give what a service wants of it. */
export class SandboxError extends Error {}

/** linux/sched.h. */
const [CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWNS] = [0x4000_0000, 0x800_0000, 0x400_0000, 0x2_0000];

export class Sandboxes {
  readonly #made = new Map<string, NativeSandbox>();
  readonly #folders = new CredentialFolders();

  /** @returns null: its children need none. @throws SandboxError */
  of(service: Service): NativeSandbox | null {
    const options = this.#optionsOf(service);
    if (options === null) return null;
    const key = keyOf(service, options);
    const sandbox = this.#made.get(key) ?? open(options);
    this.#made.set(key, sandbox);
    return sandbox;
  }

  /** The folder in which its children find their credentials; null: they have none. @throws SandboxError */
  credentialsOf({ name, run }: Service): string | null {
    const credentials = run.kind === 'exec' ? run.process.credentials : null;
    if (credentials === null) return null;
    if (credentials.place === 'mount') return CREDENTIALS_MOUNT;
    return orSandboxError('credentials', () => this.#folders.of(name, credentials));
  }

  /**
   * Closes those that none of these has. A connection for which no child could be made so far, and whose service has changed
   * to another one or to none, is dropped: it is not to be served with less than was promised, and the old one is gone.
   */
  keep(services: Iterable<Service>): void {
    this.#folders.keep(services);
    if (this.#made.size === 0) return;
    const used = new Set<string>();
    for (const service of services) {
      const options = this.#optionsOf(service);
      if (options !== null) used.add(keyOf(service, options));
    }
    for (const [key, sandbox] of this.#made) {
      if (used.has(key)) continue;
      this.#made.delete(key);
      addon.closeSandbox(sandbox);
    }
  }

  /** What would outlast us. */
  close(): void {
    this.#folders.close();
  }

  #optionsOf(service: Service): SandboxOptions | null {
    const { run } = service;
    if (run.kind !== 'exec') return null;
    const { sandbox, credentials } = run.process;
    const { privateTmp, privateDevices, privateProcesses, hidden, files } = sandbox;
    const mounted = credentials?.place === 'mount' ? credentials : null;
    const namespaces = namespacesOf(sandbox, mounted !== null);
    if (namespaces === 0 && files === null) return null;
    const more = mounted === null ? {} : { credentials: mountOf(mounted) };
    return {
      namespaces,
      hasOwnTmp: privateTmp,
      hasNoDevices: privateDevices,
      hasOwnProcesses: privateProcesses,
      hidden,
      ...more,
      files: files && this.#rulesFor(service, sandbox, files),
    };
  }

  /** What is their own they may use, whatever the file says of all others. */
  #rulesFor(service: Service, { privateTmp }: Sandbox, { readOnly, readWrite }: FileRules): FileRules {
    const secrets = this.credentialsOf(service);
    return {
      readOnly: secrets === null ? readOnly : [...readOnly, secrets],
      readWrite: privateTmp ? [...readWrite, ...OWN_TMP] : readWrite,
    };
  }
}

function open(options: SandboxOptions): NativeSandbox {
  return orSandboxError('sandbox', () => addon.openSandbox(options));
}

function orSandboxError<Made>(what: string, make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    const failure = asSystemError(error);
    throw new SandboxError(`${what}: ${failure.syscall}: ${describeSystemError(failure)}`);
  }
}

function mountOf({ uid, gid, files }: Credentials): NonNullable<SandboxOptions['credentials']> {
  return {
    folder: CREDENTIALS_MOUNT,
    uid,
    gid,
    files: files.map(({ name, contents }) => ({ name, contents: Buffer.from(contents, 'base64') })),
  };
}

const OWN_TMP = ['/tmp'];

function namespacesOf(sandbox: Sandbox, hasCredentials: boolean): number {
  const { privateNetwork, privateIpc, privateHostname, privateTmp, privateDevices, privateProcesses, hidden } = sandbox;
  const hasMounts = privateTmp || privateDevices || privateProcesses || hidden.length > 0 || hasCredentials;
  const flags = [
    privateNetwork ? CLONE_NEWNET : 0,
    privateIpc ? CLONE_NEWIPC : 0,
    privateHostname ? CLONE_NEWUTS : 0,
    hasMounts ? CLONE_NEWNS : 0,
  ];
  return flags.reduce((all, flag) => all | flag, 0);
}

/** With what the files hold as a hash: what was read anew and is the same needs no new one. */
function keyOf({ name }: Service, { credentials, ...options }: SandboxOptions): string {
  const key = JSON.stringify([
    name,
    options,
    credentials && { ...credentials, files: credentials.files.map(({ name }) => name) },
  ]);
  if (credentials === undefined) return key;
  const hash = createHash('sha256');
  for (const { contents } of credentials.files) hash.update(`${contents.length} `).update(contents);
  return `${key} ${hash.digest('hex')}`;
}
