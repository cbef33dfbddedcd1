/**
 * The verbs that serve. Importing this file needs the addon, which is why it is on its own: verbs.ts imports it when it is asked for.
 */
import { join, resolve } from 'node:path';
import { Document, isScalar } from 'yaml';
import { loadConfiguration, loadConfigurationText, type LoadResult } from '../config/load';
import { PassedSockets } from '../listener/passed';
import { systemMachine } from '../machine/system-machine';
import { addon } from '../native/addon';
import { serve, type ServeOptions } from '../server/serve';
import type { Signals } from '../server/signals';
import { formatHostPort } from '../service/address';
import type { Configuration } from '../service/service';
import { escapeTemplate } from '../service/template';
import type { RequestOf } from './arguments';
import { findConfiguration, NO_CONFIGURATION } from './configuration-file';
import { EXIT } from './exit';
import { tellFailedStart } from './failed-start';
import { writeOutput } from './terminal';
import { COMMAND_LINE } from './wrong-usage';

/** What the machine lacks stops only the services that need it, unless that leaves none, or `--strict` was asked for. */
export async function runVerb(request: RequestOf<'run'>, version: string, signals: Signals): Promise<number> {
  const { json, strict } = request;
  const passed = PassedSockets.fromEnvironment(process.env);
  const file = findConfiguration(request.file);
  const result = file === null ? NO_CONFIGURATION : loadConfiguration(file, systemMachine(passed.list));
  const isUsable = result.ok && (!strict || result.diagnostics.length === 0);
  if (!isUsable) return tellFailedStart(result, { file, json });
  const need = strict ? 'all' : 'any';
  return serveAndTell(result, { file: resolve(file ?? ''), signals, passed, json, need, version }, file);
}

/** One service without a file; the YAML that it stands for goes to stdout, ready to be kept. */
export async function tryVerb(request: RequestOf<'try'>, version: string, signals: Signals): Promise<number> {
  const { listen, command, json } = request;
  const passed = PassedSockets.fromEnvironment(process.env);
  const yaml = tryYaml(listen, command, null);
  const result = loadConfigurationText(yaml, join(process.cwd(), COMMAND_LINE), systemMachine(passed.list));
  if (!result.ok || result.diagnostics.length > 0) {
    const diagnostics = result.diagnostics.map((diagnostic) => ({ ...diagnostic, file: COMMAND_LINE }));
    return tellFailedStart({ ...result, diagnostics }, { file: COMMAND_LINE, json });
  }
  writeOutput(tryYaml(listen, command, whoReaches(result.configuration)));
  return serveAndTell(result, { file: null, signals, passed, json, need: 'all', version }, COMMAND_LINE);
}

/**
 * Programs of version managers and virtual environments are where the caller's PATH says, and so are those that they call. What
 * a program complains about is for its author.
 * @param comment behind the address; null: none
 */
function tryYaml(listen: string, command: readonly string[], comment: string | null): string {
  const address = String(Number(listen)) === listen ? Number(listen) : listen;
  const exec = command.map(escapeTemplate);
  const document = new Document({ services: { try: { listen: address, exec, pass_env: ['PATH'], stderr: 'log' } } });
  const node = document.getIn(['services', 'try', 'listen'], true);
  if (isScalar(node) && comment !== null) node.comment = comment;
  return document.toString();
}

/** A port alone is open to more people than whoever types it may think. */
function whoReaches({ services }: Configuration): string | null {
  const sockets = services.flatMap(({ listen }) => listen.flatMap((address) => address.sockets));
  const open = sockets.find((socket) => 'address' in socket && ['0.0.0.0', '::'].includes(socket.address));
  if (open === undefined || !('port' in open)) return null;
  return ` on every address of this machine; ${formatHostPort('127.0.0.1', open.port)} is for this machine alone`;
}

/** @param file what messages call it */
async function serveAndTell(
  loaded: LoadResult & { ok: true },
  options: Omit<ServeOptions, 'configuration' | 'texts' | 'warnings'>,
  file: string | null,
): Promise<number> {
  const served = await serve({ ...loaded, ...options });
  if (served.isOpen) return addon.leave(served.isClean ? EXIT.done : EXIT.failed);
  tellFailedStart(loaded, { file, json: options.json }, served);
  return EXIT.failed;
}
