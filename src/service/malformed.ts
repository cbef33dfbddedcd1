/**
 * How the grammars of this folder say that a text is wrong: they throw a `Malformed` wherever they find it, and the
 * exported `parse*` function hands it back as a value.
 */

export interface TextFault {
  readonly message: string;
  /** What to write instead; null: the message says it. */
  readonly remedy: string | null;
}

export class Malformed extends Error {
  constructor(
    message: string,
    readonly remedy: string | null,
  ) {
    super(message);
  }
}

export function orFault<Parsed>(parse: () => Parsed): Parsed | TextFault {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Malformed) return { message: error.message, remedy: error.remedy };
    throw error;
  }
}

export function quote(text: string): string {
  return `"${clip(text)}"`;
}

export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
