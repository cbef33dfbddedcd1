/**
 * What a service's own walls would keep its program from: the program itself, or the folder where it starts. It would find neither, and
 * every client would be dropped.
 */
import type { Exec, Process } from '../../service/service';
import { hasPlaceholders, unescapeTemplate } from '../../service/template';
import type { Sandbox } from '../../service/sandbox';
import type { Layers } from '../keys/layers';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';

/** What `private_tmp` puts its own in the place of. */
const TEMPORARY = ['/tmp', '/var/tmp'];

export function reportOutOfReach({ command, process }: Pick<Exec, 'command' | 'process'>, layers: Layers): void {
  const { sandbox } = process;
  reportProgramOutOfReach(command.path, sandbox, layers, ['exec']);
  const folder = folderOf(process);
  const start = folder === null ? null : whyHidden(folder, sandbox);
  if (start !== null) layers.onMachine.report(['directory'], start);
}

/** @param at where its command is written */
export function reportProgramOutOfReach(path: string, sandbox: Sandbox, layers: Layers, at: Path): void {
  const program = whyHidden(path, sandbox) ?? whyUnread(path, sandbox);
  if (program !== null) layers.onMachine.report(at, program);
}

/** null: the program finds it. */
export function whyHidden(path: string, { privateTmp, hidden }: Sandbox): Problem | null {
  const temporary = privateTmp ? TEMPORARY.find((folder) => isWithin(path, folder)) : undefined;
  if (temporary !== undefined) {
    const message = `${path} lies in ${temporary}, in whose place the program finds one of its own`;
    return { message, remedy: 'put it elsewhere, or write "private_tmp: false"' };
  }
  const closed = hidden.find((each) => isWithin(path, each));
  if (closed === undefined) return null;
  return {
    message: `${path} is hidden from the program`,
    remedy: `put it elsewhere, or write "hidden" without ${closed}`,
  };
}

function whyUnread(path: string, { files }: Sandbox): Problem | null {
  if (files === null || [...files.readOnly, ...files.readWrite].some((each) => isWithin(path, each))) return null;
  const message = `${path} is nothing that the program may read`;
  return { message, remedy: 'name its folder, and those of its libraries, in "read_only"' };
}

/** null: it is known when a client comes. */
function folderOf({ directory }: Process): string | null {
  return hasPlaceholders(directory) ? null : unescapeTemplate(directory);
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
