/**
 * The words of the command line → which verb with which options, or why not. Pure.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { isWhom, parseWhom } from '../service/access';
import { shellQuoted } from '../config/report/shell-quoted';
import { peerOf } from './explain';
import { isAddressLike, oneWordRemedy, optionRemedy, TRY_ADDRESS, TRY_EXAMPLE, tryLine, verbRemedy } from './guesses';

export type Request =
  | { readonly verb: 'run'; readonly file: string | null; readonly json: boolean; readonly strict: boolean }
  | { readonly verb: 'check' | 'print'; readonly file: string | null; readonly json: boolean }
  | {
      readonly verb: 'explain';
      readonly address: string;
      /** null: all. */
      readonly service: string | null;
      readonly file: string | null;
      readonly json: boolean;
    }
  | { readonly verb: 'try'; readonly listen: string; readonly command: readonly string[]; readonly json: boolean }
  | { readonly verb: 'schema' }
  | { readonly verb: 'version'; readonly json: boolean }
  | { readonly verb: 'help'; readonly topic: string | null };

export interface WrongUsage {
  readonly ok: false;
  readonly message: string;
  readonly remedy: string;
}

export type Parsed = { readonly ok: true; readonly request: Request } | WrongUsage;
export type RequestOf<V extends Request['verb']> = Extract<Request, { verb: V }>;
export interface FileRequest {
  readonly file: string | null;
  readonly json: boolean;
}

export const VERBS = ['run', 'check', 'print', 'explain', 'try', 'schema', 'version', 'help'] as const;
export type Verb = (typeof VERBS)[number];

const FILE = { config: { type: 'string', short: 'c', multiple: true } } as const;
const JSON_FLAG = { json: { type: 'boolean' } } as const;
const HELP = { help: { type: 'boolean', short: 'h' } } as const;

const OPTIONS: Record<Verb, ParseArgsConfig['options'] & object> = {
  run: { ...FILE, ...JSON_FLAG, strict: { type: 'boolean' }, ...HELP },
  check: { ...FILE, ...JSON_FLAG, ...HELP },
  print: { ...FILE, ...JSON_FLAG, ...HELP },
  explain: { ...FILE, service: { type: 'string' }, ...JSON_FLAG, ...HELP },
  try: { ...JSON_FLAG, ...HELP },
  schema: HELP,
  version: { ...JSON_FLAG, ...HELP },
  help: HELP,
};

/** @param words without the program's own name */
export function parseArguments(words: readonly string[]): Parsed {
  const [first = 'run', ...rest] = words;
  if (first === '--version' || first === '-V') return done({ verb: 'version', json: rest.includes('--json') });
  if (first === '--help' || first === '-h') return done({ verb: 'help', topic: null });
  if (first.startsWith('-')) return whyLate(words) ?? parseVerb('run', words, ['version']);
  if (isVerb(first)) return parseVerb(first, rest, []);
  return wrong(`there is no verb "${first}"`, verbRemedy(first, rest, VERBS));
}

/** `stdiod -c FILE check`: without a verb in front it would be `run`, with a file of the name "check". */
function whyLate(words: readonly string[]): WrongUsage | null {
  const end = words.indexOf('--');
  const isLate = (word: string, index: number): boolean =>
    isVerb(word) && !['-c', '--config'].includes(words[index - 1] ?? '') && (end < 0 || index < end);
  const at = words.findIndex(isLate);
  const verb = words[at];
  if (verb === undefined) return null;
  const line = ['stdiod', verb, ...words.toSpliced(at, 1).map(shellQuoted)].join(' ');
  return wrong(`the verb "${verb}" stands behind an option`, `write: ${line}`);
}

export function isVerb(word: string): word is Verb {
  return (VERBS as readonly string[]).includes(word);
}

interface Words {
  readonly configs: readonly string[];
  /** null: none is named. */
  readonly service: string | null;
  readonly isHelp: boolean;
  readonly json: boolean;
  readonly strict: boolean;
  readonly positionals: readonly string[];
  /** What follows `--`; null: there is no `--`. */
  readonly command: readonly string[] | null;
}

