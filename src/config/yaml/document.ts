/**
 * From YAML text to the `yaml` library's document, or to the syntax problems that it has.
 *
 * The library is driven one token at a time, because its own entry points have no bounds: four megabytes of "[a,a,…]" cost
 * them two gigabytes, and deep nesting the stack. Here both end as a problem before anything is built.
 */
import { Composer, type CST, type Document, Lexer, Parser, visit } from 'yaml';
import type { Problem, Problems } from '../report/problems';
import type { Source } from '../report/source';
import { type Fault, Faults, TooMuch } from './faults';

/** About 60,000 services. */
const MOST_TOKENS = 1_500_000;

/** Entries of the parser's stack; a level of nesting takes one or two. A configuration needs ten. */
const DEEPEST = 100;

/** undefined: the problems are reported, or the file is empty and that is reported. */
export function parseDocument(source: Source, problems: Problems): Document.Parsed | undefined {
  const faults = new Faults();
  try {
    return onlyDocument(source, faults, problems);
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    reportFaults(faults.list, undefined, source, problems);
    report(source, problems, error.offset, { message: error.message, remedy: error.remedy });
    return undefined;
  }
}

function report(source: Source, problems: Problems, offset: number, problem: Problem): void {
  problems.report({ source, offset: Math.min(offset, source.text.length), path: '' }, problem);
}

function onlyDocument(source: Source, faults: Faults, problems: Problems): Document.Parsed | undefined {
  const tokens = new FirstDocument(source.text, faults);
  const [document] = compose(tokens, faults);
  if (document === undefined || isBlank(document, faults)) {
    const remedy = 'say at least what to serve: "services: {echo: {listen: 7007, exec: cat}}"';
    problems.report({ source, offset: null, path: '' }, { message: 'the file is empty', remedy });
    return undefined;
  }
  const { secondOffset } = tokens;
  if (secondOffset !== null) {
    const remedy = 'remove the "---" or "..." and what follows it, or put it in a file of its own and "include" that';
    report(source, problems, secondOffset, { message: 'a second YAML document begins here', remedy });
  }
  const isSound = reportFaults(faults.list, document, source, problems);
  return isSound && hasPlainVersion(document, source, problems) && secondOffset === null ? document : undefined;
}

/** None or one. */
function compose(tokens: FirstDocument, faults: Faults): Document.Parsed[] {
  const composer = new Composer({ uniqueKeys: false, merge: false, logLevel: 'silent' });
  faults.replaceErrorsOf(composer);
  const documents = [...composer.compose(tokens)];
  for (const { errors } of documents) for (const { pos, code, message } of errors) faults.add(pos[0], code, message);
  return documents;
}

/** The tokens of a text up to a second document, without those that are nothing but errors. */
class FirstDocument implements Iterable<CST.Token> {
  /** Where a second document begins; null: there is none. */
  secondOffset: number | null = null;

  constructor(
    private readonly text: string,
    private readonly faults: Faults,
  ) {}

  *[Symbol.iterator](): Generator<CST.Token, void> {
    let hasDocument = false;
    for (const token of boundedTokens(this.text)) {
      if (token.type === 'document' && hasDocument) {
        this.secondOffset = token.value?.offset ?? token.offset;
        return;
      }
      hasDocument ||= token.type === 'document';
      if (!this.isFault(token, hasDocument)) yield token;
    }
  }

  /** The composer would make an error with a stack of each of them. */
  private isFault(token: CST.Token, hasDocument: boolean): boolean {
    if (token.type === 'error') this.faults.add(token.offset, 'UNEXPECTED_TOKEN', explainToken(token));
    if (token.type === 'doc-end' && !hasDocument) this.faults.add(token.offset, 'UNEXPECTED_TOKEN', 'Unexpected "..."');
    return token.type === 'error' || (token.type === 'doc-end' && !hasDocument);
  }
}

function explainToken({ message, source }: CST.ErrorToken): string {
  return source === '' ? message : `${message}: ${JSON.stringify(source.slice(0, 60))}`;
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

function isBlank({ contents }: Document.Parsed, faults: Faults): boolean {
  return faults.list.length === 0 && (contents === null || contents.range[0] === contents.range[1]);
}

/** `%YAML 1.1` would turn `yes` into true and `22:22` into 1342. */
function hasPlainVersion(document: Document.Parsed, source: Source, problems: Problems): boolean {
  if (document.directives.yaml.version === '1.2') return true;
  const offset = Math.max(0, source.text.indexOf('%YAML'));
  report(source, problems, offset, { message: 'only YAML 1.2 is read', remedy: 'remove the %YAML line' });
  return false;
}

/** One for each line: what the library says after the first is mostly its echo. @param document undefined: it was given up */
function reportFaults(
  faults: readonly Fault[],
  document: Document.Parsed | undefined,
  source: Source,
  problems: Problems,
): boolean {
  let lastLine = 0;
  for (const fault of faults) {
    const quote = document !== undefined && isUnclosed(fault) ? openQuote(document, fault.offset) : undefined;
    const offset = Math.min(quote ?? fault.offset, source.text.length);
    const { line, source: text } = source.position(offset);
    if (line !== lastLine) report(source, problems, offset, explain(fault, text));
    if (quote !== undefined) return false;
    lastLine = line;
  }
  return lastLine === 0;
}

function isUnclosed({ code, message }: Fault): boolean {
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

function explain(error: Fault, line: string): Problem {
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
function explainNoKey(line: string, error: Fault): Problem {
  const [, key, tight, loose] = /^\s*(?:- )?([\w.-]+)(?::(\S.*)|\s+(\S.*))$/.exec(line) ?? [];
  if (key === undefined) return asItIs(error);
  const message = tight === undefined ? 'a ":" is missing after the key' : 'a blank is missing after the ":"';
  return { message, remedy: `write "${key}: ${tight ?? loose ?? ''}"` };
}

function asItIs({ message }: Fault): Problem {
  return { message: `not valid YAML: ${lowerFirst(message)}`, remedy: null };
}

const EXPLAINED: Readonly<Partial<Record<Fault['code'], Problem>>> = {
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
  TAG_RESOLVE_FAILED: {
    message: 'YAML tags are not supported',
    remedy: 'remove it; to make a value text, quote it',
  },
  BAD_DQ_ESCAPE: {
    message: 'not an escape that YAML knows between double quotes',
    remedy: 'write \\\\ for a backslash, or use single quotes',
  },
};

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
