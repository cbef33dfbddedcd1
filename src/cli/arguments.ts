/**
 * The words of the command line → which verb with which options, or why not. Pure.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearestWord } from '../service/nearest';

export type Request =
  | { readonly verb: 'run' | 'check' | 'print'; readonly file: string | null; readonly json: boolean }
  | { readonly verb: 'try'; readonly listen: string; readonly command: readonly string[]; readonly json: boolean }
  | { readonly verb: 'schema' }
  | { readonly verb: 'version'; readonly json: boolean }
  | { readonly verb: 'help'; readonly topic: string | null };

export type Parsed =
  | { readonly ok: true; readonly request: Request }
  | { readonly ok: false; readonly message: string; readonly remedy: string };

export const VERBS = ['run', 'check', 'print', 'try', 'schema', 'version', 'help'] as const;
export type Verb = (typeof VERBS)[number];

const FILE = { config: { type: 'string', short: 'c' } } as const;
const JSON_FLAG = { json: { type: 'boolean' } } as const;
const HELP = { help: { type: 'boolean', short: 'h' } } as const;

const OPTIONS: Record<Verb, ParseArgsConfig['options'] & object> = {
  run: { ...FILE, ...JSON_FLAG, ...HELP },
  check: { ...FILE, ...JSON_FLAG, ...HELP },
  print: { ...FILE, ...JSON_FLAG, ...HELP },
  try: { ...JSON_FLAG, ...HELP },
  schema: HELP,
  version: { ...JSON_FLAG, ...HELP },
  help: HELP,
};

/** @param words without the program's own name */
export function parseArguments(words: readonly string[]): Parsed {
  const [first = 'run', ...rest] = words;
  if (first === '--version' || first === '-V') return done({ verb: 'version', json: false });
  if (first === '--help' || first === '-h') return done({ verb: 'help', topic: null });
  if (first.startsWith('-')) return parseVerb('run', words);
  if (isVerb(first)) return parseVerb(first, rest);
  const guess = nearestWord(first, VERBS);
  return wrong(`there is no verb "${first}"`, guess === undefined ? 'see "stdiod help"' : `did you mean "${guess}"?`);
}

export function isVerb(word: string): word is Verb {
  return (VERBS as readonly string[]).includes(word);
}

interface Words {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
  /** What follows `--`; null: there is no `--`. */
  readonly command: readonly string[] | null;
}

function parseVerb(verb: Verb, words: readonly string[]): Parsed {
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  const command = end < 0 ? null : words.slice(end + 1);
  try {
    const parsed = parseArgs({ args: [...own], options: OPTIONS[verb], allowPositionals: true, strict: true });
    return understand(verb, { values: parsed.values, positionals: parsed.positionals, command });
  } catch (error) {
    const [message = ''] = (error instanceof Error ? error.message : String(error)).split('. ');
    return wrong(`${verb}: ${message}`, `see "stdiod help ${verb}"`);
  }
}

function understand(verb: Verb, words: Words): Parsed {
  const { values, positionals, command } = words;
  if (values['help'] === true) return done({ verb: 'help', topic: verb });
  if (verb === 'try') return understandTry(words);
  if (verb === 'help') return done({ verb, topic: positionals[0] ?? null });
  const [stray] = [...positionals, ...(command ?? [])];
  if (stray !== undefined) return wrong(`${verb}: unexpected word "${stray}"`, strayRemedy(verb));
  const json = values['json'] === true;
  if (verb === 'schema') return done({ verb });
  if (verb === 'version') return done({ verb, json });
  const file = values['config'];
  return done({ verb, json, file: typeof file === 'string' ? file : null });
}

function strayRemedy(verb: Verb): string {
  const takesFile = verb === 'run' || verb === 'check' || verb === 'print';
  return takesFile ? `name the file with -c: stdiod ${verb} -c FILE` : `see "stdiod help ${verb}"`;
}

function understandTry({ values, positionals, command }: Words): Parsed {
  const usage = 'stdiod try 127.0.0.1:7007 -- tr a-z A-Z';
  const [listen, stray] = positionals;
  if (listen === undefined) return wrong('try: an address is missing', `for example: ${usage}`);
  if (command === null || stray !== undefined)
    return wrong('try: put "--" before the command', `for example: ${usage}`);
  if (command.length === 0) return wrong('try: a command is missing', `for example: ${usage}`);
  return done({ verb: 'try', listen, command, json: values['json'] === true });
}

function done(request: Request): Parsed {
  return { ok: true, request };
}

function wrong(message: string, remedy: string): Parsed {
  return { ok: false, message, remedy };
}
