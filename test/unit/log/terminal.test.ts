/**
 * What an operator sees on a terminal.
 */
import type { LogEvent } from '../../../src/log/events';
import { ACCEPTED, REAPED } from './sample';
import type { FormatEvent } from '../../../src/log/format';
import { terminalFormat } from '../../../src/log/terminal';

const NOW = new Date(2026, 4, 7, 9, 8, 7, 6);
const DATE = '-- Thu 2026-05-07 --';

let columns: number;
let format: FormatEvent;

beforeEach(() => {
  columns = 0;
  format = terminalFormat({ columns: () => columns, isColored: false });
});

/** The lines without the date. */
function show(...events: readonly LogEvent[]): string[] {
  const text = events.map((event) => format(event, NOW)).join('') + (format.rest?.() ?? '');
  return text.split('\n').filter((line) => line !== '' && line !== DATE);
}

function listening(service: string, address: string): LogEvent {
  return { event: 'listening', service, address, backlog: 4096 };
}

describe('columns', () => {
  test('of time, event, service and connection come first, then the other fields', () => {
    expect(show(listening('telnet', '[::]:23'), ACCEPTED, REAPED)).toEqual([
      '09:08:07 listening   telnet address=[::]:23 backlog=4096',
      '09:08:07 accepted    echo   c1a7 peer=10.0.0.5:51034 pid=4711 children=3/1000',
      '09:08:07 reaped      echo   c1a7 pid=4711 exit=0 duration=0.182 cpu=0.004 rss=1.9M children=2/1000',
    ]);
  });

  test('are as wide for the first of several services as for the widest', () => {
    expect(show(listening('a', '[::]:1'), listening('longest', '[::]:2'))).toEqual([
      '09:08:07 listening   a       address=[::]:1 backlog=4096',
      '09:08:07 listening   longest address=[::]:2 backlog=4096',
    ]);
  });

  test('show of a very long name both ends', () => {
    const service = `begin-${'n'.repeat(50)}-end`;
    expect(show(listening(service, '[::]:1'))).toEqual([
      '09:08:07 listening   begin-nnnnnn…nnnnnnn-end address=[::]:1 backlog=4096',
    ]);
  });

  test('say nothing of what is not known', () => {
    expect(show({ ...REAPED, rss: null })[0]).not.toMatch('rss');
  });

  test('write text with quotes in it without backslashes', () => {
    const failed = (error: string): LogEvent => ({
      ...{ event: 'failed', verb: 'listen', address: '[::]:1', service: 'web', error, action: 'none' },
    });
    expect(show(failed('there is no "kat"'))[0]).toContain(` error='there is no "kat"' action=none`);
    expect(show(failed(`it's "so"`))[0]).toContain(String.raw` error="it's \"so\""`);
    expect(show(failed('a\u001b"b'))[0]).toContain(String.raw` error="a\u001b\"b"`);
  });
});

describe('a terminal of limited width', () => {
  test.each([
    [100, '09:08:07 reaped      echo c1a7 pid=4711 exit=0 duration=0.182 cpu=0.004 rss=1.9M children=2/1000'],
    [96, '09:08:07 reaped      echo c1a7 pid=4711 exit=0 duration=0.182 cpu=0.004 rss=1.9M children=2/1000'],
    [95, '09:08:07 reaped      echo c1a7 pid=4711 exit=0 duration=0.182 cpu=0.004 children=2/1000'],
    [80, '09:08:07 reaped      echo c1a7 pid=4711 exit=0 duration=0.182 children=2/1000'],
    [70, '09:08:07 reaped      echo c1a7 pid=4711 exit=0 duration=0.182'],
    [55, '09:08:07 reaped      echo c1a7 exit=0 duration=0.182'],
  ])('of %i columns: what matters least goes first', (width, line) => {
    columns = width;
    expect(show(REAPED)).toEqual([line]);
  });

  test('folds what must be said below its column', () => {
    columns = 60;
    const line = 'connect to database.example.net: Connection refused';
    expect(show({ event: 'said', service: 'web', connection: 'c1', pid: 4711, line })).toEqual([
      '09:08:07 said        web c1 line="connect to',
      '                     database.example.net: Connection',
      '                     refused"',
    ]);
  });

  test('may be resized: each line is as wide as the window at that time', () => {
    columns = 100;
    expect(show(REAPED)[0]).toMatch('cpu=');
    columns = 70;
    expect(show(REAPED)[0]).not.toMatch('cpu=');
  });

  test('is never exceeded but by one long word', () => {
    const peer = `unix:pid:20834,uid:1000,gid:1000`;
    for (columns = 40; columns < 120; columns += 1) {
      for (const line of show({ ...ACCEPTED, peer }, REAPED, listening('echo', '[::]:7')))
        expect(line.length).toBeLessThanOrEqual(Math.max(columns, 21 + `peer=${peer}`.length));
    }
  });
});

describe('listeners', () => {
  test('of one service are one line, a range of ports one word', () => {
    const range = Array.from({ length: 1000 }, (_, at) => listening('web', `127.0.0.1:${10000 + at}`));
    expect(show(...range, listening('web', 'unix:/run/web'))).toEqual([
      '09:08:07 listening   web address=127.0.0.1:10000-10999 unix:/run/web backlog=4096',
    ]);
  });

  test('that are many and scattered are not all told', () => {
    const odd = Array.from({ length: 30 }, (_, at) => listening('web', `127.0.0.1:${10001 + 2 * at}`));
    expect(show(...odd)[0]).toMatch(/ address=127\.0\.0\.1:10001 127\.0\.0\.1:10003 .* and 10 more backlog=4096$/);
  });

  test('come before whatever happens next', () => {
    expect(show(listening('b', '[::]:1'), ACCEPTED, listening('c', '[::]:2')).map((line) => line.slice(9, 18))).toEqual(
      ['listening', 'accepted ', 'listening'],
    );
  });
});

