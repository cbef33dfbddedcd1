import type { LogEvent } from '../../../src/log/events';
import { ACCEPTED, REAPED } from './sample';
import { formatJson, formatSize, formatText } from '../../../src/log/format';

const NOW = new Date(2026, 4, 7, 9, 8, 7, 6);
const CLOCK = '09:08:07';

const LISTENING: LogEvent = { event: 'listening', service: 'echo', address: '[::]:7', backlog: 4096 };

function problem(message: string, remedy: string | null = null): LogEvent {
  return { event: 'problem', file: 'services.yaml', line: 3, column: 5, path: 'services.web', message, remedy };
}

describe('JSON', () => {
  test('is one object on one line: the event, the time in ISO 8601, then the fields in their order', () => {
    const line = formatJson(ACCEPTED, NOW);
    expect(line).toBe(
      `{"event":"accepted","time":"${NOW.toISOString()}","service":"echo","connection":"c1a7","peer":"10.0.0.5:51034",` +
        `"pid":4711,"children":3,"limit":1000}\n`,
    );
  });

  test('has durations in seconds and sizes in bytes, and null for a size that is not known', () => {
    expect(JSON.parse(formatJson(REAPED, NOW))).toMatchObject({ duration: 0.182, cpu: 0.004, rss: 1_992_294 });
    expect(JSON.parse(formatJson({ ...REAPED, rss: null }, NOW))).toMatchObject({ rss: null });
  });

  test('says exactly what was to be said, whatever the text', () => {
    const message = everyCharacter();
    expect(JSON.parse(formatJson(problem(message), NOW))).toMatchObject({ message });
  });
});

describe('text', () => {
  test('has the words of a list side by side, and a dash where there are none', () => {
    const event = { event: 'reloaded', added: ['web', 'ftp', '+480'], changed: [], removed: ['b'], kept: 5 } as const;
    const line = formatText({ ...event, unavailable: undefined }, NOW);
    expect(line).toBe(`${CLOCK} reloaded  added=web,ftp,+480 changed=- removed=b kept=5\n`);
  });

  test('is aligned, with a clock in front', () => {
    expect(formatText(LISTENING, NOW)).toBe(`${CLOCK} listening service=echo address=[::]:7 backlog=4096\n`);
    expect(formatText(ACCEPTED, NOW)).toBe(
      `${CLOCK} accepted  service=echo connection=c1a7 peer=10.0.0.5:51034 pid=4711 children=3/1000\n`,
    );
    expect(formatText({ event: 'lost', count: 12 }, NOW)).toBe(`${CLOCK} lost      count=12\n`);
  });

  test('writes seconds to the millisecond and sizes for people', () => {
    expect(formatText(REAPED, NOW)).toBe(
      `${CLOCK} reaped    service=echo connection=c1a7 pid=4711 exit=0 duration=0.182 cpu=0.004 rss=1.9M children=2/1000\n`,
    );
    expect(formatText({ ...REAPED, exit: undefined, signal: 'SIGSEGV', core: true }, NOW)).toContain(
      ' signal=SIGSEGV core=true duration=',
    );
    expect(formatText({ ...REAPED, in: 6, out: 7 }, NOW)).toContain(' rss=1.9M in=6 out=7 children=2/1000\n');
    expect(formatText({ ...REAPED, duration: 60, cpu: 0, rss: null }, NOW)).toMatch(
      ' duration=60.000 cpu=0.000 rss=- children=2/1000',
    );
  });

  test('has the signal in the place of the exit status', () => {
    const died: LogEvent = { ...REAPED, exit: undefined, signal: 'SIGSEGV' };
    expect(formatText(died, NOW)).toMatch(' pid=4711 signal=SIGSEGV duration=');
    expect(formatJson(died, NOW)).toMatch('"pid":4711,"signal":"SIGSEGV","duration":');
  });

  test('says of a child that we ended why we did', () => {
    const ended: LogEvent = { ...REAPED, exit: undefined, signal: 'SIGTERM', reason: 'stop' };
    expect(formatText(ended, NOW)).toMatch(' signal=SIGTERM reason=stop duration=');
  });

  test('writes children alone where there is no limit', () => {
    expect(formatText({ event: 'stopped', children: 0 }, NOW)).toBe(`${CLOCK} stopped   children=0\n`);
  });

  test.each(['two words', '', 'a=b', 'a"b', "a'b", 'a\\b', 'a\tb', 'a\nb', 'a\u00a0b'])('quotes %j', (message) => {
    expect(formatText(problem(message), NOW)).toMatch(` message=${JSON.stringify(message)} remedy=-\n`);
  });

  test.each(['a', 'services.web', '[::1]:80', 'ünï', '日本'])('leaves %j as it is', (message) => {
    expect(formatText(problem(message), NOW)).toMatch(` message=${message} remedy=-\n`);
  });
});

