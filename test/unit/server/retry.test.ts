/**
 * When services that are unavailable are tried again, with a pretended thread for the loader and a pretended clock.
 */
import { EventEmitter } from 'node:events';
import type { LoadResult } from '../../../src/config/load';
import type { LogEvent } from '../../../src/log/events';
import { pack } from '../../../src/server/packets';
import { Retrier } from '../../../src/server/retry';
import type { Configuration } from '../../../src/service/service';

const mockThreads: { options: unknown; loader: EventEmitter & { unref: jest.Mock } }[] = [];

jest.mock('node:worker_threads', () => ({
  Worker: function (_file: string, options: unknown): EventEmitter {
    const events = new (jest.requireActual<{ EventEmitter: typeof EventEmitter }>('node:events').EventEmitter)();
    const loader = Object.assign(events, { unref: jest.fn() });
    mockThreads.push({ options, loader });
    return loader;
  },
}));

const TEXTS = [{ file: '/services.yaml', text: 'services: {}' }];
const FOUND = {
  ok: true,
  configuration: { services: [], lacks: [], limits: { maxConnections: 1 }, log: { format: 'auto' } },
  effective: { limits: { max_connections: 1 }, log: { format: 'auto' }, services: {} },
  diagnostics: [],
  warnings: [],
  texts: TEXTS,
} satisfies LoadResult;

let told: LogEvent[];
let retried: Configuration[];
let isLacking: boolean;
let fault: Error | null;
let retrier: Retrier;

beforeEach(() => {
  jest.useFakeTimers();
  mockThreads.length = 0;
  [told, retried, isLacking, fault] = [[], [], true, null];
  const server = {
    retry: (found: Configuration): Promise<void> => {
      if (fault !== null) return Promise.reject(fault);
      retried.push(found);
      return Promise.resolve();
    },
    get isLacking() {
      return isLacking;
    },
  };
  const emit = (event: LogEvent): void => void told.push(event);
  retrier = new Retrier(
    { file: '/services.yaml', passed: [] },
    server,
    emit,
    { slowMs: 5_000, limitMs: 30_000 },
    1_000,
  );
});

afterEach(() => jest.useRealTimers());

async function answer(result: LoadResult = FOUND): Promise<void> {
  mockThreads.at(-1)?.loader.emit('message', pack(result));
  await jest.advanceTimersByTimeAsync(0);
}

/** How long until the next attempt, in seconds; it is answered at once. */
async function secondsToNext(): Promise<number> {
  const [count, begin] = [mockThreads.length, performance.now()];
  while (mockThreads.length === count) await jest.advanceTimersByTimeAsync(1_000);
  const took = (performance.now() - begin) / 1_000;
  await answer();
  return took;
}

test('nothing is tried while every service is served', async () => {
  isLacking = false;
  retrier.begin(TEXTS);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(mockThreads).toEqual([]);
});

test('the pause doubles, from a second to a minute', async () => {
  retrier.begin(TEXTS);
  const pauses: number[] = [];
  while (pauses.length < 8) pauses.push(await secondsToNext());
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
});

test('the machine is asked about what was read, and no file', async () => {
  retrier.begin(TEXTS);
  await secondsToNext();
  expect(mockThreads).toMatchObject([{ options: { workerData: { texts: TEXTS } } }]);
  expect(retried).toEqual([FOUND.configuration]);
});

test('a reload begins with a short pause again', async () => {
  retrier.begin(TEXTS);
  for (let times = 0; times < 5; times += 1) await secondsToNext();
  retrier.begin(TEXTS);
  expect(await secondsToNext()).toBe(1);
});

test('it ends when nothing is lacking any more', async () => {
  retrier.begin(TEXTS);
  await jest.advanceTimersByTimeAsync(1_000);
  isLacking = false;
  await answer();
  await jest.advanceTimersByTimeAsync(600_000);
  expect(mockThreads).toHaveLength(1);
});

test.each(['a reload', 'a stop'])('an attempt that is under way comes to nothing with %s', async (what) => {
  retrier.begin(TEXTS);
  await jest.advanceTimersByTimeAsync(1_000);
  if (what === 'a reload') retrier.begin(TEXTS);
  else retrier.stop();
  await answer();
  expect(retried).toEqual([]);
});

test('after a stop there is no attempt', async () => {
  retrier.begin(TEXTS);
  retrier.stop();
  await jest.advanceTimersByTimeAsync(600_000);
  expect(mockThreads).toEqual([]);
});

test('one that hangs is told once, and there is no second one beside it, whatever is reloaded', async () => {
  retrier.begin(TEXTS);
  await jest.advanceTimersByTimeAsync(5_000);
  retrier.begin(TEXTS);
  await jest.advanceTimersByTimeAsync(3_600_000);
  expect(mockThreads).toHaveLength(1);
  expect(told).toMatchObject([{ event: 'problem', file: '/services.yaml' }]);
  mockThreads[0]?.loader.emit('exit', 0);
  await jest.advanceTimersByTimeAsync(3_600_000);
  expect(mockThreads).toHaveLength(2);
});

test('what nobody foresaw costs the attempt and is told', async () => {
  fault = new Error('no such thing');
  retrier.begin(TEXTS);
  await secondsToNext();
  await secondsToNext();
  expect(told).toMatchObject([{ event: 'problem', message: 'could not be applied: no such thing' }]);
});