describe('the date', () => {
  const at = (day: number): Date => new Date(2026, 4, day, 23, 59);

  test('stands above the first line, and above the first of each day', () => {
    const lines = [at(7), at(7), at(8)].map((now) => format({ event: 'lost', count: 1 }, now)).join('');
    const line = '23:59:00 lost        count=1';
    expect(lines).toBe([DATE, line, line, '-- Fri 2026-05-08 --', line, ''].join('\n'));
  });

  test('is that of the listeners when they come first', () => {
    expect(format(listening('web', '[::]:1'), at(7))).toBe('');
    expect(format.rest?.()).toMatch(/^-- Thu 2026-05-07 --\n23:59:00 listening /);
  });
});

describe('what an operator may want to know next', () => {
  test('after Ctrl-C: how many are left, and what a second one does', () => {
    expect(show({ event: 'stopping', signal: 'SIGINT', children: 2 })).toEqual([
      '09:08:07 stopping    signal=SIGINT children=2',
      '         2 children are left; Ctrl-C once more ends them now',
    ]);
    expect(show({ event: 'stopping', signal: 'SIGINT', children: 1 })[1]).toBe(
      '         1 child is left; Ctrl-C once more ends it now',
    );
  });

  test.each([
    ['SIGINT', 0],
    ['SIGTERM', 2],
    ['SIGHUP', 2],
  ])('nothing after %s with %i children', (signal, children) => {
    expect(show({ event: 'stopping', signal, children })).toHaveLength(1);
  });

  test('of a problem: the line that it is in', () => {
    const shown = (width: number): string => `a.yaml:3:5: it is wrong\n      listen: 7\n      ^\n  remedy: ${width}\n`;
    const place = { file: 'a.yaml', line: 3, column: 5, path: '', message: 'it is wrong', remedy: '59' };
    columns = 80;
    expect(show({ event: 'problem', ...place, shown })).toEqual([
      '09:08:07 problem     a.yaml:3:5: it is wrong',
      '               listen: 7',
      '               ^',
      '           remedy: 59',
    ]);
  });

  test('of a warning: the same', () => {
    const place = { file: 'a.yaml', line: 3, column: 5, path: '', message: 'it is odd', remedy: null };
    columns = 80;
    expect(show({ event: 'warning', ...place, shown: () => 'a.yaml:3:5: warning: it is odd\n      x\n' })).toEqual([
      '09:08:07 warning     a.yaml:3:5: warning: it is odd',
      '               x',
    ]);
  });

  test('of a service that accepts again: not that it is as full as before', () => {
    expect(show({ event: 'resumed', service: 'one', children: 1, limit: 1 })).toEqual(['09:08:07 resumed     one']);
  });
});

describe('colour', () => {
  const [RED, YELLOW, GREEN, FAINT, PLAIN] = ['\u001b[31m', '\u001b[33m', '\u001b[32m', '\u001b[2m', '\u001b[0m'];

  beforeEach(() => {
    format = terminalFormat({ columns: () => columns, isColored: true });
  });

  /** The event's name and the fields that have a colour, in their colours; the time is always faint. */
  function colored(event: LogEvent): string[] {
    const [line = ''] = show(event);
    expect(line.startsWith(`${FAINT}09:08:07${PLAIN} `)).toBe(true);
    const painted = line.slice(line.indexOf(' ') + 1).matchAll(/(\u001b\[\d+m)(.*?)\u001b\[0m/gu);
    return [...painted].map(([, color = '', text = '']) => color + text.trimEnd());
  }

  const died = { ...REAPED, exit: undefined };
  const PAUSED: LogEvent = { event: 'paused', service: 'a', reason: 'full', children: 1, limit: 1 };

  test.each<[LogEvent, string[]]>([
    [ACCEPTED, []],
    [REAPED, []],
    [{ ...REAPED, exit: 1 }, [`${RED}reaped`, `${RED}exit=1`]],
    [{ ...died, signal: 'SIGSEGV' }, [`${RED}reaped`, `${RED}signal=SIGSEGV`]],
    [{ ...died, signal: 'SIGTERM', reason: 'stop' }, []],
    [
      { ...died, signal: 'SIGKILL', reason: 'out-of-memory' },
      [`${RED}reaped`, `${RED}signal=SIGKILL`, `${RED}reason=out-of-memory`],
    ],
    [{ event: 'rejected', problems: 3 }, [`${RED}rejected`, `${RED}problems=3`]],
    [PAUSED, [`${YELLOW}paused`, `${YELLOW}reason=full`]],
    [{ event: 'resumed', service: 'a', children: 0, limit: 1 }, [`${GREEN}resumed`]],
    [{ event: 'stopped', children: 0 }, []],
    [{ event: 'stopped', children: 1 }, [`${RED}stopped`]],
  ])('%j', (event, expected) => {
    expect(colored(event)).toEqual(expected);
  });

  test('has no width', () => {
    columns = 80;
    const [line = ''] = show({ ...REAPED, exit: 1 });
    expect(line.replace(/\u001b\[\d+m/gu, '')).toBe(
      '09:08:07 reaped      echo c1a7 pid=4711 exit=1 duration=0.182 children=2/1000',
    );
  });
});

test('nothing that a terminal obeys comes through', () => {
  const evil = '\u001b[31m\u009b\u202e\n\u2028';
  const lines = show(
    { ...ACCEPTED, peer: evil, connection: evil, service: evil },
    { event: 'said', service: 'a', connection: 'b', pid: 1, line: evil },
    listening('x', `unix:${evil}`),
  );
  expect(lines).toHaveLength(3);
  expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
});
