/**
 * From `exec` and `argv0` to the program's absolute path and its words, or to what is wrong with them.
 */
import { isAbsolute, join, resolve } from 'node:path';
import type { Command } from '../../service/service';
import { escapeTemplate, unescapeTemplate } from '../../service/template';
import { type SplitResult, type Word, splitWords } from '../../service/words';
import type { Layers } from '../keys/layers';
import type { Machine } from '../machine/machine';
import { whyNotRunnable } from '../machine/program';
import { type Runner, remedyElsewhere } from '../machine/search-path';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import { type Refuse, type WrittenText, checkTemplate, refuseAny } from './templates';

/** A command as its words are written. */
interface Written {
  readonly words: readonly WrittenText[];
  /** Path and index of the first word. */
  readonly first: readonly [Path, number];
}

export type Exec = string | readonly string[];

/** The words as templates. undefined: the problems are reported. @param at where the command is written */
export function readWords(
  exec: Exec,
  refuse: Refuse,
  layers: Layers,
  at: Path = ['exec'],
): readonly WrittenText[] | undefined {
  const written = typeof exec === 'string' ? readString(exec, layers, at) : readList(exec, at);
  if (written === undefined) return undefined;
  const { words, first } = written;
  const isSound = words.map((word, index) => checkTemplate(word, index === 0 ? refuseAny : refuse, layers));
  if (isSound.includes(false)) return undefined;
  const problem = refuseFirstWord(unescapeTemplate(words[0]?.text ?? ''), typeof exec === 'string');
  if (problem === null) return words;
  layers.report(first[0], problem, first[1]);
  return undefined;
}

/** The path that runs: a word with a slash starts from the file that names it, a bare name is looked up in the search path. */
export function locateProgram(
  word: string,
  runner: Runner,
  machine: Machine,
  layers: Layers,
  at: Path = ['exec'],
): string | Problem {
  if (!word.includes('/')) return lookUp(word, runner, machine);
  const path = resolve(layers.folderOf(at), word);
  return whyNotRunnable(path, runner, machine) ?? path;
}

/** `argv0` is plain text, the words are templates. */
export function makeCommand(path: string, words: readonly string[], argv0: string | undefined): Command {
  const [first = escapeTemplate(path), ...rest] = words;
  return { path, argv: [argv0 === undefined ? first : escapeTemplate(argv0), ...rest] };
}

function readList(words: readonly string[], at: Path): Written {
  return { words: words.map((text, index) => ({ text, path: [...at, index] })), first: [[...at, 0], 0] };
}

function readString(line: string, layers: Layers, at: Path): Written | undefined {
  const split = splitWords(line);
  if (!split.ok) {
    layers.report(at, explainSplit(split, line), split.index);
    return undefined;
  }
  const words = split.words.map((word) => ({ text: word.text, path: at, indexOf: placesIn(word, line) }));
  return { words, first: [at, split.words[0]?.start ?? 0] };
}

/** No quote hides or makes a percent sign: the word's first one is the line's first one from there. */
function placesIn({ text, start }: Word, line: string): (offset: number) => number {
  return (offset) => {
    let index = start - 1;
    const count = text.slice(0, offset + 1).split('%').length - 1;
    for (let nth = 0; nth < count; nth += 1) index = line.indexOf('%', index + 1);
    return Math.max(index, start);
  };
}

type Unsplit = Extract<SplitResult, { ok: false }>;

function explainSplit({ fault, character }: Unsplit, line: string): Problem {
  if (fault === 'unclosed-quote') {
    return {
      message: `the quote ${character} is not closed`,
      remedy: `close it, or write \\${character} for the character`,
    };
  }
  if (fault === 'lone-backslash')
    return { message: 'a backslash ends the command', remedy: 'write \\\\ for the character' };
  const shell = `["sh", "-c", ${JSON.stringify(line.length > 200 ? '…' : line)}]`;
  const message = `no shell reads the command: ${character} would be an ordinary character`;
  return { message, remedy: `for a shell write ${shell}; for the character quote it: '${character}'` };
}

function refuseFirstWord(word: string, isString: boolean): Problem | null {
  if (word === '') return { message: 'the command is empty', remedy: 'name a program: tr a-z A-Z' };
  if (word.startsWith('~'))
    return { message: `no shell reads the command: "~" stays as it is`, remedy: 'write the full path' };
  const variable = /^[A-Za-z_]\w*(?==)/.exec(word)?.[0];
  if (variable === undefined) return null;
  if (isString && !word.includes('/')) return assignment(variable, word);
  return isString || !word.startsWith('/') ? assignment(variable, word) : null;
}

function assignment(variable: string, word: string): Problem {
  const value = word.slice(variable.length + 1, 60);
  return {
    message: `"${variable}=…" is not a program`,
    remedy: `set the variable in "env": {${variable}: ${JSON.stringify(value)}}`,
  };
}

/** As execvp(3): past what is missing or may not be executed, to the first that can be run. */
function lookUp(name: string, runner: Runner, machine: Machine): string | Problem {
  let denied: Problem | null = null;
  for (const folder of runner.searchPath.split(':').filter(isAbsolute)) {
    const path = join(folder, name);
    if (typeof machine.file(path) === 'string') continue;
    const problem = whyNotRunnable(path, runner, machine);
    if (problem === null) return path;
    denied ??= problem;
  }
  return denied ?? noProgram(name, runner, machine);
}

function noProgram(name: string, runner: Runner, machine: Machine): Problem {
  const message = `there is no program "${name.slice(0, 60)}" in ${runner.searchPath}`;
  if (/\s/.test(name)) {
    const remedy = "no program's name has a blank: give each word by itself, or all of them to a shell: sh -c '…'";
    return { message, remedy };
  }
  const remedy = 'install it, correct the name, or write the full path';
  return { message, remedy: remedyElsewhere(name, runner, machine) ?? remedy };
}
