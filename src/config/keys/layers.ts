/**
 * A service's keys as they lie over each other: its own, its file's defaults, the main file's defaults.
 * The stages of a load ask it what holds and where that was written, and report to it.
 */
import { dirname } from 'node:path';
import { type Path, formatPath } from '../report/path';
import { type Problem, Problems, type Spot } from '../report/problems';
import { type Data, type Place, type Tree, isData } from '../yaml/tree';

/** One map of keys in one file. */
export interface Layer {
  readonly tree: Tree;
  /** Where the map stands: `services.web`, `defaults`. */
  readonly base: Path;
  /** Its keys; of defaults those that are right. */
  readonly data: Data;
}

export class Layers {
  constructor(
    readonly name: string,
    /** From the service's own layer down. */
    private readonly layers: readonly [Layer, ...Layer[]],
    private readonly problems: Problems,
    /** Takes what is wrong with this machine, and not with the text. */
    private readonly machineProblems = problems,
    /** Takes what is odd, and keeps nothing from being served. */
    private readonly warnings = new Problems(),
  ) {}

  /** The same layers, for what is wrong with this machine, and not with the text. */
  get onMachine(): Layers {
    return this.into(this.machineProblems);
  }

  /** The same layers, for what is odd and not wrong. */
  get asWarning(): Layers {
    return this.into(this.warnings);
  }

  /** The same layers, that report somewhere else. */
  into(problems: Problems): Layers {
    return new Layers(this.name, this.layers, problems);
  }

  /** The same layers of a service that is not to run here: what the machine lacks for it is no problem. */
  ignoringMachine(): Layers {
    return new Layers(this.name, this.layers, this.problems, new Problems());
  }

  get isFull(): boolean {
    return this.problems.isFull;
  }

  merged(): Data {
    const result = Object.create(null) as Data;
    for (const { data } of [...this.layers].reverse()) {
      for (const [key, value] of Object.entries(data)) result[key] = lay(value, result[key]);
    }
    return result;
  }

  /** Whether the service itself says it, and not its defaults. */
  isOwn(path: Path): boolean {
    const [own] = this.layers;
    return own.tree.place([...own.base, ...path]) !== undefined;
  }

  /** Where a key or an item of a list is written, for messages about another one: `services.yaml:3:5`. */
  where(path: Path): string {
    const { layer, place } = this.find(path);
    const { line, column } = layer.tree.source.position(place.key);
    return `${layer.tree.source.file}:${line}:${column}`;
  }

  /** `index`: of a character in the text at the path, for a caret inside it. */
  report(path: Path, problem: Problem, index = 0): void {
    this.problems.report(this.spot(path, index), problem);
  }

  /** With the caret under a key. The problem is one of the map that the key stands in, unless `about` says otherwise. */
  reportKey(path: Path, problem: Problem, about = path.slice(0, -1)): void {
    const { layer, place } = this.find(path);
    const spot = { source: layer.tree.source, offset: place.key, path: formatPath([...layer.base, ...about]) };
    this.problems.report(spot, problem);
  }

  /** For a place in a file that the service names. */
  reportAt(spot: Spot, problem: Problem): void {
    this.problems.report(spot, problem);
  }

  isReported(path: Path): boolean {
    const { source, offset } = this.spot(path);
    return offset !== null && this.problems.isReportedAt(source, offset);
  }

  /** The value at the path as the file writes it; empty when it is not there. */
  written(path: Path): string {
    const found = this.findExact(path);
    return found === undefined ? '' : found.layer.tree.textAt(found.place);
  }

  /** The folder of the file that says the value, which relative paths start from. */
  folderOf(path: Path): string {
    return dirname(this.find(path).layer.tree.source.file);
  }

  spot(path: Path, index = 0): Spot {
    const { layer, place, path: found } = this.find(path);
    const offset = place.start + (index > 0 ? offsetInside(layer.tree, place, index) : 0);
    return { source: layer.tree.source, offset, path: formatPath(found) };
  }

  /** The nearest thing that is written: a missing key's place is that of its map. */
  private find(path: Path): { layer: Layer; place: Place; path: Path } {
    for (let length = path.length; length > 0; length -= 1) {
      const found = this.findExact(path.slice(0, length));
      if (found !== undefined) return { ...found, path: [...found.layer.base, ...path] };
    }
    const [own] = this.layers;
    const place = own.tree.place(own.base) ?? { key: 0, start: 0, end: 0 };
    return { layer: own, place: { ...place, start: place.key }, path: [...own.base, ...path] };
  }

  private findExact(path: Path): { layer: Layer; place: Place } | undefined {
    for (const layer of this.layers) {
      const place = layer.tree.place([...layer.base, ...path]);
      if (place !== undefined) return { layer, place };
    }
    return undefined;
  }
}

/** For a map of one file that nothing lies under: `base` is where it stands. */
export function reporterFor(tree: Tree, base: Path, problems: Problems): Layers {
  return new Layers('', [{ tree, base, data: {} }], problems);
}

/** Maps are laid over each other key by key; everything else replaces what lies below. */
function lay(value: unknown, below: unknown): unknown {
  if (!isData(value) || !isData(below)) return value;
  return Object.assign(Object.create(null), below, value) as Data;
}

/** Only where the file writes the text as it is; in a folded or escaped one the caret stays at its beginning. */
function offsetInside(tree: Tree, place: Place, index: number): number {
  const written = tree.textAt(place);
  const isFolded = written.includes('\n') || written.startsWith('*') || index >= written.length;
  const isEscaped = written.startsWith('"') ? written.includes('\\') : /^'.*''.*'$/.test(written);
  if (isFolded || isEscaped) return 0;
  return index + (/^["']/.test(written) ? 1 : 0);
}
