/**
 * What each verb does. It returns the exit status.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchema } from '../config/keys/json-schema';
import { printConfiguration } from '../config/print';
import { formatChooser } from '../log/choose';
import { formatJson } from '../log/format';
import { screenOfStderr } from '../log/screen';
import { UNCHECKED } from '../machine/without-addon';
import { AddonError, packageRoot } from '../native/load-addon';
import type { Signals } from '../server/signals';
import { isWhom, parseWhom } from '../service/access';
import type { PassedSocket } from '../service/listen-text';
import { nearestWord } from '../service/nearest';
import type { Configuration } from '../service/service';
import { VERBS, type FileRequest, type RequestOf } from './arguments';
import { loadOrTell, tellDiagnostics, tellWarnings } from './configuration-file';
import { EXIT } from './exit';
import { type Explanation, explain, formatExplanations, peerOf } from './explain';
import { verbRemedy } from './guesses';
import { isStderrTerminal, writeError, writeOutput } from './terminal';
import { usage } from './usage';
import { tellWrongUsage } from './wrong-usage';

export async function runVerb(request: RequestOf<'run'>, signals: Signals): Promise<number> {
  const serving = await compiledOrWhyNot(() => import('./serving.js'));
  return serving instanceof AddonError
    ? tellNotServed(serving, request.json)
    : serving.runVerb(request, packageVersion(), signals);
}

export async function tryVerb(request: RequestOf<'try'>, signals: Signals): Promise<number> {
  const serving = await compiledOrWhyNot(() => import('./serving.js'));
  return serving instanceof AddonError
    ? tellNotServed(serving, request.json)
    : serving.tryVerb(request, packageVersion(), signals);
}

export async function checkVerb({ file, json }: FileRequest): Promise<number> {
  const loaded = loadOrTell(file, 'not usable', json, await passedSockets());
  if ('exitCode' in loaded) return loaded.exitCode;
  tellWarnings(loaded.result.warnings, loaded.file, json);
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

export async function printVerb({ file, json }: FileRequest): Promise<number> {
  const loaded = loadOrTell(file, 'nothing to print', json, await passedSockets(), true);
  if ('exitCode' in loaded) return loaded.exitCode;
  const { effective, diagnostics } = loaded.result;
  tellDiagnostics(diagnostics, loaded.file, 'what needs that cannot be served here', false);
  writeOutput(json ? `${JSON.stringify(effective, null, 2)}\n` : printConfiguration(effective));
  return EXIT.done;
}

export async function explainVerb({ address, service, file, json }: RequestOf<'explain'>): Promise<number> {
  const loaded = loadOrTell(file, 'nothing to explain', json, await passedSockets(), true);
  if ('exitCode' in loaded) return loaded.exitCode;
  const whom = parseWhom(address);
  const peer = isWhom(whom) ? peerOf(whom, address) : null;
  const all = peer === null ? [] : explain(loaded.result.configuration, peer);
  const found = service === null ? all : all.filter((each) => each.service === service);
  if (service !== null && found.length === 0) return tellNoService(service, all, loaded.file, json);
  writeOutput(json ? `${JSON.stringify(found, null, 2)}\n` : formatExplanations(found));
  return EXIT.done;
}

function tellNoService(name: string, all: readonly Explanation[], file: string, json: boolean): number {
  const names = all.map(({ service }) => service);
  const near = nearestWord(name, names);
  const remedy = near === undefined ? `they are: ${names.slice(0, 20).join(', ')}` : `did you mean "${near}"?`;
  const wrong = { ok: false, message: `explain: there is no service "${name}" in ${file}`, remedy } as const;
  tellWrongUsage(wrong, json ? ['explain', '--json'] : ['explain']);
  return EXIT.usage;
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
  writeOutput(`${text}\nManual: ${join(packageRoot(), 'docs/command-line.md')}${topic === null ? '' : `#${topic}`}\n`);
  return EXIT.done;
}

/** Imports what needs the addon. */
async function compiledOrWhyNot<T>(importIt: () => Promise<T>): Promise<T | AddonError> {
  try {
    return await importIt();
  } catch (error) {
    if (error instanceof AddonError) return error;
    throw error;
  }
}

function tellNotServed({ message, remedy }: AddonError, json: boolean): number {
  const isJson = formatChooser(screenOfStderr(), json)('auto') === formatJson;
  const problem = { event: 'problem', file: '', line: 0, column: 0, path: '', message, remedy } as const;
  const events = [problem, { event: 'rejected', problems: 1 } as const];
  if (isJson) for (const event of events) writeError(formatJson(event, new Date()));
  else writeError(`stdiod: ${message}\nremedy: ${remedy}\n`);
  return EXIT.failed;
}

/** To know them takes the addon, and more than them: without it, what cannot be checked is told, and the rest is checked. */
async function passedSockets(): Promise<readonly PassedSocket[]> {
  const passed = await compiledOrWhyNot(() => import('../listener/passed.js'));
  if (!(passed instanceof AddonError)) return passed.PassedSockets.fromEnvironment(process.env).list;
  writeError(`stdiod: ${passed.message}\nso not checked: ${UNCHECKED}\nremedy: ${passed.remedy}\n`);
  return [];
}

function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
