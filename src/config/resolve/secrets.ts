/**
 * The secrets of a service: read when the file is loaded, and whether stdiod can give them to its children and to nobody else.
 */
import { resolve as resolvePath } from 'node:path';
import { CREDENTIALS_MOUNT, MOST_CREDENTIAL_BYTES, type Credential, type Credentials } from '../../service/credentials';
import type { Sandbox } from '../../service/sandbox';
import type { Identity } from '../../service/service';
import type { Layers } from '../keys/layers';
import type { ServiceSettings } from '../keys/schema';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import { whyNotForOthers } from '../machine/trusted';
import type { Problem } from '../report/problems';
import type { Shape } from './conflicts';

/** What a service starts as. */
interface Owner {
  readonly identity: Identity | null;
  readonly sandbox: Sandbox;
}

export function resolveCredentials(
  { credentials }: ServiceSettings,
  { run }: Shape,
  { identity, sandbox }: Owner,
  machine: Machine,
  layers: Layers,
): Credentials | null {
  const written = Object.entries(credentials);
  // `defaults` may say it for all: programs of our own have no use for it.
  if (written.length === 0 || run !== 'exec') return null;
  const place = machine.hasCapability('CAP_SYS_ADMIN') ? 'mount' : 'folder';
  if (place === 'folder') reportUnprivileged(identity, machine, layers);
  else reportHidden(sandbox, layers);
  const files = readAll(written, machine, layers);
  return { place, uid: identity?.uid ?? machine.uid, gid: identity?.gid ?? machine.gid, files };
}

/** A place of one's own in the tree of files is root's to make. */
function reportUnprivileged(identity: Identity | null, machine: Machine, layers: Layers): void {
  if (identity === null || identity.uid === machine.uid) return;
  layers.onMachine.report(['credentials'], {
    message: 'stdiod lacks CAP_SYS_ADMIN, which this takes for another user than its own',
    remedy: 'run stdiod as root, or with that capability',
  });
}

function reportHidden({ hidden }: Sandbox, layers: Layers): void {
  const cover = hidden.find((each) => isWithin(CREDENTIALS_MOUNT, each));
  if (cover === undefined) return;
  const message = `the program would not see them: they are in ${CREDENTIALS_MOUNT}, and ${cover} is hidden from it`;
  layers.report(['credentials'], { message, remedy: `take ${cover} from "hidden"` });
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

function readAll(written: readonly (readonly [string, string])[], machine: Machine, layers: Layers): Credential[] {
  let leftBytes = MOST_CREDENTIAL_BYTES;
  return written.flatMap(([name, path]) => {
    const file = resolvePath(layers.folderOf(['credentials', name]), path);
    const contents = whyNotForOthers(file, machine) ?? readOne(file, leftBytes, machine);
    if (Buffer.isBuffer(contents)) {
      leftBytes -= contents.length;
      return [{ name, contents: contents.toString('base64') }];
    }
    layers.onMachine.report(['credentials', name], contents);
    return [];
  });
}

function readOne(file: string, mostBytes: number, machine: Machine): Buffer | Problem {
  const facts = machine.file(file);
  if (typeof facts === 'string') return explainAbsent(file, facts);
  if (facts.kind !== 'file') return { message: `${file} is no file`, remedy: 'name a file' };
  const contents = machine.contents(file, mostBytes + 1);
  if (typeof contents === 'string') return { message: `stdiod cannot read ${file}: ${contents}`, remedy: null };
  if (contents.length <= mostBytes) return contents;
  const message = `with ${file} they are more than ${MOST_CREDENTIAL_BYTES} bytes, the most that a service has in all`;
  return { message, remedy: 'leave what is no secret in a file' };
}
