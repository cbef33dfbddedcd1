/**
 * From what one child writes to the lines that are told, and how much the children of one service may say together.
 */
import { Allowance, type Outlet } from '../../../src/child/allowance';
import { Voice } from '../../../src/child/voice';

jest.mock('../../../src/native/addon', () => ({
  addon: {
    countLines: (bytes: Uint8Array, from: number, to: number) =>
      bytes.subarray(from, to).filter((byte) => byte === 0x0a).length,
  },
}));

const BURST = 1000;
const NOTHING = Buffer.alloc(0);

let now: number;
let lines: string[];
let leftOut: number;
let room: Outlet['hasRoom'];
let allowance: Allowance;
let voice: Voice;

beforeEach(() => {
  now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  [lines, leftOut, room] = [[], 0, () => true];
  allowance = new Allowance({ hasRoom: (isLast) => room(isLast), onLeftOut: (count) => (leftOut += count) });
  voice = new Voice(allowance, (line) => lines.push(line));
});

function say(text: string | Buffer): string {
  return voice.say(Buffer.from(text)).toString('latin1');
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${index}`);
}

/** @returns the lines that were told since */
function taken(): string[] {
  return lines.splice(0);
}

/** Uses up what may be said at once. */
function exhaust(): void {
  say('x\n'.repeat(BURST));
  expect(taken()).toHaveLength(BURST);
}

describe('the lines', () => {
  test('are what stands between the line ends, and empty ones count', () => {
    expect(say('one\n\ntwo\r\nbegin')).toBe('begin');
    expect(taken()).toEqual(['one', '', 'two\r']);
    voice.end(Buffer.from('the rest'));
    expect(taken()).toEqual(['the rest']);
  });

  test('are told in parts of 1 KiB when they are longer, and no character is cut in two', () => {
    expect(say(`${'x'.repeat(1024)}\n`)).toBe('');
    expect(taken()).toEqual(['x'.repeat(1024)]);
    expect(say(`${'x'.repeat(1023)}€${'y'.repeat(2000)}`)).toHaveLength(2003 - 1024);
    expect(taken()).toEqual(['x'.repeat(1023), `€${'y'.repeat(1021)}`]);
  });

  test('are text, whatever their bytes are', () => {
    say(Buffer.from([0x61, 0xff, 0x00, 0x1b, 0x80, 0x80, 0x80, 0x80, 0x0a]));
    expect(taken()).toEqual(['a\ufffd\0\u001b\ufffd\ufffd\ufffd\ufffd']);
    say(Buffer.alloc(5000, 0x80));
    expect(taken().map((line) => line.length)).toEqual([1024, 1024, 1024, 1024]);
  });
});

describe('a service that says too much', () => {
  test('has its first 1000 lines told, then 100 in a second, the oldest of those that wait first', () => {
    say(`${numbered(BURST + 5).join('\n')}\n`);
    expect(taken()).toEqual(numbered(BURST));
    now += 30;
    allowance.tell();
    expect(taken()).toEqual(['line 1000', 'line 1001', 'line 1002']);
    now += 100_000;
    say(`${numbered(BURST).join('\n')}\n`);
    expect(taken()).toEqual(['line 1003', 'line 1004', ...numbered(BURST - 2)]);
    expect(leftOut).toBe(0);
  });

  test('has its last 20 lines told before the end of the child, and of the others their number', () => {
    exhaust();
    say(`${numbered(10).join('\n')}\n`);
    say(`${numbered(5000).join('\n')}\nunfinished`);
    voice.end(Buffer.from('unfinished'));
    expect(taken()).toEqual([...numbered(5000).slice(-19), 'unfinished']);
    allowance.tell();
    expect(leftOut).toBe(10 + 5000 - 19);
    expect(allowance.isQuiet).toBe(true);
  });

  test('keeps fewer lines when they are long', () => {
    exhaust();
    say(`${'y'.repeat(1000)}\n`.repeat(20));
    voice.end(NOTHING);
    expect(taken()).toHaveLength(8);
    allowance.tell();
    expect(leftOut).toBe(12);
  });

  test('pays for the last lines of one child with those of the next', () => {
    exhaust();
    say('x\n'.repeat(20));
    voice.end(NOTHING);
    expect(taken()).toHaveLength(20);
    now += 200;
    say('x\n');
    expect(taken()).toEqual([]);
    now += 10;
    allowance.tell();
    expect(taken()).toEqual(['x']);
  });

  test('is quiet when nobody waits and nothing was left out', () => {
    exhaust();
    expect(allowance.isQuiet).toBe(true);
    say('x\n');
    expect(allowance.isQuiet).toBe(false);
    now += 1000;
    allowance.tell();
    expect(allowance.isQuiet).toBe(true);
  });
});

describe('a log that has no room for words', () => {
  test('gets the last lines as long as it has room for those', () => {
    room = (isLast) => isLast;
    say('one\ntwo\n');
    expect(taken()).toEqual([]);
    voice.end(NOTHING);
    expect(taken()).toEqual(['one', 'two']);
  });

  test('is told how many there were when it has none for those either', () => {
    room = () => false;
    say('one\ntwo\n');
    voice.end(NOTHING);
    allowance.tell();
    expect([taken(), leftOut]).toEqual([[], 2]);
  });
});
