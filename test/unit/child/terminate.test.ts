/**
 * From SIGTERM to SIGKILL, on pretended children.
 */
import type { Child } from '../../../src/child/children';
import { Terminator } from '../../../src/child/terminate';
import type { Found, Kin } from '../../../src/child/families';
import type { Pid } from '../../../src/native/addon';
import type { StopSignal } from '../../../src/service/stop-signal';

let alive: Set<Child<string>>;
/** `SIGTERM web`. */
let sent: string[];
/** `SIGTERM 2`. */
let told: string[];
const NOBODY: Found<string> = { of: () => [] };
const KIN: Kin<string> = {
  look: (onFound) => {
    onFound(NOBODY);
  },
  lookAll: (onSeen) => {
    onSeen([]);
  },
  signal: () => undefined,
};
let terminator: Terminator<string>;

beforeEach(() => {
  jest.useFakeTimers();
  [alive, sent, told] = [new Set(), [], []];
  const children = {
    has: (child: Child<string>): boolean => alive.has(child),
    signal: ({ owner }: Child<string>, signal: NodeJS.Signals): void => void sent.push(`${signal} ${owner}`),
  };
  terminator = new Terminator(children, (signal, count) => told.push(`${signal} ${count}`), KIN);
});

afterEach(() => jest.useRealTimers());

function childOf(owner: string, stopSignal: StopSignal = 'SIGTERM'): Child<string> {
  const errand = { onExit: () => undefined };
  const child = { pid: (alive.size + 1) as Pid, owner, startedMs: 0, errand, stopSignal, onlyUid: null };
  alive.add(child);
  return child;
}

test('children are asked to leave, and after their grace have to', () => {
  const group = [childOf('web'), childOf('mail')];
  terminator.begin(group, 5000, 'stop');
  jest.advanceTimersByTime(4999);
  expect([sent, told]).toEqual([['SIGTERM web', 'SIGTERM mail'], ['SIGTERM 2']]);
  jest.advanceTimersByTime(1);
  expect(sent.slice(2)).toEqual(['SIGSTOP web', 'SIGSTOP mail', 'SIGKILL web', 'SIGKILL mail']);
  expect(told).toEqual(['SIGTERM 2', 'SIGKILL 2']);
  expect(jest.getTimerCount()).toBe(0);
});

test('each child is asked by its own signal, and the end is told once', () => {
  const onDone = jest.fn();
  terminator.begin([childOf('web'), childOf('mail', 'SIGUSR1'), childOf('ftp')], 5000, 'stop', onDone);
  expect([sent, told]).toEqual([
    ['SIGTERM web', 'SIGTERM ftp', 'SIGUSR1 mail'],
    ['SIGTERM 2', 'SIGUSR1 1'],
  ]);
  jest.runAllTimers();
  expect(sent.slice(3).filter((each) => each.startsWith('SIGKILL'))).toEqual([
    'SIGKILL web',
    'SIGKILL ftp',
    'SIGKILL mail',
  ]);
  expect(onDone).toHaveBeenCalledTimes(1);
});

test('a child is stopped before it is looked for the last time whom it has made', () => {
  const look: Kin<string>['look'] = (onFound) => {
    sent.push('look');
    onFound(NOBODY);
  };
  const children = {
    has: (child: Child<string>): boolean => alive.has(child),
    signal: ({ owner }: Child<string>, signal: NodeJS.Signals): void => void sent.push(`${signal} ${owner}`),
  };
  new Terminator(children, () => undefined, { ...KIN, look }).begin([childOf('web')], 5000, 'stop');
  jest.runAllTimers();
  expect(sent).toEqual(['look', 'SIGTERM web', 'SIGSTOP web', 'look', 'SIGKILL web']);
});

test('a child does not wait for what belongs to it to be found', () => {
  const found: (() => void)[] = [];
  const look: Kin<string>['look'] = (onFound) => {
    found.push(() => {
      onFound(NOBODY);
    });
  };
  const children = {
    has: (child: Child<string>): boolean => alive.has(child),
    signal: ({ owner }: Child<string>, signal: NodeJS.Signals): void => void sent.push(`${signal} ${owner}`),
  };
  const slow = new Terminator(children, () => undefined, { ...KIN, look });
  const onDone = jest.fn();
  slow.begin([childOf('web')], 5000, 'stop', onDone);
  jest.advanceTimersByTime(250);
  expect(sent).toEqual(['SIGTERM web']);
  jest.advanceTimersByTime(5500);
  expect([sent.at(-1), onDone.mock.calls.length]).toEqual(['SIGKILL web', 1]);
  for (const answer of found.splice(0)) answer();
  expect([sent.filter((each) => each.startsWith('SIGTERM')).length, onDone.mock.calls.length]).toEqual([1, 1]);
});

test('who has left within the grace is not signalled again', () => {
  const [web, mail] = [childOf('web'), childOf('mail')];
  terminator.begin([web, mail], 5000, 'stop');
  alive.delete(web);
  jest.advanceTimersByTime(5000);
  expect([sent.slice(2), told]).toEqual([
    ['SIGSTOP mail', 'SIGKILL mail'],
    ['SIGTERM 2', 'SIGKILL 1'],
  ]);
});

test('when nobody is left, nobody is signalled and nothing is told', () => {
  const web = childOf('web');
  alive.clear();
  terminator.begin([web], 5000, 'stop');
  terminator.begin([], 5000, 'stop');
  terminator.end([web], 'stop');
  jest.runAllTimers();
  expect([sent, told, web.endReason]).toEqual([[], [], undefined]);
});

test('only the group is meant, whoever else lives', () => {
  const web = childOf('web');
  childOf('mail');
  terminator.begin([web], 100, 'stop');
  jest.runAllTimers();
  expect(sent).toEqual(['SIGTERM web', 'SIGSTOP web', 'SIGKILL web']);
});

test('the end can come at once, without a grace', () => {
  terminator.end([childOf('web')], 'stop');
  expect([sent, told, jest.getTimerCount()]).toEqual([['SIGKILL web'], ['SIGKILL 1'], 0]);
});

test('a child knows why it was ended before it gets the signal, and the first reason stays', () => {
  const reasons: unknown[] = [];
  const children = {
    has: (): boolean => true,
    signal: ({ endReason }: Child<string>): void => void reasons.push(endReason),
  };
  const web = childOf('web');
  new Terminator(children, () => undefined, KIN).begin([web], 100, 'stop');
  jest.runAllTimers();
  expect([reasons, web.endReason]).toEqual([['stop', 'stop', 'stop'], 'stop']);
});

test('a grace keeps nobody from leaving: no timer holds up the process', () => {
  jest.useRealTimers();
  const setTimer = jest.spyOn(globalThis, 'setTimeout');
  terminator.begin([childOf('web')], 60_000, 'stop');
  const [timer] = setTimer.mock.results.map(({ value }) => value as NodeJS.Timeout);
  setTimer.mockRestore();
  expect(timer?.hasRef()).toBe(false);
  clearTimeout(timer);
});
