/**
 * The verbs that serve. Importing this file needs the addon, which is why it is on its own: verbs.ts imports it when it is asked for.
 */
import { join, resolve } from 'node:path';
import { Document, isScalar } from 'yaml';
import { loadConfigurationText } from '../config/load';
import { PassedSockets } from '../listener/passed';
import { systemMachine } from '../machine/system-machine';
import { addon } from '../native/addon';
import { serve, type ServeOptions } from '../server/serve';
import type { Signals } from '../server/signals';
import { formatHostPort } from '../service/address';
import type { Configuration } from '../service/service';
import { escapeTemplate } from '../service/template';
import type { FileRequest, RequestOf } from './arguments';
import { loadOrTell, tellDiagnostics } from './configuration-file';
import { EXIT } from './exit';
import { writeError, writeOutput } from './terminal';
import { COMMAND_LINE } from './wrong-usage';

export async function runVerb({ file, json }: FileRequest, signals: Signals): Promise<number> {
  const passed = PassedSockets.fromEnvironment(process.env);
  const loaded = loadOrTell(file, 'nothing was started', json, passed.list);
  if ('exitCode' in loaded) return loaded.exitCode;
  return serveAndTell({
    configuration: loaded.result.configuration,
    file: resolve(loaded.file),
    signals,
    passed,
    json,
  });
}

/** One service without a file; the YAML that it stands for goes to stdout, ready to be kept. */
export async function tryVerb({ listen, command, json }: RequestOf<'try'>, signals: Signals): Promise<number> {
  const passed = PassedSockets.fromEnvironment(process.env);
  const yaml = tryYaml(listen, command, null);
  const result = loadConfigurationText(yaml, join(process.cwd(), COMMAND_LINE), systemMachine(passed.list));
  if (!result.ok || result.diagnostics.length > 0) {
    const diagnostics = result.diagnostics.map((diagnostic) => ({ ...diagnostic, file: COMMAND_LINE }));
    tellDiagnostics(diagnostics, COMMAND_LINE, 'nothing was started', json);
    return EXIT.badConfiguration;
  }
  writeOutput(tryYaml(listen, command, whoReaches(result.configuration)));
  return serveAndTell({ configuration: result.configuration, file: null, signals, passed, json });
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

async function serveAndTell(options: ServeOptions): Promise<number> {
  const served = await serve(options);
  if (served.isOpen) return addon.leave(served.isClean ? EXIT.done : EXIT.failed);
  for (const failure of served.failures) writeError(`stdiod: ${failure}\n`);
  const count = served.failures.length;
  writeError(`stdiod: ${count} of the addresses cannot be used, nothing was started\n`);
  return EXIT.failed;
}
