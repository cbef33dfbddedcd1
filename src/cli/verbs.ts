/**
 * What each verb does. It returns the exit status.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Document, isScalar } from 'yaml';
import { jsonSchema } from '../config/keys/json-schema';
import { loadConfigurationText } from '../config/load';
import { printConfiguration } from '../config/print';
import { PassedSockets } from '../listener/passed';
import { systemMachine } from '../machine/system-machine';
import { addon } from '../native/addon';
import { serve, type ServeOptions } from '../server/serve';
import type { Signals } from '../server/signals';
import { escapeTemplate } from '../service/template';
import { formatHostPort } from '../service/address';
import type { Configuration } from '../service/service';
import { VERBS, type Request } from './arguments';
import { loadOrTell, tellDiagnostics } from './configuration-file';
import { EXIT } from './exit';
import { verbRemedy } from './guesses';
import { isStderrTerminal, writeError, writeOutput } from './terminal';
import { usage } from './usage';
import { COMMAND_LINE } from './wrong-usage';

type RequestOf<V extends Request['verb']> = Extract<Request, { verb: V }>;
interface FileRequest {
  readonly file: string | null;
  readonly json: boolean;
}

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

export function checkVerb({ file, json }: FileRequest): number {
  const loaded = loadOrTell(file, 'not usable', json, PassedSockets.fromEnvironment(process.env).list);
  if ('exitCode' in loaded) return loaded.exitCode;
  // Silence does not tell which of several files was read; a script has its exit status.
  if (isStderrTerminal() && !json) writeError(`${loaded.file}: ${summary(loaded.result.configuration)}, ok\n`);
  return EXIT.done;
}

/** `9 services, 12 addresses`. */
function summary({ services }: Configuration): string {
  const enabled = services.filter((service) => service.enabled);
  const off = services.length - enabled.length;
  const addresses = enabled.flatMap(({ listen }) => listen).length;
  return `${count(enabled.length, 'service')}${off > 0 ? ` (and ${off} not enabled)` : ''}, ${count(addresses, 'address')}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : what.endsWith('s') ? 'es' : 's'}`;
}

export function printVerb({ file, json }: FileRequest): number {
  const loaded = loadOrTell(file, 'nothing to print', json, PassedSockets.fromEnvironment(process.env).list);
  if ('exitCode' in loaded) return loaded.exitCode;
  const { effective } = loaded.result;
  writeOutput(json ? `${JSON.stringify(effective, null, 2)}\n` : printConfiguration(effective));
  return EXIT.done;
}

/** One service without a file; the YAML that it stands for goes to stdout, ready to be kept. */
export async function tryVerb({ listen, command, json }: RequestOf<'try'>, signals: Signals): Promise<number> {
  const passed = PassedSockets.fromEnvironment(process.env);
  const yaml = tryYaml(listen, command, null);
  const result = loadConfigurationText(yaml, join(process.cwd(), COMMAND_LINE), systemMachine(passed.list));
  if (!result.ok) {
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

export function schemaVerb(): number {
  writeOutput(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return EXIT.done;
}

export function versionVerb({ json }: { readonly json: boolean }): number {
  const versions = {
    stdiod: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  writeOutput(json ? `${JSON.stringify(versions)}\n` : `stdiod ${versions.stdiod}\n`);
  return EXIT.done;
}

export function helpVerb({ topic }: { readonly topic: string | null }): number {
  const text = usage(topic);
  if (text === null) {
    writeError(`stdiod: there is no verb "${topic ?? ''}"\nremedy: ${verbRemedy(topic ?? '', [], VERBS)}\n`);
    return EXIT.usage;
  }
  writeOutput(
    `${text}\nManual: ${join(packageFolder(), 'docs/command-line.md')}${topic === null ? '' : `#${topic}`}\n`,
  );
  return EXIT.done;
}

async function serveAndTell(options: ServeOptions): Promise<number> {
  const served = await serve(options);
  if (served.isOpen) return addon.leave(served.isClean ? EXIT.done : EXIT.failed);
  for (const failure of served.failures) writeError(`stdiod: ${failure}\n`);
  const count = served.failures.length;
  writeError(`stdiod: ${count} of the addresses cannot be used, nothing was started\n`);
  return EXIT.failed;
}

function packageVersion(): string {
  const text = readFileSync(join(packageFolder(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** From dist/src/cli. */
function packageFolder(): string {
  return join(__dirname, '../../..');
}
