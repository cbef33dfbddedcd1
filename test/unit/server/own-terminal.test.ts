/**
 * When a HUP means that the terminal is gone.
 */
import { OwnTerminal } from '../../../src/server/own-terminal';

interface Start {
  /** Descriptors that are a terminal. */
  readonly terminals: readonly number[];
  readonly hasControlling?: boolean;
  readonly isForeground?: boolean;
}

/** Whether the end of the terminal is noticed by a stdiod that was started so. */
function mindsEnd({ terminals, hasControlling = true, isForeground = true }: Start): boolean {
  const terminal = hasControlling ? 34816 : 0;
  const foreground = hasControlling ? (isForeground ? 100 : 90) : -1;
  const stat = `100 (a) name (b)) S 90 100 90 ${terminal} ${foreground} 4194304 1 2 3`;
  let left = new Set(terminals);
  const own = new OwnTerminal(stat, (fd) => left.has(fd));
  expect(own.isGone).toBe(false);
  left = new Set();
  return own.isGone;
}

test('whoever has stderr on a terminal was started on it, in the background too', () => {
  expect(mindsEnd({ terminals: [0, 1, 2] })).toBe(true);
  expect(mindsEnd({ terminals: [0, 1, 2], isForeground: false })).toBe(true);
  expect(mindsEnd({ terminals: [2] })).toBe(true);
});

test('whoever runs in the foreground with events in a file was started on the terminal that it reads from', () => {
  expect(mindsEnd({ terminals: [0] })).toBe(true);
});

test('nobody else was: in the background with events in a file, under nohup, without a controlling terminal', () => {
  expect(mindsEnd({ terminals: [0, 1], isForeground: false })).toBe(false);
  expect(mindsEnd({ terminals: [] })).toBe(false);
  expect(mindsEnd({ terminals: [0, 1, 2], hasControlling: false })).toBe(false);
});

test('without /proc there is no terminal to lose', () => {
  expect(new OwnTerminal('', (fd) => fd === 2).isGone).toBe(false);
});
