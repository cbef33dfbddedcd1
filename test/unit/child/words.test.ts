/**
 * Whose pipe is read when, on pretended pipes that hold whatever a test wants written.
 */
import { Words } from '../../../src/child/words';
import { addon, type Fd } from '../../../src/native/addon';
import type { Watcher } from '../../../src/native/poll-set';
import { systemError } from '../server/pretended';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    openPipe: jest.fn(),
    readPipe: jest.fn(),
    closePipe: jest.fn(() => true),
    countLines: (bytes: Uint8Array, from: number, to: number) =>
      bytes.subarray(from, to).filter((byte) => byte === 0x0a).length,
  },
}));

const kernel = jest.mocked(addon);
const PIECE = 16 * 1024;
const ROUND_MS = 8;

/** What lies in a pipe; an end follows where nobody holds it. */
interface Pipe {
  text: string;
  isHeld: boolean;
  /** Somebody has the kernel's lock of it. */
  isLocked: boolean;
}

interface Speaker {
  readonly name: string;
  readonly service: object;
}

const SERVICE = { name: 'web' };
const SPEAKER = { name: 'child', service: SERVICE };
const HELD = -2;

const pipes = new Map<Fd, Pipe>();
const watchers = new Map<Fd, Watcher>();
let lines: [speaker: string, line: string][];
let leftOut: number[];
let deafMs: number[];
let mayWatch: boolean;
let words: Words<Speaker, Speaker>;

beforeEach(() => {
  jest.useFakeTimers();
  jest.clearAllMocks();
  for (const map of [pipes, watchers]) map.clear();
  [lines, leftOut, deafMs, mayWatch] = [[], [], [], true];
  kernel.readPipe.mockImplementation(readPretended);
  words = new Words<Speaker, Speaker>({
    pollSet: { watch, unwatch: (fd) => void watchers.delete(fd) },
    serviceOf: ({ service }) => service,
    onLine: ({ name }, line) => lines.push([name, line]),
    onLeftOut: (_speaker, count) => leftOut.push(count),
    onDeaf: (_speaker, pauseMs) => deafMs.push(pauseMs),
    hasRoom: () => true,
  });
});

afterEach(() => jest.useRealTimers());

function watch(fd: Fd, watcher: Watcher): void {
  if (!mayWatch) throw systemError('ENOSPC', 'epoll_ctl');
  watchers.set(fd, watcher);
}

function readPretended(fd: Fd, into: Uint8Array): number {
  const pipe = pipes.get(fd);
  if (pipe === undefined) throw new Error(`${fd} is not open`);
  if (pipe.isLocked) return HELD;
  if (pipe.text === '') return pipe.isHeld ? -1 : 0;
  const length = Buffer.from(into.buffer, into.byteOffset, into.byteLength).write(pipe.text, 'latin1');
  pipe.text = pipe.text.slice(length);
  return length;
}

/** A child; the number of its pipe follows from its pid. */
function start(pid: number, service: object = SERVICE): Pipe {
  const [fd, pipe] = [fdOf(pid), { text: '', isHeld: true, isLocked: false }];
  pipes.set(fd, pipe);
  words.add(pid, { name: `child ${pid}`, service }, fd);
  return pipe;
}

function fdOf(pid: number): Fd {
  return (1000 + pid) as Fd;
}

function write(pid: number, text: string): void {
  const pipe = pipes.get(fdOf(pid));
  if (pipe === undefined) throw new Error(`no pipe of ${pid}`);
  pipe.text += text;
  watchers.get(fdOf(pid))?.onReadable();
}

function closedPids(): number[] {
  return kernel.closePipe.mock.calls.map(([fd]) => fd - 1000);
}

test('a line is told with the child that wrote it, however it comes in pieces', () => {
  start(1);
  start(2);
  write(1, 'on');
  write(2, 'two\nth');
  write(1, 'e\n');
  write(2, 'ree\n');
  expect(lines).toEqual([
    ['child 2', 'two'],
    ['child 1', 'one'],
    ['child 2', 'three'],
  ]);
});

test('what is there at the end of a child is told before that, also what has no line end', () => {
  const pipe = start(1);
  pipe.text = 'one\ntwo';
  pipe.isHeld = false;
  words.settle(1);
  expect(lines.map(([, line]) => line)).toEqual(['one', 'two']);
  expect(closedPids()).toEqual([1]);
});

