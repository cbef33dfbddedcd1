/**
 * Text with placeholders: `%{peer.address}` stands for a fact of the connection, `%%` for a percent sign.
 * The configuration checks it when it is loaded, `child` fills it in for each connection. Nothing is ever given to a shell.
 */
import type { TextFault } from './malformed';
import { nearestWord } from './nearest';

export const PLACEHOLDERS = [
  'peer.address',
  'peer.port',
  'local.address',
  'local.port',
  'service',
  'connection',
  'fd',
] as const;

export type Placeholder = (typeof PLACEHOLDERS)[number];
export type PlaceholderValues = Readonly<Record<Placeholder, string>>;

/** Literal text, or a placeholder. */
export type TemplatePart = string | { readonly name: Placeholder };

export interface TemplateFault extends TextFault {
  /** Where in the text, from 0. */
  readonly offset: number;
}

const TOKEN = /%(?:%|\{([^}]*)\}|)/g;

export function parseTemplate(text: string): readonly TemplatePart[] | TemplateFault {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [whole, name] = match;
    if (whole === '%%') parts.push('%');
    else if (name !== undefined && isPlaceholder(name)) parts.push({ name });
    else return { offset: match.index, ...explain(name, text.slice(match.index)) };
  }
  parts.push(text.slice(end));
  return parts;
}

/** Whether each connection needs its own text. @throws Error for text that the configuration should have refused */
export function hasPlaceholders(text: string): boolean {
  return partsOf(text).some((part) => typeof part !== 'string');
}

export function fillTemplate(text: string, values: PlaceholderValues): string {
  return partsOf(text)
    .map((part) => (typeof part === 'string' ? part : values[part.name]))
    .join('');
}

/** For text without placeholders: `%%` becomes `%`. */
export function unescapeTemplate(text: string): string {
  return partsOf(text)
    .filter((part) => typeof part === 'string')
    .join('');
}

/** Literal text as a template that stands for it. */
export function escapeTemplate(text: string): string {
  return text.replaceAll('%', '%%');
}

function partsOf(text: string): readonly TemplatePart[] {
  const parsed = parseTemplate(text);
  if ('message' in parsed) throw new Error(`${text}: ${parsed.message}`);
  return parsed;
}

function isPlaceholder(name: string): name is Placeholder {
  return (PLACEHOLDERS as readonly string[]).includes(name);
}

function explain(name: string | undefined, rest: string): TextFault {
  if (name === undefined) {
    if (rest.startsWith('%{'))
      return { message: '"%{" is not closed', remedy: 'close it with "}"; write %% for a percent sign' };
    return { message: '"%" begins a placeholder', remedy: 'write %% for a percent sign' };
  }
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name;
  const message = `there is no placeholder %{${shown}}`;
  const nearest = nearestWord(name, PLACEHOLDERS);
  if (nearest !== undefined) return { message: `${message}; did you mean %{${nearest}}?`, remedy: null };
  return { message, remedy: `the placeholders are ${PLACEHOLDERS.map((each) => `%{${each}}`).join(', ')}` };
}
