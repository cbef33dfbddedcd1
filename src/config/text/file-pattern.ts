/**
 * Whether a file's name matches one level of a pattern: `*`, `?`, `[a-z]`, `[!a-z]`.
 *
 * Not a regular expression made from the pattern: `*a*a*a*a*x` takes one of those hours. Here a mismatch goes back to the
 * last `*` only, which is enough, so the work is at most the name's length times the pattern's.
 */

/** null: any run of characters. */
type Token = ((character: string) => boolean) | null;

export function matchesPattern(name: string, pattern: string): boolean {
  const tokens = parseTokens(pattern);
  const characters = Array.from(name);
  let at = 0;
  let token = 0;
  /** The last `*`, and how far it has eaten. */
  let star: { token: number; at: number } | undefined;
  while (at < characters.length) {
    const test = tokens[token];
    if (test === null) {
      star = { token, at };
      token += 1;
    } else if (test?.(characters[at] ?? '')) {
      at += 1;
      token += 1;
    } else if (star !== undefined) {
      star.at += 1;
      at = star.at;
      token = star.token + 1;
    } else {
      return false;
    }
  }
  return tokens.slice(token).every((rest) => rest === null);
}

function parseTokens(pattern: string): Token[] {
  const parts = pattern.match(/\*+|\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
  return parts.map((part) => {
    if (part.startsWith('*')) return null;
    if (part === '?') return () => true;
    if (part.length > 1 && part.startsWith('[')) return parseSet(part.slice(1, -1));
    return (character) => character === part;
  });
}

function parseSet(text: string): (character: string) => boolean {
  const isNegated = /^[!^]/.test(text);
  const ranges = (isNegated ? text.slice(1) : text).match(/.-.|./gsu) ?? [];
  return (character) => ranges.some((range) => isWithin(character, Array.from(range))) !== isNegated;
}

function isWithin(character: string, [first = '', dash, last = first]: readonly string[]): boolean {
  return dash === undefined ? character === first : character >= first && character <= last;
}
