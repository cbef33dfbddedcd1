/**
 * Whether an identity can append to a file, which need not be there yet, and if not, why and what to do: what each child tries when
 * it opens its standard error, asked in advance.
 */
import { dirname } from 'node:path';
import type { Identity } from '../../service/service';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import { explainAbsent, explainClosed, firstClosedFolder, isShortage } from './access';
import type { Machine } from './machine';

/** null: it can. */
export function whyNotAppendable(path: string, identity: Identity | null, machine: Machine): Problem | null {
  const facts = machine.file(path);
  if (facts === 'ENOENT') return whyNotCreatable(path, identity, machine);
  if (typeof facts === 'string' && facts !== 'EACCES') return explainAbsent(path, facts);
  if (typeof facts !== 'string' && facts.kind === 'folder')
    return { message: `${path} is a folder`, remedy: 'name a file in it' };
  const error = machine.whyNotWritable(path, identity);
  return error === null ? null : explainUnwritable('write to', path, identity, machine, error);
}

function whyNotCreatable(path: string, identity: Identity | null, machine: Machine): Problem | null {
  const folder = dirname(path);
  const facts = machine.file(folder);
  if (facts === 'ENOENT')
    return { message: `the folder ${folder} does not exist`, remedy: `mkdir -p ${shellQuoted(folder)}` };
  if (typeof facts === 'string' && facts !== 'EACCES') return explainAbsent(folder, facts);
  const error = machine.whyNotExecutable(folder, identity) ?? machine.whyNotWritable(folder, identity);
  return error === null ? null : explainUnwritable('create', path, identity, machine, error);
}

function explainUnwritable(
  what: 'write to' | 'create',
  path: string,
  identity: Identity | null,
  machine: Machine,
  error: string,
): Problem {
  if (isShortage(error) || firstClosedFolder(path, identity, machine) !== undefined)
    return explainClosed(path, identity, machine, error);
  const who = identity === null ? 'stdiod' : `user ${identity.user}`;
  const message = `${who} may not ${what} ${path} (${error})`;
  return { message, remedy: error === 'EACCES' ? remedyFor(what, path, identity) : null };
}

function remedyFor(what: 'write to' | 'create', path: string, identity: Identity | null): string | null {
  if (identity === null) return 'choose a file in a folder of its own';
  const { user } = identity;
  return what === 'create'
    ? `install -o ${shellQuoted(user)} -m 640 /dev/null ${shellQuoted(path)}`
    : `chown ${shellQuoted(user)} ${shellQuoted(path)}`;
}
