/**
 * From an issue of the schema to a sentence for the operator. Pure.
 */
import type { z } from 'zod';
import { nearestWord } from '../../service/nearest';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import { FILE_KIND } from './values';

export type Issue = z.core.$ZodIssue;

/** One thing that is wrong with the value at a path. */
export interface Finding {
  readonly path: Path;
  readonly issue: Issue;
  /** The kinds of value that would do, when the kind is what is wrong. */
  readonly expected: readonly string[];
}

/** Of a union's branches the one that the value was meant for; without one, all kinds of value that would do. */
export function findingsOf(issue: Issue, base: Path = []): Finding[] {
  const path = [...base, ...(issue.path as Path)];
  if (issue.code !== 'invalid_union') return [{ path, issue, expected: kindsOf(issue) }];
  const meant = issue.errors.find((branch) => !branch.some(isWrongKind));
  if (meant !== undefined) return meant.flatMap((inner) => findingsOf(inner, path));
  return [{ path, issue, expected: [...new Set(issue.errors.flat().flatMap(kindsOf))] }];
}

/**
 * @param value what stands at the finding's path
 * @param written the same as the file writes it; empty when nothing is there
 * @param remedy what the schema itself says to write there
 */
export function explainFinding(
  { issue, expected }: Finding,
  value: unknown,
  written: string,
  remedy: string | null,
): Problem {
  if (expected.length > 0) return explainKind(expected, value, written, remedy);
  if (issue.code === 'invalid_key') return { message: issue.issues[0]?.message ?? issue.message, remedy: null };
  if (issue.code === 'too_big' || issue.code === 'too_small') return explainBound(issue, value);
  return { message: complete(issue.message, value), remedy };
}

/** A wrong kind of value, as opposed to the right kind with a wrong value. */
function isWrongKind(issue: Issue): boolean {
  return issue.path.length === 0 && kindsOf(issue).length > 0;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a whole number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'null',
};

function kindsOf(issue: Issue): string[] {
  if (issue.code === 'invalid_type') return [KINDS[issue.expected] ?? issue.expected];
  if (issue.code === 'invalid_value') return issue.values.map(String);
  if (issue.code === 'invalid_format' && issue.message === FILE_KIND) return [FILE_KIND];
  if (issue.code === 'invalid_union') return issue.errors.flat().flatMap(kindsOf);
  return [];
}

function explainKind(expected: readonly string[], value: unknown, written: string, remedy: string | null): Problem {
  const message = `expected ${joinWords([...new Set(expected)])}, got ${written === '' ? 'nothing' : describe(value)}`;
  const nearest =
    typeof value === 'string'
      ? nearestWord(
          value,
          expected.filter((kind) => !kind.includes(' ')),
        )
      : undefined;
  if (nearest !== undefined) return { message: `${message}; did you mean "${nearest}"?`, remedy: null };
  return { message, remedy: remedy ?? remedyForKind(expected, value, written) };
}

function remedyForKind(expected: readonly string[], value: unknown, written: string): string | null {
  if (written === '') return 'write a value after the colon, or remove the key';
  if (expected.includes('a string') && isPlainScalar(value)) return `quote it: ${JSON.stringify(written)}`;
  if (typeof value === 'string') return remedyForText(expected, value);
  if (expected.includes('a list') && isPlainScalar(value)) return `write [${written}]`;
  return null;
}

function remedyForText(expected: readonly string[], value: string): string | null {
  if (expected.includes('true or false')) {
    if (/^(yes|on|y|true)$/i.test(value)) return 'write true';
    if (/^(no|off|n|false)$/i.test(value)) return 'write false';
  }
  if (expected.includes('a whole number') && /^\d+$/.test(value)) return `write ${Number(value)} without quotes`;
  if (expected.includes('a list')) return `write [${value.slice(0, 60)}]`;
  return null;
}

function isPlainScalar(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || value === null;
}

type Bound = Extract<Issue, { code: 'too_big' | 'too_small' }>;

function explainBound(issue: Bound, value: unknown): Problem {
  const isLow = issue.code === 'too_small';
  if (issue.message.startsWith('port ')) return { message: issue.message, remedy: null };
  if (issue.origin === 'array') return { message: isLow ? 'the list is empty' : 'the list is too long', remedy: null };
  if (Math.abs(Number(isLow ? issue.minimum : issue.maximum)) === Number.MAX_SAFE_INTEGER) {
    return { message: `the number is too ${isLow ? 'small' : 'large'}`, remedy: null };
  }
  const bound = isLow ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
  return { message: `must be ${bound}, got ${describe(value).replace('the number ', '')}`, remedy: null };
}

/** The schema's own messages: "not a duration" wants the value before it, "must not be empty" stands alone. */
function complete(message: string, value: unknown): string {
  return /^(not|longer|shorter|larger) /.test(message) ? `${describe(value)} is ${message}` : message;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'a map';
}

function joinWords(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
