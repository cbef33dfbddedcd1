/**
 * Who waits for clients, on a pretended kernel: whom it tells when, and whom we believe.
 */
import type { Exit } from '../../../src/child/children';
import type { Request } from '../../../src/child/parked';
import type { Stock } from '../../../src/child/stock';
import { Stocks } from '../../../src/child/stocks';
import { addon, type Fd, type NativePlan, type Report } from '../../../src/native/addon';
import type { Warm } from '../../../src/service/service';
import { NO_USAGE } from '../service/sample';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    openReports: jest.fn(() => ({ reader: 1025, writer: 9 })),
    openUnconnected: jest.fn(() => 10),
    spawn: jest.fn(),
    handOver: jest.fn(() => true),
    readReport: jest.fn(),
    revoke: jest.fn(),
    close: jest.fn(),
    refuse: jest.fn(),
    isOwnChild: jest.fn(),
  },
}));
jest.mock('node:fs/promises', () => ({ stat: () => Promise.resolve({ dev: 1n, ino: 1n, size: 1n, mtimeNs: 1n }) }));

const kernel = jest.mocked(addon);
const WARM: Warm = {
  mode: 'template',
  size: 1,
  maxAgeMs: 3_600_000,
  maxUses: 100,
  startMs: 10_000,
  mayAskAddress: false,
  family: 'inet',
  park: '/park',
  files: ['/bin/cat'],
};
const EXIT: Exit = { status: 3, signal: null, hasCore: false, usage: NO_USAGE, rssBytes: null, failure: null };

let [said, told, children]: [Report[], string[], Set<number>] = [[], [], new Set()];
let readable: () => void;
let stocks: Stocks;
let stock: Stock;
let lastPid = 0;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  jest.spyOn(process, 'kill').mockReturnValue(true);
  [said, told, children, lastPid] = [[], [], new Set(), 100];
  kernel.spawn.mockImplementation(() => (lastPid += 1) as ReturnType<typeof addon.spawn>);
  kernel.readReport.mockImplementation(() => said.shift() ?? null);
  kernel.isOwnChild.mockReturnValue(true);
  const pollSet = {
    watch: (_: Fd, watcher: { onReadable: () => void }) => {
      readable = () => {
        watcher.onReadable();
      };
    },
    unwatch: jest.fn(),
  };
  stocks = new Stocks({ pollSet, isChild: (pid) => children.has(pid), onFreed: jest.fn() });
});

afterEach(() => {
  stocks.keep([]);
  jest.useRealTimers();
  jest.restoreAllMocks();
});

async function start(warm: Partial<Warm> = {}): Promise<void> {
  stock = stocks.make({
    warm: { ...WARM, ...warm },
    plan: {} as NativePlan,
    factsOf: () => '',
    onWarm: () => told.push('warm'),
    onCold: (reason, pauseMs) => told.push(`${reason} ${pauseMs}`),
  });
  stocks.keep([stock]);
  await new Promise(setImmediate);
}

function hear(...reports: readonly (readonly [pid: number, text: string])[]): void {
  said.push(...reports.map(([pid, text]) => ({ pid, text, isEnd: false })));
  readable();
}

/** A request, and what became of it. */
function ask(name: string): { readonly outcome: string[]; readonly isTaken: boolean } {
  const outcome: string[] = [];
  const request: Request = {
    fd: 7 as Fd,
    pipe: null,
    onWoken: (pid, family) => outcome.push(`${pid} ${family ?? '-'}`),
    onLost: () => outcome.push('lost'),
  };
  return { outcome, isTaken: stock.offer(request, name) };
}

test('who is not ready is not asked', async () => {
  await start();
  expect(ask('1').isTaken).toBe(false);
  hear([101, 'warm ']);
  expect(told).toEqual(['warm']);
  expect(ask('1').isTaken).toBe(true);
});

test('a clone that has been collected before we heard of it is known by the time its exit is told', async () => {
  await start();
  hear([101, 'warm ']);
  const { outcome } = ask('5');
  kernel.isOwnChild.mockReturnValue(false);
  said.push({ pid: 222, text: 'woke 5', isEnd: false });
  expect(stocks.isAsking).toBe(true);
  stocks.hear(new Set([222]));
  expect(outcome).toEqual(['222 -']);
  expect(stocks.isAsking).toBe(false);
});

test('nobody is believed to have woken who is not ours, is known already, or is the template itself', async () => {
  await start();
  hear([101, 'warm ']);
  const { outcome } = ask('5');
  children.add(300);
  kernel.isOwnChild.mockImplementation((pid) => pid !== 400);
  hear([300, 'woke 5'], [400, 'woke 5'], [101, 'woke 5']);
  expect(outcome).toEqual([]);
  hear([222, 'woke 5']);
  expect(outcome).toEqual(['222 -']);
});

test('who wakes with what nobody gave is ended', async () => {
  await start();
  hear([101, 'warm '], [222, 'woke 9']);
  expect(process.kill).toHaveBeenCalledWith(222, 'SIGKILL');
});

test('who has woken before the end is served; all others are lost, each once', async () => {
  await start();
  hear([101, 'warm ']);
  const [one, two] = [ask('1'), ask('2')];
  said.push({ pid: 222, text: 'woke 1', isEnd: false });
  stocks.settle(101, () => ({ ...EXIT, status: null, signal: 'SIGKILL' }));
  expect([one.outcome, two.outcome]).toEqual([['222 -'], ['lost']]);
  expect(told).toEqual(['warm', 'it ended while it waited (SIGKILL) 1000']);
  hear([333, 'woke 2']);
  expect(two.outcome).toEqual(['lost']);
});

test('one of a pool is asked once, and is its client’s from then on', async () => {
  await start({ mode: 'pool' });
  hear([101, 'warm ']);
  const { outcome } = ask('1');
  expect(ask('2').isTaken).toBe(false);
  hear([101, 'woke 1']);
  expect(outcome).toEqual([expect.stringMatching(/^101 w/)]);
  expect(stocks.settle(101, () => EXIT)).toBe(false);
});

test('after each failure in a row the pause is twice as long, and only another reason is told', async () => {
  await start();
  for (const pauseMs of [1000, 2000, 4000]) {
    stocks.settle(lastPid, () => EXIT);
    const before = lastPid;
    jest.advanceTimersByTime(pauseMs - 1);
    expect(lastPid).toBe(before);
    jest.advanceTimersByTime(1);
    expect(lastPid).toBe(before + 1);
  }
  expect(told).toEqual(['it ended before it used its connection (exit 3) 1000']);
  hear([lastPid, 'cold it has threads']);
  expect(told).toEqual([expect.any(String), 'it has threads 8000']);
});

test('who takes too long to be ready is ended', async () => {
  await start({ startMs: 5000 });
  jest.advanceTimersByTime(7000);
  expect(told).toEqual(['it has not used its connection within start_timeout 1000']);
  expect(process.kill).toHaveBeenCalledWith(101, 'SIGKILL');
});

test('two programs start at a time, of whatever services they are', async () => {
  const others = [1, 2, 3].map(() =>
    stocks.make({ warm: WARM, plan: {} as NativePlan, factsOf: () => '', onWarm: jest.fn(), onCold: jest.fn() }),
  );
  stocks.keep(others);
  await new Promise(setImmediate);
  expect(stocks.count).toBe(2);
  hear([102, 'warm ']);
  expect(stocks.count).toBe(3);
});
