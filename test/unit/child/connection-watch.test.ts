/**
 * When a session is asked about, and what follows from the answer, or from none.
 */
import { ConnectionWatch, type AskConnections } from '../../../src/child/connection-watch';
import type { Child, EndReason } from '../../../src/child/children';
import type { ConnectionFacts } from '../../../src/child/questions';
import type { Pid } from '../../../src/native/addon';

type Ended = [owner: string, reason: EndReason][];

const IDLE_MS = 1000;
const QUESTION = Buffer.from('c1');

let facts: ConnectionFacts | undefined;
let askedMs: number[];
let ended: Ended;
let alive: Set<unknown>;

beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
  [facts, askedMs, ended, alive] = [undefined, [], [], new Set()];
});

afterEach(() => jest.useRealTimers());

const ask: AskConnections = (questions, onAnswered) => {
  askedMs.push(Date.now());
  onAnswered(questions.map(() => facts));
};

function watch(disconnectMs: number | null): Child<string> {
  const limits = { idleMs: IDLE_MS, disconnectMs };
  const children = { has: (child: unknown): boolean => alive.has(child) };
  const one = new ConnectionWatch<string>(children, limits, ask, (due, reason) => {
    for (const { owner } of due) ended.push([owner, reason]);
  });
  const errand = { onExit: (): void => undefined };
  const child = { pid: 1 as Pid, owner: 'c1', startedMs: 0, errand, stopSignal: 'SIGTERM' as const, onlyUid: null };
  alive.add(child);
  one.add(child, QUESTION);
  return child;
}

test('a session of which nothing can be told goes on, and is asked about every few seconds', () => {
  watch(500);
  jest.advanceTimersByTime(21_000);
  expect(ended).toEqual([]);
  expect(askedMs.length).toBeLessThan(6);
  expect(askedMs.length).toBeGreaterThan(2);
});

test('when it can be told again all of the time counts in which it was quiet', () => {
  watch(null);
  jest.advanceTimersByTime(3000);
  facts = { state: 'open', quietMs: 2000 };
  jest.advanceTimersByTime(5000);
  expect(ended).toEqual([['c1', 'idle-timeout']]);
});

test('one that was busy meanwhile goes on', () => {
  watch(null);
  jest.advanceTimersByTime(3000);
  facts = { state: 'open', quietMs: 10 };
  jest.advanceTimersByTime(3500);
  expect([ended, askedMs.length]).toEqual([[], 2]);
});

test('one that has ended is asked about no more', () => {
  alive.delete(watch(null));
  jest.advanceTimersByTime(20_000);
  expect(askedMs).toEqual([]);
});