test('children that end one after the other with much in many pieces take a limited share of our time', () => {
  kernel.readPipe.mockImplementation((fd, into) => readPretended(fd, into.subarray(0, 1)));
  for (let pid = 1; pid <= 100; pid += 1) {
    const pipe = start(pid);
    [pipe.text, pipe.isHeld] = ['x'.repeat(255), false];
    words.settle(pid);
  }
  expect(kernel.readPipe.mock.calls.length).toBeLessThan(2000);
  while (watchers.size > 0) for (const watcher of [...watchers.values()]) watcher.onReadable();
  jest.advanceTimersByTime(60_000);
  expect(new Set(closedPids()).size).toBe(100);
});

test('a child that closes its standard error is done with, and its end has nothing to add', () => {
  start(1).isHeld = false;
  write(1, '');
  expect(closedPids()).toEqual([1]);
  words.settle(1);
  expect([closedPids(), lines]).toEqual([[1], []]);
});

test('a pipe that is full is not watched, but visited in rounds until it is empty', () => {
  start(1);
  write(1, 'x\n'.repeat(3 * PIECE));
  expect(watchers.size).toBe(0);
  expect(kernel.readPipe).toHaveBeenCalledTimes(1);
  jest.advanceTimersByTime(ROUND_MS);
  expect(watchers.size).toBe(1);
});

test('a pipe in which there is often a little is visited too', () => {
  start(1);
  for (let count = 0; count < 9; count += 1) write(1, 'x');
  expect(watchers.size).toBe(0);
  jest.advanceTimersByTime(ROUND_MS);
  expect(watchers.size).toBe(1);
});

test('a round has an end, and in the next one those are first who were not visited', () => {
  const pids = Array.from({ length: 20 }, (_, index) => index + 1);
  for (const pid of pids) {
    start(pid);
    write(pid, 'x'.repeat(5 * PIECE));
  }
  kernel.readPipe.mockClear();
  jest.advanceTimersByTime(ROUND_MS);
  expect(kernel.readPipe.mock.calls.map(([fd]) => fd - 1000)).toEqual(pids.slice(0, 16));
  jest.advanceTimersByTime(ROUND_MS);
  expect(kernel.readPipe.mock.calls.slice(16).map(([fd]) => fd - 1000)).toEqual([
    ...pids.slice(16),
    ...pids.slice(0, 12),
  ]);
});

test('a pipe that cannot be watched is visited', () => {
  mayWatch = false;
  start(1);
  write(1, 'one\n');
  jest.advanceTimersByTime(ROUND_MS);
  expect(lines).toEqual([['child 1', 'one']]);
  write(1, 'two\n');
  jest.advanceTimersByTime(ROUND_MS);
  expect(lines).toHaveLength(2);
});

test('what is left out is told once a second as a number, for as long as there is something', () => {
  start(1);
  write(1, 'x\n'.repeat(1100));
  expect([lines.length, leftOut]).toEqual([1000, []]);
  jest.advanceTimersByTime(1000);
  expect([lines.length, leftOut]).toEqual([1020, [80]]);
  jest.advanceTimersByTime(10_000);
  expect(leftOut).toEqual([80]);
});

test('one service that says too much takes nothing from another', () => {
  start(1);
  start(2, { name: 'other' });
  write(1, 'x\n'.repeat(2000));
  lines.length = 0;
  write(2, 'heard\n');
  expect(lines).toEqual([['child 2', 'heard']]);
});

describe('whoever a child leaves behind', () => {
  test('is heard as that child', () => {
    start(1);
    words.settle(1);
    write(1, 'still here\n');
    expect(lines).toEqual([['child 1', 'still here']]);
  });

  test('is heard to its own end', () => {
    const pipe = start(1);
    words.settle(1);
    write(1, 'the last');
    pipe.isHeld = false;
    write(1, '');
    expect(lines).toEqual([['child 1', 'the last']]);
    expect(closedPids()).toEqual([1]);
  });

  test('loses its pipe to younger ones of its service, beyond 16, and of all, beyond 64', () => {
    for (let pid = 1; pid <= 17; pid += 1) {
      start(pid);
      words.settle(pid);
    }
    expect(closedPids()).toEqual([1]);
    for (let pid = 101; pid <= 149; pid += 1) {
      start(pid, { name: 'other', pid });
      words.settle(pid);
    }
    expect(closedPids()).toEqual([1, 2]);
  });

  test('gives its descriptor to a child to come when there is no other', () => {
    start(1);
    words.settle(1);
    const ends = { reader: 7 as Fd, writer: 8 as Fd };
    kernel.openPipe.mockImplementation(() => {
      if (closedPids().length === 0) throw systemError('EMFILE', 'pipe2');
      return ends;
    });
    expect(words.open(SPEAKER, null)).toEqual(ends);
    expect(closedPids()).toEqual([1]);
  });

  test('has said what it has when the server ends', () => {
    start(1);
    words.settle(1);
    const pipe = pipes.get(fdOf(1));
    if (pipe !== undefined) pipe.text = 'one\ntwo';
    words.flush();
    expect(lines.map(([, line]) => line)).toEqual(['one', 'two']);
  });
});

