/**
 * HUP with a pretended thread for the loader: what it says is applied, or told as rejected, and no more than one runs.
 */
import { EventEmitter } from 'node:events';
import type { LoadResult } from '../../../src/config/load';
import { formatChooser } from '../../../src/log/choose';
import type { LogEvent } from '../../../src/log/events';
import { pack } from '../../../src/server/packets';
import { Reloader } from '../../../src/server/reload';
import type { Configuration } from '../../../src/service/service';

/** Every loader that was started, with what it was told. */
const mockThreads: { options: unknown; loader: EventEmitter & { unref: jest.Mock } }[] = [];
/** Why no thread can be started. */
let mockRefusal: Error | null = null;

jest.mock('node:worker_threads', () => ({
  Worker: function (_file: string, options: unknown): EventEmitter {
    if (mockRefusal !== null) throw mockRefusal;
    const events = new (jest.requireActual<{ EventEmitter: typeof EventEmitter }>('node:events').EventEmitter)();
    const loader = Object.assign(events, { unref: jest.fn() });
    mockThreads.push({ options, loader });
    return loader;
  },
}));

const ORDER = { file: 'services.yaml', passed: [] };
const TEXTS = [{ file: '/services.yaml', text: '' }];
const PATIENCE = { slowMs: 5_000, limitMs: 30_000 };
const PLACE = { file: 'services.yaml', line: 3, column: 5, path: 'services.web', source: '', sourceColumn: 1 };

let applied: Configuration[];
/** What is tried again from now on. */
let begun: unknown[];
/** What the server throws when it is given a configuration. */
let fault: Error | null;
let told: LogEvent[];
let formats: number;
/** Whether what was applied came in force. */
let inForce: Promise<boolean>;
let reloader: Reloader;

beforeEach(() => {
  mockThreads.length = 0;
  [mockRefusal, applied, begun, fault, told, formats] = [null, [], [], null, [], 0];
  inForce = Promise.resolve(true);
  reloader = reloaderOf();
});

function reloaderOf(): Reloader {
  const server = {
    reload: (configuration: Configuration): Promise<boolean> => {
      if (fault !== null) return Promise.reject(fault);
      applied.push(configuration);
      return inForce;
    },
  };
  const log = {
    emit: (event: LogEvent): void => void told.push(event),
    setFormat: (): void => void (formats += 1),
  };
  const retrier = { begin: (texts: unknown): void => void begun.push(texts) };
  return new Reloader(ORDER, server, retrier, log, formatChooser(null, false), PATIENCE);
}

function says(maxConnections: number): LoadResult {
  const log = { format: 'auto' } as const;
  const configuration: Configuration = { services: [], lacks: [], limits: { maxConnections }, log };
  return {
    ok: true,
    configuration,
    effective: { limits: { max_connections: maxConnections }, log, services: {} },
    diagnostics: [],
    warnings: [],
    texts: TEXTS,
  };
}

/** The loader that was started last answers and ends. */
async function answer(result: LoadResult): Promise<void> {
  await happens('message', pack(result));
}

async function happens(event: string, ...words: unknown[]): Promise<void> {
  mockThreads.at(-1)?.loader.emit(event, ...words);
  await settled();
}

