/**
 * From YAML text to the `yaml` library's document, or to the syntax problems that it has.
 *
 * The library is driven one token at a time, because its own entry points have no bounds: four megabytes of "[a,a,…]" cost
 * them two gigabytes, and deep nesting the stack. Here both end as a problem before anything is built.
 */
import { Composer, type Document, Lexer, Parser, type YAMLError, visit } from 'yaml';
import type { Problem, Problems } from '../report/problems';
import type { Source } from '../report/source';

/** About 60,000 services. */
const MOST_TOKENS = 1_500_000;

/** Entries of the parser's stack; a level of nesting takes one or two. A configuration needs ten. */
const DEEPEST = 100;

/** undefined: the problems are reported, or the file is empty and that is reported. */
export function parseDocument(source: Source, problems: Problems): Document.Parsed | undefined {
  try {
    return onlyDocument(source, problems);
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    report(source, problems, error.offset, { message: error.message, remedy: error.remedy });
    return undefined;
  }
}

class TooMuch extends Error {
  constructor(
    message: string,
    readonly remedy: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

function report(source: Source, problems: Problems, offset: number | null, problem: Problem): void {
  problems.report({ source, offset, path: '' }, problem);
}

function onlyDocument(source: Source, problems: Problems): Document.Parsed | undefined {
  const [first, second] = firstTwoDocuments(source.text);
  if (first === undefined || isBlank(first)) {
    const remedy = 'say at least what to serve: "services: {echo: {listen: 7007, exec: cat}}"';
    report(source, problems, null, { message: 'the file is empty', remedy });
    return undefined;
  }
  if (second !== undefined) {
    const remedy = 'remove the "---" or "..." and what follows it, or put it in a file of its own and "include" that';
    report(source, problems, secondOffset(source, second), { message: 'a second YAML document begins here', remedy });
  }
  const isSound = reportErrors(first, source, problems);
  return isSound && hasPlainVersion(first, source, problems) && second === undefined ? first : undefined;
}

function firstTwoDocuments(text: string): Document.Parsed[] {
  const composer = new Composer({ uniqueKeys: false, merge: false, logLevel: 'silent' });
  const documents: Document.Parsed[] = [];
  for (const document of composer.compose(boundedTokens(text))) {
    documents.push(document);
    if (documents.length === 2) break;
  }
  return documents;
}

function* boundedTokens(text: string): ReturnType<Parser['end']> {
  const parser = new Parser();
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    count += 1;
    if (count > MOST_TOKENS)
      throw new TooMuch('the file has too many values', 'split it with "include"', parser.offset);
    if (parser.stack.length > DEEPEST) throw new TooMuch('the nesting is too deep', 'remove levels', parser.offset);
    yield* parser.next(lexeme);
  }
  yield* parser.end();
}

function isBlank(document: Document.Parsed): boolean {
  const { contents, errors } = document;
  return errors.length === 0 && (contents === null || contents.range[0] === contents.range[1]);
}

function secondOffset(source: Source, second: Document.Parsed): number {
  const start = second.contents?.range[0] ?? second.range[0];
  return Math.min(start, source.text.length);
}

/** `%YAML 1.1` would turn `yes` into true and `22:22` into 1342. */
function hasPlainVersion(document: Document.Parsed, source: Source, problems: Problems): boolean {
  if (document.directives.yaml.version === '1.2') return true;
  const offset = Math.max(0, source.text.indexOf('%YAML'));
  report(source, problems, offset, { message: 'only YAML 1.2 is read', remedy: 'remove the %YAML line' });
  return false;
}

/** One for each line: what the library says after the first is mostly its echo. */
function reportErrors(document: Document.Parsed, source: Source, problems: Problems): boolean {
  let lastLine = 0;
  for (const error of document.errors) {
    if (error.code === 'TAG_RESOLVE_FAILED') continue;
    const quote = isUnclosed(error) ? openQuote(document, error.pos[0]) : undefined;
    const offset = Math.min(quote ?? error.pos[0], source.text.length);
    const { line, source: text } = source.position(offset);
    if (line !== lastLine) report(source, problems, offset, explain(error, text));
    if (quote !== undefined) return false;
    lastLine = line;
  }
  return lastLine === 0;
}

function isUnclosed({ code, message }: YAMLError): boolean {
  return code === 'MISSING_CHAR' && message.startsWith('Missing closing');
}

/** Where the quoted text begins that goes on to the offset. */
function openQuote(document: Document.Parsed, end: number): number | undefined {
  let start: number | undefined;
  visit(document, {
    Scalar: (_key, { type, range }) => {
      if (type?.startsWith('QUOTE') === true && range && range[1] >= end) start = range[0];
    },
  });
  return start;
}

function explain(error: YAMLError, line: string): Problem {
  const brackets = /\[[0-9a-fA-F:.]*(?:%\w+)?\]:[\w-]+(?:\/\w+)?/.exec(line)?.[0];
  if (brackets !== undefined) {
    return { message: 'an address that begins with "[" must be quoted', remedy: `write "${brackets}"` };
  }
  if (isUnclosed(error)) return { message: 'the quote that begins here is not closed', remedy: 'close it' };
  if (/[[,]\s*-\s*[\],]/.test(line)) return { message: 'a "-" alone in a list must be quoted', remedy: 'write "-"' };
  if (error.code === 'MISSING_CHAR' || error.code === 'MULTILINE_IMPLICIT_KEY') return explainNoKey(line, error);
  return EXPLAINED[error.code] ?? asItIs(error);
}

/** `listen:7007` and `exec cat` are text to YAML. */
function explainNoKey(line: string, error: YAMLError): Problem {
  const [, key, tight, loose] = /^\s*(?:- )?([\w.-]+)(?::(\S.*)|\s+(\S.*))$/.exec(line) ?? [];
  if (key === undefined) return asItIs(error);
  const message = tight === undefined ? 'a ":" is missing after the key' : 'a blank is missing after the ":"';
  return { message, remedy: `write "${key}: ${tight ?? loose ?? ''}"` };
}

function asItIs({ message }: YAMLError): Problem {
  return { message: `not valid YAML: ${lowerFirst(message)}`, remedy: null };
}

const EXPLAINED: Readonly<Partial<Record<YAMLError['code'], Problem>>> = {
  TAB_AS_INDENT: { message: 'a tab stands in the indentation', remedy: 'indent with spaces' },
  BAD_SCALAR_START: { message: 'an unquoted value cannot begin with this character', remedy: 'quote the value' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a second ": " on one line, or a line that is indented too far',
    remedy: 'quote the value, or indent the line as the one above it',
  },
  BAD_INDENT: {
    message: 'the indentation does not fit the lines above',
    remedy: 'give all keys of one map the same indentation, and close brackets that were opened',
  },
  BAD_DQ_ESCAPE: {
    message: 'not an escape that YAML knows between double quotes',
    remedy: 'write \\\\ for a backslash, or use single quotes',
  },
};

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
