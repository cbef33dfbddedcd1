/**
 * From a file to a configuration, or to everything that is wrong with it. The result is plain data: a reload loads in a thread
 * of its own.
 *
 * The stages have a folder each: the file's `text`, its `yaml` as data, its `keys` and their types; then, service by service,
 * names, programs and addresses (`resolve`), about which the `machine` is asked; last what lies `between` services. All of them
 * `report`. None stops at a problem; any problem of the text means no configuration.
 */
import { resolve } from 'node:path';
import type { Configuration, LogOptions } from '../service/service';
import { tellOwnPorts } from './between/own-ports';
import { check, withoutKeys } from './keys/check';
import { reporterFor } from './keys/layers';
import { frameSchema, includedFrameSchema } from './keys/schema';
import { askOnce } from './machine/ask-once';
import type { Machine } from './machine/machine';
import { whyNotTrusted } from './machine/trusted';
import type { Diagnostic } from './report/diagnostic';
import { formatPath } from './report/path';
import { type Problem, Problems } from './report/problems';
import { Source } from './report/source';
import type { EffectiveConfiguration } from './resolve/effective';
import { type Read, readServices } from './services';
import { foreignFile } from './text/foreign-file';
import { findIncluded } from './text/include';
import { readSource } from './text/read';
import { parseDocument } from './yaml/document';
import { type Data, type Tree, buildTree, isData } from './yaml/tree';

export type LoadResult = Loaded | Refused;

export interface Refused {
  readonly ok: false;
  readonly diagnostics: readonly Diagnostic[];
  /** What it says of the log, where that much can be read. */
  readonly log?: LogOptions;
}

/** What the files say is right. What this machine lacks for it concerns only the services that need it. */
export interface Loaded {
  readonly ok: true;
  readonly configuration: Configuration;
  readonly effective: EffectiveConfiguration;
  /** What this machine lacks for any of the services. */
  readonly diagnostics: readonly Diagnostic[];
  /** What is odd and not wrong: it is served all the same. */
  readonly warnings: readonly Diagnostic[];
  /** What was read, the main file first. */
  readonly texts: readonly SourceText[];
}

export interface SourceText {
  /** Its absolute path. */
  readonly file: string;
  readonly text: string;
}

/** Relative paths in the file start from the folder that it is in. */
export function loadConfiguration(file: string, asked: Machine): LoadResult {
  const problems = new Problems();
  const machine = askOnce(asked);
  reportOpenMemory(file, machine, problems);
  return load(readTrusted(file, 0, machine, problems), machine, problems);
}

/** For a configuration that is not in a file. `file` is what messages call it, and relative paths start beside it. */
export function loadConfigurationText(text: string, file: string, asked: Machine): LoadResult {
  const problems = new Problems();
  const machine = askOnce(asked);
  reportOpenMemory(file, machine, problems);
  return load(new Source(file, text.replace(/^\ufeff/, ''), 0), machine, problems);
}

/** What was read once, on a machine that may have changed since. No file is read. */
export function loadAgain(texts: readonly SourceText[], asked: Machine): LoadResult {
  const problems = new Problems();
  const machine = askOnce(asked);
  const [source, ...others] = texts.map(({ file, text }, order) => new Source(file, text, order));
  return loadWith(source, () => others, machine, problems);
}

function load(source: Source | undefined, machine: Machine, problems: Problems): LoadResult {
  return loadWith(source, (main, frame) => readIncluded(main, frame, machine, problems), machine, problems);
}

function loadWith(
  source: Source | undefined,
  includedOf: (main: Tree, frame: Data) => readonly Source[],
  machine: Machine,
  problems: Problems,
): LoadResult {
  const main = source && readTree(source, problems);
  if (main === undefined) return { ok: false, diagnostics: problems.diagnostics() };
  const frame = checkFrame(main, problems);
  const trees = [main, ...includedOf(main, frame).flatMap((included) => readIncludedTree(included, problems))];
  const warnings = new Problems();
  const { limits } = frameSchema.parse(frame);
  const services = readServices(trees, limits.max_connections, machine, problems, warnings);
  for (const tree of trees) reportOddNumbers(tree, problems);
  const isSound = problems.isEmpty;
  for (const { lacks, unbindable } of services) for (const each of [lacks, unbindable]) problems.addAll(each);
  const diagnostics = problems.diagnostics();
  if (!isSound) return { ok: false, diagnostics, log: frameSchema.parse(frame).log };
  const texts = trees.map(({ source: { file, text } }) => ({ file: resolve(file), text }));
  return { ok: true, ...assemble(frame, services), diagnostics, warnings: warnings.diagnostics(), texts };
}

