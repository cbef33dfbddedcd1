/**
 * Whether a map of a file is what the schema says, each problem reported at its place.
 */
import { z } from 'zod';
import { type Path, valueAt } from '../report/path';
import type { Problem } from '../report/problems';
import type { Data } from '../yaml/tree';
import { type Finding, type Issue, explainFinding, findingsOf } from './explain';
import { remedyAt } from './remedies';
import { schemaAt, unwrapped } from './schema-at';
import { type MapKind, explainUnknownKey } from './unknown-key';

/** Who knows the places of the map's values: the layers of a service, or one file. */
export interface Reporter {
  /** More problems than are told: nobody needs to look for more. */
  readonly isFull: boolean;
  report(path: Path, problem: Problem): void;
  reportKey(path: Path, problem: Problem, about?: Path): void;
  /** An alias or a tag that is refused leaves no value: what the value should have been need not be said. */
  isReported(path: Path): boolean;
  written(path: Path): string;
}

export interface Checked {
  /** Keys of the map whose value is wrong, or that we do not know. */
  readonly badKeys: ReadonlySet<string>;
  /** Keys of ours that unknown ones of the map were meant to be. */
  readonly meantKeys: ReadonlySet<string>;
}

export function check(schema: z.ZodObject, data: Data, kind: MapKind, reporter: Reporter): Checked {
  const { error } = schema.safeParse(data);
  const badKeys = new Set<string>();
  const meantKeys = new Set<string>();
  for (const issue of error?.issues ?? []) {
    const isUnknown = issue.code === 'unrecognized_keys' && issue.path.length === 0;
    for (const key of isUnknown ? issue.keys : [String(issue.path[0])]) badKeys.add(key);
    if (reporter.isFull) continue;
    for (const meant of reportIssue(issue, schema, data, kind, reporter)) if (isUnknown) meantKeys.add(meant);
  }
  return { badKeys, meantKeys };
}

export function withoutKeys(data: Data, keys: ReadonlySet<string>): Data {
  const entries = Object.entries(data).filter(([key]) => !keys.has(key));
  return Object.assign(Object.create(null), Object.fromEntries(entries)) as Data;
}

/** @returns the keys that unknown ones were meant to be */
function reportIssue(issue: Issue, schema: z.ZodObject, data: Data, kind: MapKind, reporter: Reporter): string[] {
  if (issue.code === 'unrecognized_keys') {
    return reportUnknownKeys(issue.keys, issue.path as Path, schema, kind, reporter);
  }
  for (const finding of findingsOf(issue)) {
    const { path, issue: inner } = finding;
    if (inner.code === 'unrecognized_keys') reportUnknownKeys(inner.keys, path, schema, kind, reporter);
    else reportFinding(finding, schema, valueAt(data, path), reporter);
  }
  return [];
}

function reportFinding(finding: Finding, schema: z.ZodObject, value: unknown, reporter: Reporter): void {
  const { path, issue } = finding;
  if (reporter.isReported(path)) return;
  const written = reporter.written(path);
  const problem = explainFinding(finding, value, written, remedyAt(schema, path, value, written));
  if (issue.code === 'invalid_key') reporter.reportKey(path, problem);
  else reporter.report(path, problem);
}

function reportUnknownKeys(
  keys: readonly string[],
  path: Path,
  schema: z.ZodObject,
  kind: MapKind,
  reporter: Reporter,
): string[] {
  const known = keysAt(schema, path);
  return keys.flatMap((key) => {
    if (reporter.isFull) return [];
    const { message, remedy, meant } = explainUnknownKey(key, kindAt(path, kind), known);
    reporter.reportKey([...path, key], { message, remedy });
    return meant ?? [];
  });
}

function kindAt(path: Path, kind: MapKind): MapKind {
  if (path.length === 0) return kind;
  return kind === 'top' && path[0] === 'log' ? 'log' : 'other';
}

/** The keys that the map at the path may have. */
function keysAt(schema: z.ZodObject, path: Path): string[] {
  const inner = unwrapped(schemaAt(schema, path)).at(-1);
  const options = inner instanceof z.ZodUnion ? inner.options : [inner];
  return options.flatMap((option) => (option instanceof z.ZodObject ? Object.keys(option.shape) : []));
}