test('without descriptors, and nobody who has one to give, a child is not started', () => {
  kernel.openPipe.mockImplementation(() => {
    throw systemError('EMFILE', 'pipe2');
  });
  expect(() => words.open(SPEAKER, null)).toThrow('EMFILE');
});

describe('a pipe whose lock somebody holds', () => {
  const OTHER = { name: 'mail' };
  const SECOND_MS = 1000;

  function lock(pid: number, text = 'x\n'): Pipe {
    const pipe = start(pid);
    pipe.isLocked = true;
    write(pid, text);
    return pipe;
  }

  function readPids(): number[] {
    return kernel.readPipe.mock.calls.map(([fd]) => fd - 1000);
  }

  test('has nobody of its service heard, and others are', () => {
    start(2);
    start(3, OTHER);
    lock(1);
    for (const pid of [2, 3]) write(pid, `of ${pid}\n`);
    expect(deafMs).toEqual([SECOND_MS]);
    expect(lines).toEqual([['child 3', 'of 3']]);
    expect(readPids()).toEqual([1, 3]);
    expect([...watchers.keys()]).toEqual([fdOf(3)]);
  });

  test('is asked first after a pause, which grows until it lets go; then all are heard', () => {
    start(2);
    const pipe = lock(1, 'one\n');
    write(2, 'two\n');
    jest.advanceTimersByTime(SECOND_MS);
    expect([readPids(), deafMs]).toEqual([
      [1, 1],
      [SECOND_MS, 2 * SECOND_MS],
    ]);
    pipe.isLocked = false;
    jest.advanceTimersByTime(2 * SECOND_MS);
    expect(lines.map(([, line]) => line)).toEqual(['one', 'two']);
    expect([...watchers.keys()]).toEqual([fdOf(1), fdOf(2)]);
  });

  test('gives no pipe to children to come, until it lets go', () => {
    const ends = { reader: 7 as Fd, writer: 8 as Fd };
    kernel.openPipe.mockReturnValue(ends);
    const pipe = lock(1);
    expect(words.open(SPEAKER, null)).toBeNull();
    expect(words.open({ ...SPEAKER, service: OTHER }, null)).toEqual(ends);
    pipe.isLocked = false;
    jest.advanceTimersByTime(SECOND_MS);
    expect(words.open(SPEAKER, null)).toEqual(ends);
  });

  test('is not touched when its child ends, and closed when it is read to its end', () => {
    const pipe = lock(1, 'one\n');
    words.settle(1);
    expect([readPids(), closedPids()]).toEqual([[1], []]);
    Object.assign(pipe, { isLocked: false, isHeld: false });
    jest.advanceTimersByTime(SECOND_MS);
    expect(lines.map(([, line]) => line)).toEqual(['one']);
    watchers.get(fdOf(1))?.onReadable();
    expect(closedPids()).toEqual([1]);
  });

  test('which is to be closed is closed after the pause, and a close that is held up makes another', () => {
    for (let pid = 2; pid <= 18; pid += 1) start(pid);
    lock(1);
    for (let pid = 1; pid <= 18; pid += 1) words.settle(pid);
    expect(closedPids()).toEqual([]);
    kernel.closePipe.mockReturnValueOnce(false);
    jest.advanceTimersByTime(SECOND_MS);
    expect([closedPids(), deafMs]).toEqual([[1], [SECOND_MS, 2 * SECOND_MS]]);
    jest.advanceTimersByTime(2 * SECOND_MS);
    expect(closedPids()).toEqual([1, 2]);
  });
});
