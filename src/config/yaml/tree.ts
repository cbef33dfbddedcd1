/**
 * From a YAML document to plain data that remembers where each key and value stands.
 *
 * Maps become objects without a prototype, so that no key of a file ever means more than a key.
 */
import { type Alias, type Document, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import { type Path, formatPath } from '../report/path';
import type { Problem, Problems } from '../report/problems';
import type { Source } from '../report/source';

/** Offsets in the file. */
export interface Place {
  /** Of the key; of a list's item: of the item. */
  readonly key: number;
  readonly start: number;
  readonly end: number;
}

/** A number that is not written as plain decimal digits: YAML 1.1 and 1.2 do not agree on `010`. */
export interface OddNumber {
  readonly path: Path;
  readonly place: Place;
  readonly value: number;
}

export type Data = Record<string, unknown>;

type Places = ReadonlyMap<object, ReadonlyMap<string, Place>>;

/** A file may repeat itself through aliases, but not grow by them without bound. */
const MOST_ALIASED_VALUES = 100_000;
/** A long text counts as several values. */
const CHARACTERS_OF_A_VALUE = 64;

export class Tree {
  constructor(
    readonly source: Source,
    readonly root: unknown,
    readonly oddNumbers: readonly OddNumber[],
    private readonly places: Places,
  ) {}

  place(path: Path): Place | undefined {
    let data = this.root;
    let place: Place | undefined;
    for (const step of path) {
      if (typeof data !== 'object' || data === null) return undefined;
      place = this.places.get(data)?.get(String(step));
      if (place === undefined) return undefined;
      data = (data as Data)[step];
    }
    return place;
  }

  /** In the order of the file, which an object does not keep for keys such as `7007`. */
  keysOf(map: object): string[] {
    return [...(this.places.get(map)?.keys() ?? [])];
  }

  /** A value as the file writes it. */
  textAt({ start, end }: Place): string {
    return this.source.text.slice(start, end);
  }
}

export function buildTree(document: Document.Parsed, source: Source, problems: Problems): Tree {
  const builder = new TreeBuilder(source, problems);
  const root = builder.build(document.contents, []);
  return new Tree(source, root, builder.oddNumbers, builder.places);
}

export function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What an anchor names, with the number of values in it: an alias costs as many. */
interface Anchored {
  readonly data: unknown;
  readonly size: number;
}

class TreeBuilder {
  readonly oddNumbers: OddNumber[] = [];
  readonly places = new Map<object, Map<string, Place>>();
  private readonly anchors = new Map<string, Anchored>();
  /** Values built so far, aliased ones counted each time. */
  private size = 0;
  private aliased = 0;

  constructor(
    private readonly source: Source,
    private readonly problems: Problems,
  ) {}

  build(node: unknown, path: Path): unknown {
    if (isAlias(node)) return this.follow(node, path);
    const before = this.size;
    this.size += 1;
    const data = this.buildValue(node, path);
    if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.tag !== undefined) this.reportTag(node, path);
      if (node.anchor !== undefined) this.anchors.set(node.anchor, { data, size: this.size - before + lengthOf(node) });
    }
    return data;
  }

  private buildValue(node: unknown, path: Path): unknown {
    if (isMap(node)) return this.buildMap(node, path);
    if (isSeq(node)) return this.buildList(node, path);
    if (!isScalar(node)) return null;
    if (typeof node.value === 'number') this.noteNumber(node, node.value, path);
    return node.value;
  }

  private buildMap(map: YAMLMap, path: Path): Data {
    const data = Object.create(null) as Data;
    const places = new Map<string, Place>();
    this.places.set(data, places);
    for (const pair of map.items) {
      if (this.problems.isFull) break;
      this.buildPair(pair, path, data, places);
    }
    return data;
  }

  private buildPair(pair: Pair, path: Path, data: Data, places: Map<string, Place>): void {
    const keyOffset = startOf(pair.key);
    const key = isScalar(pair.key) ? keyText(pair.key) : undefined;
    const problem = this.refuseKey(key, key === undefined ? undefined : places.get(key));
    if (problem !== undefined || key === undefined) {
      if (problem !== undefined) this.report(keyOffset, path, problem);
      return;
    }
    places.set(key, { key: keyOffset, ...extentOf(pair.value, keyOffset) });
    data[key] = this.build(pair.value, [...path, key]);
  }

  private refuseKey(key: string | undefined, earlier: Place | undefined): Problem | undefined {
    if (key === undefined) return { message: 'a key must be a plain word', remedy: null };
    if (key === '__proto__') return { message: 'the key "__proto__" is reserved', remedy: 'choose another name' };
    if (key === '<<') {
      return { message: 'merge keys ("<<") are not supported', remedy: 'put what services share in "defaults"' };
    }
    if (earlier === undefined) return undefined;
    const { line, column } = this.source.position(earlier.key);
    const first = `${this.source.file}:${line}:${column}`;
    return { message: `duplicate key "${key.slice(0, 60)}": the first is at ${first}`, remedy: 'remove one of them' };
  }

  private buildList(list: YAMLSeq, path: Path): unknown[] {
    const data: unknown[] = [];
    const places = new Map<string, Place>();
    this.places.set(data, places);
    for (const [index, item] of list.items.entries()) {
      if (this.problems.isFull) break;
      const extent = extentOf(item, startOf(list));
      places.set(String(index), { key: extent.start, ...extent });
      data.push(this.build(item, [...path, index]));
    }
    return data;
  }

  /** The data is shared, not copied; what is bounded is the work of those who walk through it. */
  private follow(alias: Alias.Parsed | Alias, path: Path): unknown {
    const anchored = this.anchors.get(alias.source);
    if (anchored === undefined) {
      this.report(startOf(alias), path, explainAlias(alias.source));
      return null;
    }
    this.size += anchored.size;
    this.aliased += anchored.size;
    if (this.aliased <= MOST_ALIASED_VALUES) return anchored.data;
    const remedy = 'write the values out, or put what services share in "defaults"';
    this.report(startOf(alias), path, { message: 'the aliases stand for too many values', remedy });
    return null;
  }

  private reportTag(node: Scalar | YAMLMap | YAMLSeq, path: Path): void {
    const start = startOf(node);
    const before = this.source.text.slice(Math.max(0, start - 200), start);
    const tag = /!\S*(?=\s*(?:&\S+\s*)?$)/.exec(before);
    const remedy = isScalar(node) ? 'remove it; to make a value text, quote it' : 'remove it';
    const offset = tag === null ? start : start - before.length + tag.index;
    this.report(offset, path, { message: `YAML tags (${tag?.[0] ?? '!'}) are not supported`, remedy });
  }

  private noteNumber(node: Scalar, value: number, path: Path): void {
    if (node.source === String(value)) return;
    const offset = startOf(node);
    this.oddNumbers.push({ path, place: { key: offset, ...extentOf(node, offset) }, value });
  }

  private report(offset: number, path: Path, problem: Problem): void {
    this.problems.report({ source: this.source, offset, path: formatPath(path) }, problem);
  }
}

/** `listen: *:80` is an alias to YAML, and the commonest one in this file. */
function explainAlias(name: string): Problem {
  if (name.startsWith(':')) {
    return { message: 'an address that begins with "*" must be quoted', remedy: `write "*${name}"` };
  }
  return {
    message: `no anchor "&${name.slice(0, 60)}" stands before this alias`,
    remedy: 'quote the value if it is text',
  };
}

function keyText(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

/** In values. */
function lengthOf(node: Scalar | YAMLMap | YAMLSeq): number {
  const { start, end } = extentOf(node, 0);
  return Math.floor((end - start) / CHARACTERS_OF_A_VALUE);
}

function startOf(node: unknown): number {
  return extentOf(node, 0).start;
}

/** A value that is not there (`user:`) has no extent: its key stands for it. */
function extentOf(node: unknown, otherwise: number): { start: number; end: number } {
  const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
  if (!range || range[0] === range[1]) return { start: otherwise, end: otherwise };
  return { start: range[0], end: range[1] };
}
