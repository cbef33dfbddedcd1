/**
 * The log and a reader that reads as much as a test lets it.
 */
import type { LogEvent } from '../../../src/log/events';
import { Log } from '../../../src/log/log';

/** Takes as many bytes as it has room for. */
class Reader {
  text = '';
  writes = 0;
  room = Number.POSITIVE_INFINITY;
  /** When there is no room at all. */
  failure: Error | null = null;

  write(bytes: Uint8Array): number {
    this.writes += 1;
    if (this.failure !== null && this.room === 0) throw this.failure;
    const taken = Math.min(this.room, bytes.length);
    this.text += Buffer.from(bytes.subarray(0, taken)).toString('utf8');
    this.room -= taken;
    return taken;
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}

const QUEUE_BYTES = 1024 * 1024;

let reader: Reader;
let log: Log;

beforeEach(() => {
  jest.useFakeTimers();
  reader = new Reader();
  log = new Log(reader, (event) => `${nameOf(event)}\n`);
});

afterEach(() => jest.useRealTimers());

function nameOf(event: LogEvent): string {
  return event.event === 'lost' ? `lost ${event.count}` : 'service' in event ? event.service : event.event;
}

function emit(service: string): void {
  log.emit({ event: 'listening', service, address: '', backlog: 0 });
}

/** Emits numbered events of 1 KiB until well past the bound. @returns how many */
function overfill(): number {
  const count = (2 * QUEUE_BYTES) / 1024;
  for (let number = 0; number < count; number += 1) emit(String(number).padStart(1023));
  return count;
}

test('the events of one turn of the loop leave in one write, in their order', () => {
  for (const service of ['a', 'b', 'c']) emit(service);
  expect(reader.writes).toBe(0);
  jest.runAllTimers();
  expect(reader).toMatchObject({ text: 'a\nb\nc\n', writes: 1 });
});

test('a format that is set later holds for the events after it', () => {
  emit('a');
  log.setFormat((event) => `<${nameOf(event)}>\n`);
  emit('b');
  log.flush();
  expect(reader.text).toBe('a\n<b>\n');
});

test('a reader that takes lines in pieces gets every byte, in order', () => {
  reader.room = 3;
  for (const service of ['first', 'sécond']) emit(service);
  jest.advanceTimersToNextTimer();
  emit('third');
  while (reader.text.length < 'first\nsécond\nthird\n'.length) {
    reader.room = 8;
    jest.advanceTimersToNextTimer();
  }
  expect(reader.lines).toEqual(['first', 'sécond', 'third']);
});

test('while the reader stalls, events wait up to a bound and the rest are counted', () => {
  reader.room = 0;
  const count = overfill();
  jest.advanceTimersByTime(1000);
  reader.room = Number.POSITIVE_INFINITY;
  jest.runAllTimers();
  const kept = reader.lines.slice(0, -1).map(Number);
  expect(kept).toEqual(kept.map((_, index) => index));
  expect(reader.text.length).toBeLessThan(QUEUE_BYTES + 4096);
  expect(reader.lines.at(-1)).toBe(`lost ${count - kept.length}`);
});

test('what was lost is told once, and what comes after it is told after it', () => {
  reader.room = 0;
  overfill();
  jest.advanceTimersByTime(1000);
  reader.room = Number.POSITIVE_INFINITY;
  jest.runAllTimers();
  const told = reader.lines.length;
  for (const service of ['a', 'b']) emit(service);
  jest.runAllTimers();
  expect(reader.lines.slice(told - 1)).toEqual([expect.stringMatching(/^lost \d+$/), 'a', 'b']);
});

test('a stalled reader is asked again every 50 ms and not for each event', () => {
  reader.room = 0;
  emit('a');
  jest.advanceTimersByTime(1);
  const before = reader.writes;
  for (let times = 0; times < 100; times += 1) emit('b');
  jest.advanceTimersByTime(500);
  expect(reader.writes - before).toBe(10);
});

test('flush writes what it can at once, for a server that is about to leave', () => {
  emit('last words');
  log.flush();
  expect(reader.text).toBe('last words\n');
});

test('a turn that tells more than fits into the queue loses nothing when the reader takes it', () => {
  const count = overfill();
  jest.runAllTimers();
  expect(reader.lines.map(Number)).toEqual(Array.from({ length: count }, (_, index) => index));
});

describe('an output that fails', () => {
  beforeEach(() => {
    [reader.failure, reader.room] = [new Error('ENOSPC'), 0];
  });

  test('has every loss counted, and what fits is told once it works again', () => {
    const count = overfill();
    jest.advanceTimersByTime(5000);
    reader.room = Number.POSITIVE_INFINITY;
    jest.advanceTimersByTime(1000);
    const lost = /^lost (\d+)$/.exec(reader.lines.at(-1) ?? '')?.[1];
    expect(reader.lines.length - 1 + Number(lost)).toBe(count);
  });

  test('in the middle of a line has that line finished first', () => {
    reader.room = 3;
    emit('first');
    jest.advanceTimersByTime(100);
    emit('second');
    expect(reader.text).toBe('fir');
    reader.room = Number.POSITIVE_INFINITY;
    jest.advanceTimersByTime(1000);
    expect(reader.lines).toEqual(['first', 'second']);
  });

  test('is asked again every second', () => {
    emit('a');
    jest.advanceTimersByTime(1);
    const before = reader.writes;
    for (let times = 0; times < 100; times += 1) emit('b');
    jest.advanceTimersByTime(10_000);
    expect(reader.writes - before).toBe(10);
  });
});

describe('words of programs', () => {
  test('have room in half of the queue, and the last ones in three quarters', () => {
    reader.room = 0;
    const rooms = Array.from({ length: 4 }, () => {
      for (let count = 0; count < QUEUE_BYTES / 1024 / 4; count += 1) emit('x'.repeat(1024));
      jest.runAllTicks();
      return [log.hasRoomForWords(false), log.hasRoomForWords(true)];
    });
    expect(rooms).toEqual([
      [true, true],
      [false, true],
      [false, false],
      [false, false],
    ]);
  });

  test('have room again as soon as the reader takes something', () => {
    for (let count = 0; count < QUEUE_BYTES / 1024; count += 1) emit('x'.repeat(1024));
    expect(log.hasRoomForWords(false)).toBe(true);
    expect(reader.lines).toHaveLength(QUEUE_BYTES / 1024);
  });
});

describe('at the end', () => {
  test('a slow reader gets all of it', async () => {
    reader.room = 0;
    emit('one');
    const closed = log.close(1000);
    reader.room = 2;
    await jest.advanceTimersByTimeAsync(5);
    reader.room = 100;
    await jest.advanceTimersByTimeAsync(5);
    await closed;
    expect(reader.lines).toEqual(['one']);
  });

  test('one who has stopped reading is waited for, and no longer than that', async () => {
    reader.room = 0;
    emit('one');
    const onClosed = jest.fn();
    void log.close(1000).then(onClosed);
    await jest.advanceTimersByTimeAsync(990);
    expect(onClosed).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(20);
    expect(onClosed).toHaveBeenCalled();
  });

  test('one who has left is not waited for', async () => {
    [reader.room, reader.failure] = [0, new Error('EPIPE')];
    emit('one');
    await log.close(1000);
    expect(reader.lines).toEqual([]);
  });
});
