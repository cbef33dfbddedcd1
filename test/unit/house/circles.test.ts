/**
 * The house: no file imports itself by way of others. Who reads a circle has to know all of it to understand any of it.
 */
import { filesIn, importsIn } from './imports';

const FILES = filesIn('src');
const IMPORTED = new Map(FILES.map((file) => [file, importsIn(file).map(({ imported }) => imported)]));

/** The files that can be reached from a file by its imports; the file itself only if it is in a circle. */
function reachableFrom(file: string): Set<string> {
  const reached = new Set<string>();
  const left = [...(IMPORTED.get(file) ?? [])];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    left.push(...(IMPORTED.get(next) ?? []));
  }
  return reached;
}

/** Each circle once, with all of its files. */
function circles(): string[][] {
  const reachable = new Map(FILES.map((file) => [file, reachableFrom(file)]));
  const isWith = (file: string, other: string): boolean =>
    (reachable.get(file)?.has(other) ?? false) && (reachable.get(other)?.has(file) ?? false);
  const found = FILES.map((file) => FILES.filter((other) => isWith(file, other)).sort());
  return found.filter((circle, at) => circle[0] === FILES[at]);
}

test('imports are found, and every one leads to a file', () => {
  const all = [...IMPORTED.values()].flat();
  expect(all.length).toBeGreaterThan(FILES.length);
  expect(all.filter((file) => !FILES.includes(file))).toEqual([]);
});

test('no file imports itself by way of others, types included', () => {
  expect(circles()).toEqual([]);
});