/** Whatever was to follow has followed. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function limitsApplied(): number[] {
  return applied.map(({ limits }) => limits.maxConnections);
}

test('the file is read on a thread with ends of its own, and what it says is applied', async () => {
  reloader.request();
  expect(mockThreads).toMatchObject([{ options: { workerData: ORDER, stdout: true, stderr: true } }]);
  expect(applied).toEqual([]);
  await answer(says(5));
  expect([limitsApplied(), told, formats, begun]).toEqual([[5], [], 1, [TEXTS]]);
});

test('signals that come while the file is read lead to one more reload, not to many', async () => {
  for (let times = 0; times < 3; times += 1) reloader.request();
  expect(mockThreads).toHaveLength(1);
  await answer(says(1));
  expect(mockThreads).toHaveLength(2);
  await answer(says(2));
  expect([mockThreads.length, limitsApplied()]).toEqual([2, [1, 2]]);
});

test('a signal that comes afterwards is a reload of its own', async () => {
  for (const limit of [1, 2]) {
    reloader.request();
    await answer(says(limit));
  }
  expect([mockThreads.length, limitsApplied()]).toEqual([2, [1, 2]]);
});

test('every problem of the file is told, and nothing is applied', async () => {
  reloader.request();
  const problems = ['one', 'two'].map((message) => ({ ...PLACE, message, remedy: null }));
  await answer({ ok: false, diagnostics: problems });
  const place = { file: 'services.yaml', line: 3, column: 5, path: 'services.web', shown: expect.any(Function) };
  expect(told).toEqual([
    { event: 'problem', ...place, message: 'one', remedy: null },
    { event: 'problem', ...place, message: 'two', remedy: null },
    { event: 'rejected', problems: 2 },
  ]);
  expect([applied, formats]).toEqual([[], 0]);
});

test('of very many problems the first hundred are told, and how many there are', async () => {
  reloader.request();
  const problems = Array.from({ length: 1000 }, (_, index) => ({ ...PLACE, message: `${index}`, remedy: null }));
  await answer({ ok: false, diagnostics: problems });
  expect(told).toHaveLength(101);
  expect(told.at(-1)).toEqual({ event: 'rejected', problems: 1000 });
});

test.each<[string, () => Promise<void> | void, string]>([
  ['throws', () => happens('error', new Error('out of memory')), 'out of memory'],
  ['ends without a word', () => happens('exit', 1), 'the loader ended without a word'],
])('a loader that %s is a problem of the file, and the next one is started as ever', async (_, fail, message) => {
  reloader.request();
  await fail();
  expect(told).toMatchObject([
    { event: 'problem', file: 'services.yaml', message: `could not be loaded: ${message}` },
    { event: 'rejected', problems: 1 },
  ]);
  reloader.request();
  await answer(says(1));
  expect(limitsApplied()).toEqual([1]);
});

test('a thread that cannot be started is told likewise', async () => {
  mockRefusal = new Error('EAGAIN');
  reloader.request();
  await settled();
  expect(told).toMatchObject([{ event: 'problem', message: 'could not be loaded: EAGAIN' }, { event: 'rejected' }]);
  mockRefusal = null;
  reloader.request();
  await answer(says(1));
  expect(limitsApplied()).toEqual([1]);
});

test('a loader that answers and then ends has answered', async () => {
  reloader.request();
  await answer(says(1));
  await happens('exit', 0);
  expect([told, limitsApplied()]).toEqual([[], [1]]);
});

test('a server that drains takes no new configuration, not even one that is being read', async () => {
  reloader.request();
  reloader.request();
  reloader.stop();
  await answer(says(1));
  reloader.request();
  await settled();
  expect([applied, told]).toEqual([[], []]);
});

test('what a stop has given up is tried by nobody again', async () => {
  inForce = Promise.resolve(false);
  reloader.request();
  await answer(says(1));
  expect([limitsApplied(), begun, formats, told]).toEqual([[1], [], 0, []]);
});

test('a signal that comes while it is brought in force leads to one more reload, afterwards', async () => {
  let settle: (isInForce: boolean) => void = () => undefined;
  inForce = new Promise((resolve) => (settle = resolve));
  reloader.request();
  await answer(says(1));
  for (let times = 0; times < 3; times += 1) reloader.request();
  await settled();
  expect([mockThreads.length, begun]).toEqual([1, []]);
  settle(true);
  await settled();
  expect([mockThreads.length, begun]).toEqual([2, [TEXTS]]);
});

test('what the server throws costs the reload, is told, and the next one is as ever', async () => {
  fault = new Error('EMFILE');
  reloader.request();
  await answer(says(1));
  expect(told).toMatchObject([
    { event: 'problem', file: 'services.yaml', message: 'could not be applied: EMFILE' },
    { event: 'rejected', problems: 1 },
  ]);
  fault = null;
  reloader.request();
  await answer(says(2));
  expect(limitsApplied()).toEqual([2]);
});

describe('a loader that does not answer', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate'] }));
  afterEach(() => jest.useRealTimers());

  async function passes(ms: number): Promise<void> {
    jest.advanceTimersByTime(ms);
    await settled();
  }

  test('is told of, then given up', async () => {
    reloader.request();
    await passes(PATIENCE.slowMs);
    expect(told).toEqual([{ event: 'loading', file: 'services.yaml', duration: 5 }]);
    await passes(PATIENCE.limitMs - PATIENCE.slowMs - 1);
    expect(told).toHaveLength(1);
    await passes(1);
    expect(told.slice(1)).toMatchObject([
      { event: 'problem', message: 'could not be loaded: not read within 30 s, given up' },
      { event: 'rejected', problems: 1 },
    ]);
    expect(mockThreads[0]?.loader.unref).toHaveBeenCalled();
  });

  test('does not keep the next one from answering, and what it says later is not heard', async () => {
    reloader.request();
    await passes(PATIENCE.limitMs);
    reloader.request();
    mockThreads[0]?.loader.emit('message', pack(says(1)));
    await answer(says(2));
    await passes(PATIENCE.limitMs);
    expect(limitsApplied()).toEqual([2]);
    expect(told.filter(({ event }) => event === 'rejected')).toHaveLength(1);
  });

  test('is tried four times; more are not started until one of them ends', async () => {
    for (let time = 1; time <= 5; time += 1) {
      reloader.request();
      await passes(PATIENCE.limitMs);
    }
    expect(mockThreads).toHaveLength(4);
    const message = 'could not be loaded: 4 attempts before this one still hang';
    expect(told.slice(-2)).toMatchObject([{ event: 'problem', message }, { event: 'rejected' }]);
    mockThreads[1]?.loader.emit('exit', 1);
    reloader.request();
    await answer(says(1));
    expect([mockThreads.length, limitsApplied()]).toEqual([5, [1]]);
  });

  test('keeps nobody from reloading for ever: after four the next attempt has to wait, longer each time', async () => {
    const tryAfter = async (ms: number): Promise<number> => {
      await passes(ms);
      reloader.request();
      await passes(PATIENCE.limitMs);
      return mockThreads.length;
    };
    for (let time = 1; time <= 4; time += 1) await tryAfter(0);
    expect([await tryAfter(0), await tryAfter(30_000), await tryAfter(60_000), await tryAfter(60_000)]).toEqual([
      4, 5, 5, 6,
    ]);
  });

  test('leaves no timer behind once it answers', async () => {
    reloader.request();
    await answer(says(1));
    expect(jest.getTimerCount()).toBe(0);
  });
});