/** @param more names of options that are understood elsewhere, for a guess */
function parseVerb(verb: Verb, words: readonly string[], more: readonly string[]): Parsed {
  const end = words.indexOf('--');
  const args = end < 0 ? [...words] : words.slice(0, end);
  const command = end < 0 ? null : words.slice(end + 1);
  const options = OPTIONS[verb];
  const { values, positionals, tokens } = parseArgs({
    args,
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const problem = whyWrong(verb, options, token, more);
    if (problem !== null) return problem;
  }
  const { config, help, json, strict, service } = values;
  const configs = Array.isArray(config) ? config.filter((value) => typeof value === 'string') : [];
  const flags = { isHelp: help === true, json: json === true, strict: strict === true };
  const named = typeof service === 'string' ? service : null;
  return understand(verb, { configs, service: named, ...flags, positionals, command });
}

interface OptionToken {
  readonly name: string;
  /** As it was written. */
  readonly rawName: string;
  readonly value: string | undefined;
  /** The value is in the same word. */
  readonly inlineValue: boolean | undefined;
}

function whyWrong(
  verb: Verb,
  options: ParseArgsConfig['options'] & object,
  token: OptionToken,
  more: readonly string[],
): WrongUsage | null {
  const { name, rawName } = token;
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  const own = [...Object.keys(options), ...more];
  if (option === undefined) return wrong(`${verb}: there is no option "${rawName}"`, optionRemedy(rawName, own, verb));
  if (name === 'service') return whyNoName(verb, token);
  return option.type === 'string' ? whyNoFile(verb, token) : whyValue(verb, token);
}

function whyNoFile(verb: Verb, { rawName, value, inlineValue }: OptionToken): WrongUsage | null {
  if (value === undefined || value.startsWith('-'))
    return wrong(`${verb}: ${rawName} lacks its file`, `for example: stdiod ${verb} ${rawName} services.yaml`);
  const isAssigned = inlineValue === true && !rawName.startsWith('--') && value.startsWith('=');
  if (!isAssigned) return null;
  return wrong(`${verb}: ${rawName} takes its file without "="`, `write: ${rawName} ${shellQuoted(value.slice(1))}`);
}

function whyNoName(verb: Verb, { rawName, value }: OptionToken): WrongUsage | null {
  if (value !== undefined && value !== '' && !value.startsWith('-')) return null;
  return wrong(`${verb}: ${rawName} lacks the name of a service`, `for example: stdiod ${verb} 10.0.0.5 --service web`);
}

function whyValue(verb: Verb, { rawName, value }: OptionToken): WrongUsage | null {
  if (value === undefined) return null;
  return wrong(`${verb}: ${rawName} takes no value, got "${value}"`, `write ${rawName} alone`);
}

function understand(verb: Verb, words: Words): Parsed {
  if (words.isHelp) return done({ verb: 'help', topic: verb });
  if (verb === 'try') return understandTry(words);
  if (verb === 'explain') return understandExplain(words);
  if (verb === 'run' || verb === 'check' || verb === 'print') return understandFile(verb, words);
  return understandPlain(verb, words);
}

function understandPlain(verb: 'schema' | 'version' | 'help', { json, positionals, command }: Words): Parsed {
  const [first, ...more] = [...positionals, ...(command ?? [])];
  const stray = verb === 'help' ? more[0] : first;
  if (stray !== undefined) return wrong(`${verb}: unexpected word "${stray}"`, `see "stdiod help ${verb}"`);
  if (verb === 'help') return done({ verb, topic: first ?? null });
  return done(verb === 'schema' ? { verb } : { verb, json });
}

/** The file may also stand as a word. */
function understandFile(verb: 'run' | 'check' | 'print', words: Words): Parsed {
  const { configs, json, strict, positionals, command } = words;
  const named = [...positionals, ...(command ?? [])];
  const [first] = named;
  if (first !== undefined && isAddressLike(first)) {
    const rest = named.slice(1);
    const line = tryLine(first, rest.length > 0 ? rest : ['COMMAND']);
    return wrong(`${verb}: "${first}" is an address, and no file`, `to serve one command: ${line}`);
  }
  const [file = null, second] = [...configs, ...named];
  if (second === undefined) return done(verb === 'run' ? { verb, json, strict, file } : { verb, json, file });
  const both = `"${file}" and "${second}"`;
  return wrong(`${verb}: there can be only one configuration, got ${both}`, 'name one; its "include" takes in others');
}

/** One address, and at most one file. */
function understandExplain({ configs, service, json, positionals, command }: Words): Parsed {
  const [address, stray] = [...positionals, ...(command ?? [])];
  const example = 'for example: stdiod explain 10.0.0.5';
  if (address === undefined) return wrong('explain: an address is missing', example);
  const whom = parseWhom(address);
  if (!isWhom(whom)) return wrong(`explain: ${whom.message}`, whom.remedy ?? example);
  if (peerOf(whom, address) === null) return wrong(`explain: "${address}" is not one client`, example);
  if (stray !== undefined) return wrong(`explain: unexpected word "${stray}"`, 'name the configuration with -c FILE');
  const [file = null, second] = configs;
  if (second === undefined) return done({ verb: 'explain', address, service, file, json });
  const both = `"${file}" and "${second}"`;
  return wrong(`explain: there can be only one configuration, got ${both}`, 'name one; its "include" takes in others');
}

function understandTry({ json, positionals, command }: Words): Parsed {
  const [listen, ...stray] = positionals;
  const isGiven = command !== null && command.length > 0;
  if (listen === undefined) {
    const example = isGiven ? tryLine(TRY_ADDRESS, command) : TRY_EXAMPLE;
    return wrong('try: an address is missing', `for example: ${example}`);
  }
  if (stray.length > 0) return tooMany(listen, stray, command);
  if (!isGiven) return wrong('try: a command is missing', `for example: ${tryLine(listen, ['cat'])}`);
  const [word = ''] = command;
  const remedy = command.length === 1 ? oneWordRemedy(listen, word) : null;
  if (remedy !== null) return wrong(`try: there is no program "${word}"`, remedy);
  return done({ verb: 'try', listen, command, json });
}

function tooMany(listen: string, stray: readonly string[], command: readonly string[] | null): WrongUsage {
  const second = stray.find(isAddressLike);
  if (command === null || second === undefined) {
    const line = tryLine(listen, [...stray, ...(command ?? [])]);
    return wrong('try: put "--" before the command', `write: ${line}`);
  }
  const both = `${shellQuoted(listen)}, ${shellQuoted(second)}`;
  return wrong(
    `try: there can be only one address, got "${listen}" and "${second}"`,
    `keep the YAML that is printed for one, and write "listen: [${both}]" in it`,
  );
}

function done(request: Request): Parsed {
  return { ok: true, request };
}

function wrong(message: string, remedy: string): WrongUsage {
  return { ok: false, message, remedy };
}
