/**
 * What one child says: bytes to lines, told as far as its service's allowance goes. Of what goes beyond, the latest lines are kept: they
 * are told when there is leave again, and in any case before the child's end, where the reason of a failure stands.
 */
import { addon } from '../native/addon';
import type { Allowance } from './allowance';

/** A longer line is told in parts of so many bytes. */
export const LONGEST_LINE = 1024;

/** The most lines that wait … */
const MOST_KEPT = 20;
/** … and characters. */
const MOST_KEPT_LENGTH = 8192;

const LINE_END = 0x0a;

export class Voice {
  readonly allowance: Allowance;
  readonly #onLine: (line: string) => void;
  /** The oldest first. */
  readonly #kept: string[] = [];
  #keptLength = 0;

  constructor(allowance: Allowance, onLine: (line: string) => void) {
    this.allowance = allowance;
    this.#onLine = onLine;
  }

  /** @returns the beginning of a line whose end has not come, LONGEST_LINE at most: to be put before what comes next */
  say(bytes: Buffer): Buffer {
    this.tellKept();
    const rest = this.#kept.length > 0 ? bytes : this.#cut(bytes, (line) => this.#tellOrKeep(line));
    return this.#cut(rest.subarray(this.#skip(rest)), (line) => {
      this.#keep(line);
      return true;
    });
  }

  /** The oldest first, as far as there is leave. */
  tellKept(): void {
    while (this.#kept.length > 0 && this.allowance.take()) this.#onLine(this.#shift());
    if (this.#kept.length === 0) this.allowance.leave(this);
  }

  /** Nothing follows, or nothing of the child itself. @param unfinished what has no line end */
  end(unfinished: Buffer): void {
    if (unfinished.length > 0) this.#push(unfinished.toString('utf8'));
    while (this.#kept.length > 0) {
      const line = this.#shift();
      if (this.allowance.takeLast()) this.#onLine(line);
      else this.allowance.leaveOut(1);
    }
    this.allowance.leave(this);
  }

  /** @param onLine whether to go on with the next one @returns what is left */
  #cut(bytes: Buffer, onLine: (line: string) => boolean): Buffer {
    let from = 0;
    for (let next = endOfLine(bytes, from); next !== null; next = endOfLine(bytes, from)) {
      const line = bytes.toString('utf8', from, next.end);
      from = next.begin;
      if (!onLine(line)) break;
    }
    return bytes.subarray(from);
  }

  /** @returns whether the next one may be told too */
  #tellOrKeep(line: string): boolean {
    const isTold = this.allowance.take();
    if (isTold) this.#onLine(line);
    else this.#keep(line);
    return isTold;
  }

  #keep(line: string): void {
    this.#push(line);
    this.allowance.wait(this);
  }

  #push(line: string): void {
    this.#kept.push(line);
    this.#keptLength += line.length;
    let count = 0;
    for (; this.#kept.length > MOST_KEPT || this.#keptLength > MOST_KEPT_LENGTH; count += 1) this.#shift();
    if (count > 0) this.allowance.leaveOut(count);
  }

  #shift(): string {
    const line = this.#kept.shift() ?? '';
    this.#keptLength -= line.length;
    return line;
  }

  /** Of very many lines only the last can be kept: the others are counted, and not looked at. @returns where those begin */
  #skip(bytes: Buffer): number {
    const begin = lastLines(bytes);
    const count = begin === 0 ? 0 : addon.countLines(bytes, 0, begin);
    if (count > 0) this.allowance.leaveOut(count);
    return begin;
  }
}

/** Where the line ends that begins there, and where the next one begins; null: its end has not come. */
function endOfLine(bytes: Buffer, from: number): { end: number; begin: number } | null {
  const at = bytes.indexOf(LINE_END, from);
  if (at >= 0 && at - from <= LONGEST_LINE) return { end: at, begin: at + 1 };
  if (bytes.length - from <= LONGEST_LINE) return null;
  const end = characterStart(bytes, from + LONGEST_LINE);
  return { end, begin: end };
}

/** Not within one: its other bytes look like 10xxxxxx. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back += 1) {
    if (((bytes[at - back] ?? 0) & 0xc0) !== 0x80) return at - back;
  }
  return at;
}

/** Where the last ones begin that may be kept; 0: there are not more. */
function lastLines(bytes: Buffer): number {
  let at = bytes.length;
  for (let count = 0; count <= MOST_KEPT; count += 1) {
    at = at === 0 ? -1 : bytes.lastIndexOf(LINE_END, at - 1);
    if (at < 0) return 0;
  }
  return at + 1;
}
