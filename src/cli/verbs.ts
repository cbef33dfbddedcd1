/**
 * What each verb does. It returns the exit status.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { jsonSchema } from '../config/keys/json-schema';
import { loadConfigurationText } from '../config/load';
import { printConfiguration } from '../config/print';
import { PassedSockets } from '../listener/passed';
import { systemMachine } from '../machine/system-machine';
import { addon } from '../native/addon';
import { serve, type ServeOptions } from '../server/serve';
import type { Signals } from '../server/signals';
import { escapeTemplate } from '../service/template';
import type { Request } from './arguments';
import { loadOrTell, tellDiagnostics } from './configuration-file';
import { EXIT } from './exit';
import { writeError, writeOutput } from './terminal';
import { usage } from './usage';

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
  return 'exitCode' in loaded ? loaded.exitCode : EXIT.done;
}

export function printVerb({ file, json }: FileRequest): number {
  const loaded = loadOrTell(file, 'nothing to print', json, PassedSockets.fromEnvironment(process.env).list);
  if ('exitCode' in loaded) return loaded.exitCode;
  const { effective } = loaded.result;
  writeOutput(json ? `${JSON.stringify(effective, null, 2)}\n` : printConfiguration(effective));
  return EXIT.done;
}

/** What stands for a file in the diagnostics: there is none. */
const TRY_NAME = '<the command line>';

/** One service without a file; the YAML that it stands for goes to stdout, ready to be kept. */
export async function tryVerb({ listen, command, json }: RequestOf<'try'>, signals: Signals): Promise<number> {
  const passed = PassedSockets.fromEnvironment(process.env);
  const yaml = tryYaml(listen, command);
  const result = loadConfigurationText(yaml, join(process.cwd(), TRY_NAME), systemMachine(passed.list));
  if (!result.ok) {
    const diagnostics = result.diagnostics.map((diagnostic) => ({ ...diagnostic, file: TRY_NAME }));
    tellDiagnostics(diagnostics, TRY_NAME, 'nothing was started', json);
    return EXIT.badConfiguration;
  }
  writeOutput(yaml);
  return serveAndTell({ configuration: result.configuration, file: null, signals, passed, json });
}

/**
 * Programs of version managers and virtual environments are where the caller's PATH says, and so are those that they call. What
 * a program complains about is for its author.
 */
function tryYaml(listen: string, command: readonly string[]): string {
  const exec = command.map(escapeTemplate);
  const isPort = /^\d{1,5}$/.test(listen);
  const service = { listen: isPort ? Number(listen) : listen, exec, pass_env: ['PATH'], stderr: 'log' };
  const yaml = stringify({ services: { try: service } });
  const note = `# every address of this machine; for itself alone: 127.0.0.1:${listen}`;
  return isPort ? yaml.replace(/^ +listen: .*$/m, (line) => `${line} ${note}`) : yaml;
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
    writeError(`stdiod: there is no verb "${topic ?? ''}"; see "stdiod help"\n`);
    return EXIT.usage;
  }
  writeOutput(text);
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

/** From dist/src/cli. */
function packageVersion(): string {
  const text = readFileSync(join(__dirname, '../../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
