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
  report(path: Path, problem: Problem): void;
  reportKey(path: Path, problem: Problem, about?: Path): void;
  /** An alias or a tag that is refused leaves no value: what the value should have been need not be said. */
  isReported(path: Path): boolean;
  written(path: Path): string;
}

export interface Checked {
  /** Keys of the map whose value is wrong, or that we do not know. */
  readonly badKeys: ReadonlySet<string>;
}

export function check(schema: z.ZodObject, data: Data, kind: MapKind, reporter: Reporter): Checked {
  const { error } = schema.safeParse(data);
  const badKeys = new Set<string>();
  for (const issue of error?.issues ?? []) {
    const keys = issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys : [String(issue.path[0])];
    for (const key of keys) badKeys.add(key);
    reportIssue(issue, schema, data, kind, reporter);
  }
  return { badKeys };
}

export function withoutKeys(data: Data, keys: ReadonlySet<string>): Data {
  const entries = Object.entries(data).filter(([key]) => !keys.has(key));
  return Object.assign(Object.create(null), Object.fromEntries(entries)) as Data;
}

function reportIssue(issue: Issue, schema: z.ZodObject, data: Data, kind: MapKind, reporter: Reporter): void {
  if (issue.code === 'unrecognized_keys') {
    reportUnknownKeys(issue.keys, issue.path as Path, schema, kind, reporter);
    return;
  }
  for (const finding of findingsOf(issue)) {
    const { path, issue: inner } = finding;
    if (inner.code === 'unrecognized_keys') reportUnknownKeys(inner.keys, path, schema, kind, reporter);
    else reportFinding(finding, schema, valueAt(data, path), reporter);
  }
}

function reportFinding(finding: Finding, schema: z.ZodObject, value: unknown, reporter: Reporter): void {
  const { path, issue } = finding;
  if (reporter.isReported(path)) return;
  const problem = explainFinding(finding, value, reporter.written(path), remedyAt(schema, path, value));
  if (issue.code === 'invalid_key') reporter.reportKey(path, problem);
  else reporter.report(path, problem);
}

function reportUnknownKeys(
  keys: readonly string[],
  path: Path,
  schema: z.ZodObject,
  kind: MapKind,
  reporter: Reporter,
): void {
  const known = keysAt(schema, path);
  for (const key of keys) {
    const problem = explainUnknownKey(key, path.length === 0 ? kind : 'other', known);
    reporter.reportKey([...path, key], problem);
  }
}

/** The keys that the map at the path may have. */
function keysAt(schema: z.ZodObject, path: Path): string[] {
  const inner = unwrapped(schemaAt(schema, path)).at(-1);
  const options = inner instanceof z.ZodUnion ? inner.options : [inner];
  return options.flatMap((option) => (option instanceof z.ZodObject ? Object.keys(option.shape) : []));
}
