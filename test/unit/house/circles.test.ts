/**
 * The house: no file imports itself by way of others. Who reads a circle has to know all of it to understand any of it.
 */
import { filesIn, importsIn } from './imports';

/** Circles that are still there. This list may only become shorter. */
const KNOWN: readonly (readonly string[])[] = [
  ['src/listener/bind.ts', 'src/listener/passed.ts', 'src/listener/unix-path.ts'],
  ['src/server/connections.ts', 'src/server/mux.ts', 'src/server/pauses.ts', 'src/server/redirects.ts'],
];

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

function isKnown(circle: readonly string[]): boolean {
  return KNOWN.some((known) => circle.every((file) => known.includes(file)));
}

test('imports are found, and every one leads to a file', () => {
  const all = [...IMPORTED.values()].flat();
  expect(all.length).toBeGreaterThan(FILES.length);
  expect(all.filter((file) => !FILES.includes(file))).toEqual([]);
});

test('no file imports itself by way of others, types included', () => {
  expect(circles().filter((circle) => !isKnown(circle))).toEqual([]);
});
