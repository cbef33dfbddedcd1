/**
 * SECURITY.md promises nothing that no test holds: each numbered sentence has its tests, and those are there.
 */
import { textOf } from './imports';

const SECURITY = textOf('SECURITY.md');

interface Held {
  readonly promise: string;
  readonly file: string;
  readonly title: string;
}

/** The rows of the table at the end. */
function held(): Held[] {
  const rows = SECURITY.matchAll(/^\| ([CSUF]\d+)\s+\| (\S+)\s+\| (.+?)\s*\|$/gm);
  return [...rows].map(([, promise = '', file = '', title = '']) => ({ promise, file: `test/${file}`, title }));
}

/** The bullets below "What is promised", by their numbers. */
function promised(): string[] {
  const [, part = ''] = /^## What is promised$(.*?)^## /ms.exec(SECURITY) ?? [];
  return [...part.matchAll(/^- (.*)$/gm)].map(([, bullet = '']) => /^\*\*([CSUF]\d+)\*\* /.exec(bullet)?.[1] ?? bullet);
}

test('each promise has a number of its own, and tests', () => {
  const numbers = promised();
  expect(new Set(numbers).size).toBe(numbers.length);
  expect([...new Set(held().map(({ promise }) => promise))].sort()).toEqual([...numbers].sort());
});

test('each test that is named there is there', () => {
  expect(held().length).toBeGreaterThan(40);
  expect(held().filter(({ file, title }) => !textOf(file).includes(title))).toEqual([]);
});