describe.each([
  ['JSON', formatJson],
  ['text', formatText],
])('%s', (_, format) => {
  test('lets nothing through that ends the line or that a terminal obeys', () => {
    const line = format(problem(everyCharacter()), NOW);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(
      line
        .slice(0, -1)
        .match(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu)
        ?.map(codeOf),
    ).toBeUndefined();
  });

  test('lets no mark through that turns the order of the letters', () => {
    const line = format(problem(everyCharacter()), NOW);
    expect(line.match(/\p{Bidi_Control}/gu)?.map(codeOf)).toBeUndefined();
  });
});

const CLIENT = { service: 'web', connection: 'c1b0', peer: '10.0.0.7:51040' };
const SLOTS = { children: 1, limit: 1000 };

/** Each with the words of its line, in their order. */
const LINES: readonly (readonly [LogEvent, string])[] = [
  [
    { event: 'started', service: 'tftp', connection: 'c1', address: '0.0.0.0:69/udp', pid: 4711, ...SLOTS },
    'started   service=tftp connection=c1 address=0.0.0.0:69/udp pid=4711 children=1/1000',
  ],
  [
    { event: 'said', service: 'web', connection: 'c1b0', pid: 4711, line: 'redirect: connect a:1: Connection refused' },
    'said      service=web connection=c1b0 pid=4711 line="redirect: connect a:1: Connection refused"',
  ],
  [
    { event: 'dropped', service: 'tftp', address: '0.0.0.0:69/udp', peer: '10.0.0.7:1069', reason: 'unread' },
    'dropped   service=tftp address=0.0.0.0:69/udp peer=10.0.0.7:1069 reason=unread',
  ],
  [
    { event: 'dropped', ...CLIENT, step: 'execve', error: 'ENOENT' },
    'dropped   service=web connection=c1b0 peer=10.0.0.7:51040 step=execve error=ENOENT',
  ],
  [
    { event: 'refused', service: 'mux', peer: '10.0.0.7:51040', reason: 'no-service', limit: 10 },
    'refused   service=mux peer=10.0.0.7:51040 reason=no-service limit=10',
  ],
  [{ event: 'unused', socket: 'fd:web' }, 'unused    socket=fd:web'],
];

test.each(LINES)('%p has its words in a fixed order, in both forms', (event, words) => {
  expect(formatText(event, NOW)).toBe(`${CLOCK} ${words}\n`);
  const keys = Object.keys(JSON.parse(formatJson(event, NOW)) as object);
  expect(keys).toEqual(['event', 'time', ...Object.keys(event).slice(1)]);
});

test.each([
  [0, '0'],
  [1023, '1023'],
  [1024, '1.0K'],
  [1_992_294, '1.9M'],
  [1024 ** 3, '1.0G'],
  [5.5 * 1024 ** 4, '5.5T'],
  [2048 * 1024 ** 4, '2048.0T'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

/** All of the basic plane, lone surrogates included. */
function everyCharacter(): string {
  return Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).join(' ');
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
}
