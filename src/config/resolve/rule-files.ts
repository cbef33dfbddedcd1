/**
 * Files with rules about who may come, one on each line. In one load each is read once, and services that say the same share one
 * table, however many they are.
 */
import { type Access, accessOf, isWhom, parseWhom, type Rule, type Whom } from '../../service/access';
import type { Layers } from '../keys/layers';
import { explainAbsent } from '../machine/access';
import type { Machine } from '../machine/machine';
import { whyNotForRules } from '../machine/trusted';
import type { Path } from '../report/path';
import type { Problem } from '../report/problems';
import { Source } from '../report/source';

export interface RuleFile {
  /** Its absolute path. */
  readonly file: string;
  /** Where it is named. */
  readonly at: Path;
}

export type RuleFiles = Readonly<Record<Rule['verb'], readonly RuleFile[]>>;

/** A million lines or so. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Behind the configuration's own files. */
const FIRST_ORDER = 10_000_000;

/** Whom a file names. */
interface Named {
  readonly whom: Whom;
  /** `10.0.0.0/8 (/etc/stdiod/office:3)`. */
  readonly text: string;
}

interface Fault {
  readonly offset: number;
  readonly problem: Problem;
}

interface Contents {
  readonly source: Source;
  readonly named: readonly Named[];
  readonly faults: readonly Fault[];
}

/** A machine is asked by one load. */
const ALL = new WeakMap<Machine, RuleLists>();

export function ruleListsOf(machine: Machine): RuleLists {
  const lists = ALL.get(machine) ?? new RuleLists(machine);
  ALL.set(machine, lists);
  return lists;
}

class RuleLists {
  readonly #machine: Machine;
  readonly #files = new Map<string, Contents | Problem>();
  readonly #tables = new Map<string, Access>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** What cannot be read keeps the service from being served; what is wrong in it is told with its line. */
  accessOf(written: readonly Rule[], files: RuleFiles, layers: Layers): Access {
    const fromFiles = [...this.#rulesOf('allow', files, layers), ...this.#rulesOf('deny', files, layers)];
    const names = [files.allow, files.deny].map((each) => each.map(({ file }) => file));
    const key = JSON.stringify([written.map(({ text }) => text), names]);
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const access = accessOf([...written, ...fromFiles]);
    // A file without anybody in it allows nobody.
    const table = files.allow.length > 0 ? { ...access, isOpen: false } : access;
    this.#tables.set(key, table);
    return table;
  }

  #rulesOf(verb: Rule['verb'], files: RuleFiles, layers: Layers): Rule[] {
    return files[verb].flatMap(({ file, at }) => {
      const contents = this.#read(file);
      if (!('source' in contents)) {
        layers.onMachine.report(at, contents);
        return [];
      }
      const { source, faults, named } = contents;
      for (const { offset, problem } of faults) layers.reportAt({ source, offset, path: '' }, problem);
      return named.map(({ whom, text }) => ({ verb, whom, text: `${verb} ${text}` }));
    });
  }

  #read(file: string): Contents | Problem {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const contents = readFile(file, FIRST_ORDER + this.#files.size, this.#machine);
    this.#files.set(file, contents);
    return contents;
  }
}

function readFile(file: string, order: number, machine: Machine): Contents | Problem {
  const facts = machine.file(file);
  if (typeof facts === 'string') return explainAbsent(file, facts);
  if (facts.kind !== 'file') return { message: `${file} is no file`, remedy: 'name a file with one rule on each line' };
  const problem = whyNotForRules(file, machine);
  if (problem !== null) return problem;
  const bytes = machine.contents(file, MOST_BYTES + 1);
  if (typeof bytes === 'string') return { message: `stdiod cannot read ${file}: ${bytes}`, remedy: null };
  if (bytes.length > MOST_BYTES)
    return { message: `${file} is larger than 16 MiB`, remedy: 'join networks to larger ones' };
  return parseRules(new Source(file, bytes.toString('utf8'), order));
}

/** One on each line; `#` begins a comment. */
function parseRules(source: Source): Contents {
  const [named, faults]: [Named[], Fault[]] = [[], []];
  let offset = 0;
  for (const [index, line] of source.text.split('\n').entries()) {
    const text = line.replace(/(^|\s)#.*$/, '').trim();
    const start = offset + line.indexOf(text);
    offset += line.length + 1;
    if (text === '') continue;
    const whom = parseWhom(text);
    if (isWhom(whom)) named.push({ whom, text: `${text} (${source.file}:${index + 1})` });
    else if (faults.length < MOST_FAULTS) faults.push({ offset: start, problem: whom });
  }
  return { source, named, faults };
}

/** More than these tell nothing new. */
const MOST_FAULTS = 100;
