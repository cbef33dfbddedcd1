/**
 * Listeners on a pretended addon: who is told, and what a failed accept means.
 */
import { acceptFrom, Listeners, type Listener } from '../../../src/listener/listener';
import { addon } from '../../../src/native/addon';
import { sampleSocketOptions } from '../service/sample';

const tellReady: ((count: number) => void)[] = [];
const readyPlaces: Int32Array[] = [];

jest.mock('../../../src/native/addon', () => ({
  POLLER_BATCH: 64,
  addon: {
    openListener: jest.fn(({ port }: { port: number }) => ({ fd: port, port })),
    accept: jest.fn(),
    hasWaiting: jest.fn(),
    close: jest.fn(),
    openPoller: jest.fn((ready: Int32Array, onReady: (count: number) => void) => {
      readyPlaces.push(ready);
      tellReady.push(onReady);
      return { watch: jest.fn(), unwatch: jest.fn(), close: jest.fn() };
    }),
  },
}));

const OPTIONS = sampleSocketOptions();
const accept = jest.mocked(addon).accept;
const hasWaiting = jest.mocked(addon).hasWaiting;

beforeEach(() => jest.clearAllMocks());

function open(listeners: Listeners<string>, port: number): Listener<string> {
  return listeners.open({ family: 'ipv4', type: 'stream', address: '127.0.0.1', port }, OPTIONS, `owner of ${port}`);
}

function makeReady(...fds: number[]): void {
  readyPlaces.at(-1)?.set(fds);
  tellReady.at(-1)?.(fds.length);
}

function failAccept(code: string): void {
  accept.mockImplementation(() => {
    throw Object.assign(new Error(code), { code, syscall: 'accept4' });
  });
}

test('tells of a listener only while it is resumed', () => {
  const told: string[] = [];
  const listeners = new Listeners<string>(({ owner }) => told.push(owner));
  const [one, two] = [open(listeners, 1), open(listeners, 2)];
  listeners.resume(one);
  makeReady(1, 2);
  listeners.resume(two);
  listeners.pause(one);
  makeReady(1, 2);
  expect(told).toEqual(['owner of 1', 'owner of 2']);
});

test('passes over a listener that the one before caused to be paused or closed', () => {
  const told: string[] = [];
  const listeners = new Listeners<string>(({ owner }) => {
    told.push(owner);
    listeners.pause(two);
    listeners.close(three);
  });
  const [one, two, three] = [open(listeners, 1), open(listeners, 2), open(listeners, 3)];
  for (const listener of [one, two, three]) listeners.resume(listener);
  makeReady(1, 2, 3);
  expect(told).toEqual(['owner of 1']);
});

test('a passed socket that is opened again before its old listener is closed is still told of', () => {
  const told: string[] = [];
  const listeners = new Listeners<string>(({ owner }) => told.push(owner));
  const old = open(listeners, 1);
  const fresh = listeners.open({ family: 'ipv4', type: 'stream', address: '::', port: 1 }, OPTIONS, 'the new owner');
  listeners.close(old);
  listeners.resume(fresh);
  makeReady(1);
  expect(told).toEqual(['the new owner']);
});

test('a closed listener is closed once and cannot be resumed', () => {
  const listeners = new Listeners<string>(() => undefined);
  const listener = open(listeners, 1);
  listeners.close(listener);
  listeners.close(listener);
  listeners.resume(listener);
  expect(jest.mocked(addon).close).toHaveBeenCalledTimes(1);
  expect(listener).toMatchObject({ isClosed: true, isWatched: false });
});

describe('accept', () => {
  const listener = open(new Listeners<string>(() => undefined), 1);

  test('gives the connection, or says that nobody waits', () => {
    const socket = { fd: 5, peerAddress: '::1', peerPort: 1, localAddress: '::1', localPort: 2 };
    accept.mockReturnValueOnce(socket as ReturnType<typeof accept>);
    expect(acceptFrom(listener)).toEqual({
      kind: 'connection',
      fd: 5,
      peer: { family: 'ipv4', address: '::1', port: 1 },
      local: { address: '::1', port: 2 },
    });
    accept.mockReturnValueOnce(null);
    expect(acceptFrom(listener)).toEqual({ kind: 'empty' });
  });

  test('without a free descriptor there is a fault when somebody waits, and none when nobody does', () => {
    failAccept('EMFILE');
    hasWaiting.mockReturnValue(true);
    expect(acceptFrom(listener)).toEqual({ kind: 'fault', fault: 'tired', code: 'EMFILE' });
    hasWaiting.mockReturnValue(false);
    expect(acceptFrom(listener)).toEqual({ kind: 'empty' });
  });

  test('a client that is gone is a fault of its own, whoever else waits', () => {
    failAccept('ECONNABORTED');
    hasWaiting.mockReturnValue(false);
    expect(acceptFrom(listener)).toEqual({ kind: 'fault', fault: 'gone', code: 'ECONNABORTED' });
  });

  test('an error that is not a failed system call is a fault of ours and is thrown on', () => {
    accept.mockImplementation(() => {
      throw new TypeError('ours');
    });
    expect(() => acceptFrom(listener)).toThrow('ours');
  });
});
