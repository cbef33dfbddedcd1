/**
 * What each signal asks of a running server.
 */
import type { LogEvent } from '../../../src/log/events';
import { Control } from '../../../src/server/control';
import type { OperatorSignal } from '../../../src/server/signals';

let calls: string[];
let told: LogEvent[];
/** How the server ended. */
let ends: boolean[];
let settle: (isClean: boolean) => void;
let control: Control;
let terminal: { isGone: boolean };

beforeEach(() => {
  terminal = { isGone: false };
  [calls, told, ends] = [[], [], []];
  control = controlOf(true);
});

function controlOf(hasFile: boolean): Control {
  const server = {
    logStatus: (): void => void calls.push('status'),
    stop: (signal: string): Promise<boolean> => {
      calls.push(`stop ${signal}`);
      return new Promise((resolve) => (settle = resolve));
    },
    stopAtOnce: (): void => void calls.push('stop at once'),
  };
  const reloader = {
    request: (): void => void calls.push('reload'),
    stop: (): void => void calls.push('no more reloads'),
  };
  return new Control(
    server,
    hasFile ? reloader : null,
    terminal,
    { stop: (): void => void calls.push('no more retries') },
    (event) => told.push(event),
    (isClean) => ends.push(isClean),
  );
}

function signal(...signals: OperatorSignal[]): void {
  for (const each of signals) control.onSignal(each);
}

const STOP = ['no more reloads', 'no more retries', 'stop SIGTERM'];

test.each<[OperatorSignal[], string[]]>([
  [['SIGHUP'], ['reload']],
  [
    ['SIGHUP', 'SIGHUP'],
    ['reload', 'reload'],
  ],
  [['SIGUSR1'], ['status']],
  [['SIGTERM'], STOP],
  [['SIGINT'], ['no more reloads', 'no more retries', 'stop SIGINT']],
  [['SIGTERM', 'SIGTERM'], STOP],
  [
    ['SIGTERM', 'SIGINT'],
    [...STOP, 'stop at once'],
  ],
  [
    ['SIGINT', 'SIGINT'],
    ['no more reloads', 'no more retries', 'stop SIGINT', 'stop at once'],
  ],
  [
    ['SIGINT', 'SIGTERM'],
    ['no more reloads', 'no more retries', 'stop SIGINT'],
  ],
  [['SIGQUIT'], ['no more reloads', 'no more retries', 'stop SIGQUIT', 'stop at once']],
  [
    ['SIGINT', 'SIGQUIT'],
    ['no more reloads', 'no more retries', 'stop SIGINT', 'stop at once'],
  ],
  [
    ['SIGTERM', 'SIGUSR1'],
    [...STOP, 'status'],
  ],
])('%j', (signals, expected) => {
  signal(...signals);
  expect([calls, told]).toEqual([expected, []]);
});

test('a signal that asks for nothing is told as ignored', () => {
  signal('SIGUSR2');
  expect([calls, told]).toEqual([[], [{ event: 'ignored', signal: 'SIGUSR2' }]]);
});

test.each([true, false])(
  'a HUP from a terminal that is gone is the end, and another changes nothing; a file: %s',
  (hasFile) => {
    control = controlOf(hasFile);
    terminal.isGone = true;
    signal('SIGHUP', 'SIGHUP');
    expect([calls.filter((call) => !call.startsWith('no more')), told]).toEqual([['stop SIGHUP'], []]);
  },
);

test('without a file there is nothing to reload, and to stop is to stop', () => {
  control = controlOf(false);
  signal('SIGHUP', 'SIGTERM');
  expect([calls, told]).toEqual([['no more retries', 'stop SIGTERM'], [{ event: 'ignored', signal: 'SIGHUP' }]]);
});

test.each([true, false])(
  'the end is told when the server has stopped, and whether all was clean: %s',
  async (isClean) => {
    signal('SIGTERM');
    expect(ends).toEqual([]);
    settle(isClean);
    await Promise.resolve();
    expect(ends).toEqual([isClean]);
  },
);
