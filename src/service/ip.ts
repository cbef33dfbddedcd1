/**
 * An IP address as numbers, and what a list of networks says of any address: ranges in their order, so that a hundred thousand
 * networks cost one search.
 */

/** Four words of 32 bits; an IPv4 address is the first of them. */
export type IpWords = Uint32Array;

/**
 * @param text numeric and valid, as the kernel or `node:net` writes it; the interface of a link-local one is passed over
 * @param words takes the address; of `::ffff:10.0.0.5` the IPv4 address
 * @returns the family
 */
export function readIp(text: string, words: IpWords): 4 | 6 {
  if (!text.includes(':')) {
    words[0] = ipv4Number(text, 0);
    return 4;
  }
  readIpv6(text, words);
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== 0xffff) return 6;
  words[0] = words[3] ?? 0;
  return 4;
}

const DOT = 46;
const ZERO = 48;

function ipv4Number(text: string, from: number): number {
  let [number, part] = [0, 0];
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) [number, part] = [number * 256 + part, 0];
    else part = part * 10 + code - ZERO;
  }
  return number * 256 + part;
}

function readIpv6(text: string, words: IpWords): void {
  const [bare = ''] = text.split('%');
  const [head = '', tail] = withoutDots(bare).split('::');
  const [first, last] = [groupsOf(head), groupsOf(tail ?? '')];
  const middle = new Array<number>(8 - first.length - last.length).fill(0);
  const groups = [...first, ...middle, ...last];
  for (let word = 0; word < 4; word += 1) words[word] = (groups[2 * word] ?? 0) * 65_536 + (groups[2 * word + 1] ?? 0);
}

/** `::ffff:10.0.0.5` is another spelling of `::ffff:a00:5`. */
function withoutDots(text: string): string {
  if (!text.includes('.')) return text;
  const colon = text.lastIndexOf(':');
  const number = ipv4Number(text, colon + 1);
  return `${text.slice(0, colon + 1)}${Math.floor(number / 65_536).toString(16)}:${(number % 65_536).toString(16)}`;
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
}

/** The first so many bits of a word. */
export function maskWord(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : (word & (0xffff_ffff << (32 - bits))) >>> 0;
}

/** A network and what is said of it. */
export interface Network {
  /** Of its first address; the bits behind the prefix are 0. */
  readonly words: readonly number[];
  /** 0 to 32, or to 128. */
  readonly prefix: number;
  readonly value: number;
}

/** What holds from each address up to the next one. Plain data: it is made where a file is read, and searched where clients come. */
export interface RangeTable {
  /** So many to an address: 1 (IPv4) or 4. */
  readonly width: number;
  /** Ascending; the first is the lowest address there is. */
  readonly starts: Uint32Array;
  /** NOTHING: nothing is said. */
  readonly values: Int32Array;
}

export const NOTHING = -1;

/** The most specific network decides; of two that are the same the first. */
export function rangeTable(networks: readonly Network[], family: 4 | 6): RangeTable {
  const bits = family === 4 ? 32 : 128;
  const sorted = networks
    .map(({ words, prefix, value }) => ({ ...spanOf(words, prefix, bits), prefix, value }))
    .sort((a, b) => compare(a.start, b.start) || a.prefix - b.prefix);
  const ranges = new Ranges();
  const open: Span[] = [];
  for (const span of sorted) {
    closeBefore(span.start, open, ranges);
    const same = open.at(-1);
    if (same?.start === span.start && same.end === span.end) continue;
    open.push(span);
    ranges.begin(span.start, span.value);
  }
  closeBefore(1n << BigInt(bits), open, ranges, (1n << BigInt(bits)) - 1n);
  return ranges.toTable(bits / 32);
}

interface Span {
  readonly start: bigint;
  /** Its last address. */
  readonly end: bigint;
  readonly value: number;
}

function spanOf(words: readonly number[], prefix: number, bits: number): { start: bigint; end: bigint } {
  const start = words.slice(0, bits / 32).reduce((number, word) => (number << 32n) | BigInt(word), 0n);
  return { start, end: start | ((1n << BigInt(bits - prefix)) - 1n) };
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Behind the end of a network holds what is said of the one around it. @param last the highest address there is */
function closeBefore(start: bigint, open: Span[], ranges: Ranges, last = start): void {
  for (let top = open.at(-1); top !== undefined && top.end < start; top = open.at(-1)) {
    open.pop();
    if (top.end < last) ranges.begin(top.end + 1n, open.at(-1)?.value ?? NOTHING);
  }
}

class Ranges {
  readonly #starts: bigint[] = [0n];
  readonly #values: number[] = [NOTHING];

  /** From there on, unless something else begins at the same place. */
  begin(start: bigint, value: number): void {
    if (this.#starts.at(-1) === start) {
      this.#starts.pop();
      this.#values.pop();
    }
    if (this.#values.at(-1) === value) return;
    this.#starts.push(start);
    this.#values.push(value);
  }

  toTable(width: number): RangeTable {
    const starts = new Uint32Array(this.#starts.length * width);
    for (const [index, start] of this.#starts.entries()) {
      for (let word = 0; word < width; word += 1) {
        starts[index * width + word] = Number((start >> BigInt(32 * (width - 1 - word))) & 0xffff_ffffn);
      }
    }
    return { width, starts, values: Int32Array.from(this.#values) };
  }
}

/** What is said of this address. */
export function findRange({ width, starts, values }: RangeTable, words: IpWords): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (isAfter(starts, middle * width, width, words)) high = middle - 1;
    else low = middle;
  }
  return values[low] ?? NOTHING;
}

/** Whether the address at this place comes after the one that is looked for. */
function isAfter(starts: Uint32Array, at: number, width: number, words: IpWords): boolean {
  for (let word = 0; word < width; word += 1) {
    const [start, wanted] = [starts[at + word] ?? 0, words[word] ?? 0];
    if (start !== wanted) return start > wanted;
  }
  return false;
}
