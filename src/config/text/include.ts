/**
 * Which files the patterns of `include` name.
 *
 * A matcher of our own and no package: patterns of one folder level at a time (`*`, `?`, `[a-z]`) are all that a folder of
 * configuration files needs, and a walk through the whole tree (`**`) is what it must not do.
 */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { Problem } from '../report/problems';
import { shellQuoted } from '../report/shell-quoted';
import { errnoName } from './errno-name';
import { matchesPattern } from './file-pattern';

/** Files and folders on all levels of one pattern: one that begins with stars goes round through the links of /proc for ever. */
const MOST_FOUND = 10_000;

/** Sorted; paths begin as the main file's does. */
export function findIncluded(pattern: string, mainFile: string): string[] | Problem {
  if (pattern.includes('**')) {
    return { message: '"**" is not supported', remedy: 'name each folder level: conf.d/*.yaml' };
  }
  const start = isAbsolute(pattern) ? '/' : dirname(mainFile);
  const steps = pattern.split('/').filter((step) => step !== '' && step !== '.');
  if (!hasWildcard(pattern)) return literal(join(start, ...steps), pattern);
  try {
    const found = walk(start, steps);
    if (found === undefined) return TOO_MANY;
    return found.filter((path) => !isFolder(path) && !isSameFile(path, mainFile)).sort();
  } catch (error) {
    return explainUnreadable(error);
  }
}

const TOO_MANY: Problem = {
  message: `the pattern leads to more than ${MOST_FOUND} files and folders`,
  remedy: 'name the folder whose files are meant: conf.d/*.yaml',
};

/** undefined: there are too many. */
function walk(start: string, steps: readonly string[]): string[] | undefined {
  let folders = [start];
  let count = 0;
  for (const step of steps) {
    const found: string[] = [];
    for (const folder of folders) {
      for (const path of matches(folder, step)) found.push(path);
      if (count + found.length > MOST_FOUND) return undefined;
    }
    count += found.length;
    folders = found;
  }
  return folders;
}

/** What cannot be looked at is no "no": the services in it would be taken away. */
function explainUnreadable(error: unknown): Problem {
  const reason = errnoName(error) === 'EACCES' ? 'permission denied' : errnoName(error);
  const path = pathOf(error);
  return {
    message: `${path} cannot be read: ${reason}`,
    remedy: reason === errnoName(error) ? null : `chmod +rx ${shellQuoted(path)}, or run as a user who may read it`,
  };
}

function pathOf(error: unknown): string {
  const path = typeof error === 'object' && error !== null && 'path' in error ? error.path : undefined;
  return typeof path === 'string' ? path : 'a folder';
}

function hasWildcard(text: string): boolean {
  return /[*?[]/.test(text);
}

function literal(path: string, pattern: string): string[] | Problem {
  try {
    const isFolderHere = statSync(path).isDirectory();
    return isFolderHere
      ? { message: `${path} is a folder`, remedy: `write "${pattern.replace(/\/$/, '')}/*.yaml"` }
      : [path];
  } catch {
    return {
      message: `${path} cannot be found`,
      remedy: 'correct the path, or use a pattern if the file may be missing',
    };
  }
}

function matches(folder: string, step: string): string[] {
  if (!hasWildcard(step)) return [join(folder, step)].filter(isThere);
  const names = list(folder);
  const wanted = names.filter((name) => matchesPattern(name, step) && (step.startsWith('.') || !name.startsWith('.')));
  return wanted.map((name) => join(folder, name));
}

/** Empty when it is not there, or no folder. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoName(error))) return [];
    throw error;
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isSameFile(path: string, other: string): boolean {
  try {
    return realpathSync(path) === realpathSync(other);
  } catch {
    return false;
  }
}
