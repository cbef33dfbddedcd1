/**
 * What the `yaml` library finds wrong with a text, bounded: by itself it keeps an error with a stack for each of the eight million
 * bad escapes that fit into a file.
 */
import type { Composer, ErrorCode } from 'yaml';

export interface Fault {
  readonly offset: number;
  readonly code: ErrorCode;
  /** As the library says it. */
  readonly message: string;
}

/** Nothing more is read: there are too many of something. */
export class TooMuch extends Error {
  constructor(
    message: string,
    readonly remedy: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

const MOST_FAULTS = 1_000;

/** As the composer says where: an offset, a range, or a token. */
type Where = number | readonly [number, ...number[]] | { readonly offset: number };

export class Faults {
  readonly list: Fault[] = [];
  private tooMuch: TooMuch | undefined;

  /** @throws TooMuch, from then on at each call: the composer catches what is thrown within a map or a list, and tells that as well */
  add(offset: number, code: ErrorCode, message: string): void {
    if (this.list.length === MOST_FAULTS) {
      this.tooMuch ??= new TooMuch('the text is wrong in more places than this', 'mend these first', offset);
      throw this.tooMuch;
    }
    this.list.push({ offset, code, message });
  }

  /** The composer has a handler and no way to give it another. */
  replaceErrorsOf(composer: Composer): void {
    const value = (where: Where, code: ErrorCode, message: string, isWarning = false): void => {
      if (!isWarning) this.add(offsetOf(where), code, message);
    };
    Object.defineProperty(composer, 'onError', { value });
  }
}

function offsetOf(where: Where): number {
  if (typeof where === 'number') return where;
  return 'offset' in where ? where.offset : where[0];
}