function readTrusted(file: string, order: number, machine: Machine, problems: Problems): Source | undefined {
  const source = readSource(file, file, order, problems);
  const problem = source && whyNotTrusted(file, machine);
  if (source !== undefined && problem) problems.report({ source, offset: null, path: '' }, problem);
  return source;
}

/** A child shares our memory until its exec, and the kernel opens that to the child's new user (proc(5)). */
function reportOpenMemory(file: string, { uid, suidDumpable }: Machine, problems: Problems): void {
  if (uid !== 0 || suidDumpable !== 1) return;
  const message =
    'fs.suid_dumpable is 1: while a child changes its user, that user may read and write the memory of stdiod';
  problems.report(
    { source: new Source(file, '', 0), offset: null, path: '' },
    { message, remedy: 'sysctl fs.suid_dumpable=0' },
  );
}

function assemble(frame: Data, services: readonly Read[]): Pick<Loaded, 'configuration' | 'effective'> {
  const { limits, log } = frameSchema.parse(frame);
  const configuration: Configuration = {
    services: tellOwnPorts(services),
    lacks: services.flatMap(({ service: { name }, lacks }) => (lacks.isEmpty ? [] : [{ name, reason: lacks.summary }])),
    limits: { maxConnections: limits.max_connections },
    log,
  };
  const described = Object.fromEntries(services.map(({ service, effective }) => [service.name, effective]));
  return { configuration, effective: { limits, log, services: described } };
}

function readTree(source: Source, problems: Problems): Tree | undefined {
  const foreign = foreignFile(source.text);
  if (foreign !== undefined) {
    problems.report({ source, offset: foreign.offset, path: '' }, foreign.problem);
    return undefined;
  }
  const document = parseDocument(source, problems);
  if (document === undefined) return undefined;
  const tree = buildTree(document, source, problems);
  if (isData(tree.root)) return tree;
  const remedy = 'begin with "services:", and below it each service by its name';
  problems.report({ source, offset: 0, path: '' }, { message: 'the file is not a map of keys and values', remedy });
  return undefined;
}

/** The keys at the top of the main file that are right. */
function checkFrame(main: Tree, problems: Problems): Data {
  const root = main.root as Data;
  const { badKeys, meantKeys } = check(frameSchema, root, 'top', reporterFor(main, [], problems));
  if (!['services', 'include'].some((key) => Object.hasOwn(root, key) || meantKeys.has(key))) {
    const remedy = 'add "services:", and below it each service by its name';
    problems.report({ source: main.source, offset: 0, path: '' }, { message: 'there are no services', remedy });
  }
  return withoutKeys(root, badKeys);
}

function readIncluded(main: Tree, frame: Data, machine: Machine, problems: Problems): Source[] {
  const files = [...new Set(includePatterns(frame, main, problems))];
  const sources: Source[] = [];
  let length = main.source.text.length;
  for (const [index, file] of files.entries()) {
    if (problems.isFull) break;
    const source = readTrusted(file, index + 1, machine, problems);
    length += source?.text.length ?? 0;
    if (length > MOST_TEXT) {
      reporterFor(main, [], problems).reportKey(['include'], TOO_LARGE, ['include']);
      break;
    }
    if (source !== undefined) sources.push(source);
  }
  return sources;
}

/** Characters of all files together. */
const MOST_TEXT = 32 * 1024 * 1024;

const TOO_LARGE: Problem = {
  message: 'all files together are larger than 32 MiB',
  remedy: 'include fewer, or put what services share in "defaults"',
};

/** None: its text is no map of keys. */
function readIncludedTree(source: Source, problems: Problems): Tree[] {
  const tree = readTree(source, problems);
  if (tree === undefined) return [];
  check(includedFrameSchema, tree.root as Data, 'included', reporterFor(tree, [], problems));
  return [tree];
}

function includePatterns(frame: Data, main: Tree, problems: Problems): string[] {
  const { include } = frameSchema.parse(frame);
  const isList = Array.isArray(include);
  return (isList ? include : [include]).flatMap((pattern, index) => {
    const found = findIncluded(pattern, main.source.file);
    if (Array.isArray(found)) return found;
    reporterFor(main, [], problems).report(isList ? ['include', index] : ['include'], found);
    return [];
  });
}

/** Where a number is wanted, `080` and `0x50` are taken by some YAML readers for one number and by some for another. */
function reportOddNumbers(tree: Tree, problems: Problems): void {
  for (const { path, place, value } of tree.oddNumbers) {
    if (problems.isReportedAt(tree.source, place.start)) continue;
    const written = tree.textAt(place);
    const message = `${written.slice(0, 60)} is not a plain decimal number: YAML versions read it differently`;
    problems.report(
      { source: tree.source, offset: place.start, path: formatPath(path) },
      { message, remedy: `write ${value}` },
    );
  }
}
