/** When a service is open, by clocks on the walls of several places. */
import { isHours, isOpenAt, parseDate, parseHours, type Hours } from '../../../src/service/hours';

function hours(text: string): Hours {
  const parsed = parseHours(text);
  if (!isHours(parsed)) throw new Error(parsed.message);
  return parsed;
}

function isOpen(text: string, time: string): boolean {
  return isOpenAt({ hours: [hours(text)], fromMs: null, untilMs: null }, Date.parse(time));
}

/** A Sunday in winter: Berlin is an hour ahead, New York five behind. */
const SUNDAY = '2026-11-22';
const MONDAY = '2026-11-23';

test.each([
  ['Mon-Fri 08:00-18:00 UTC', `${MONDAY}T08:00:00Z`, true],
  ['Mon-Fri 08:00-18:00 UTC', `${MONDAY}T07:59:59Z`, false],
  ['Mon-Fri 08:00-18:00 UTC', `${MONDAY}T17:59:59Z`, true],
  ['Mon-Fri 08:00-18:00 UTC', `${MONDAY}T18:00:00Z`, false],
  ['Mon-Fri 08:00-18:00 UTC', `${SUNDAY}T12:00:00Z`, false],
  ['Mon-Fri 08:00-18:00 Europe/Berlin', `${MONDAY}T07:00:00Z`, true],
  ['Mon-Fri 08:00-18:00 Europe/Berlin', `${MONDAY}T17:00:00Z`, false],
  ['Mon-Fri 08:00-18:00 Europe/Berlin', '2026-07-20T06:00:00Z', true],
  ['Sun 20:00-22:00 America/New_York', `${MONDAY}T01:00:00Z`, true],
  ['22:00-06:00 UTC', `${SUNDAY}T23:00:00Z`, true],
  ['22:00-06:00 UTC', `${MONDAY}T05:59:00Z`, true],
  ['22:00-06:00 UTC', `${MONDAY}T06:00:00Z`, false],
  ['Sun 22:00-06:00 UTC', `${MONDAY}T05:00:00Z`, true],
  ['Mon 22:00-06:00 UTC', `${MONDAY}T05:00:00Z`, false],
  ['Sat,Sun', '2026-11-22T12:00:00Z', true],
  ['Fri-Mon UTC', `${MONDAY}T12:00:00Z`, true],
  ['Fri-Mon UTC', '2026-11-24T12:00:00Z', false],
  ['daily 00:00-24:00 UTC', `${SUNDAY}T23:59:59Z`, true],
  ['08:00-00:00 UTC', `${SUNDAY}T23:59:59Z`, true],
])('%s at %s: %s', (text, time, expected) => {
  expect(isOpen(text, time)).toBe(expected);
});

test.each([
  ['Mon-Fry 08:00-18:00', '"Mon-Fry" in "Mon-Fry 08:00-18:00" is no day'],
  ['Mon 8-18', '"8-18" in "Mon 8-18" is no time from one to another'],
  ['08:00-25:00', '"08:00-25:00" in "08:00-25:00" is no time from one to another'],
  ['08:60-18:00', '"08:60-18:00" in "08:60-18:00" is no time from one to another'],
  ['08:00-08:00', '"08:00-08:00" in "08:00-08:00" is no time from one to another'],
  ['Mon 08:00-18:00 Europe/Nowhere', 'there is no time zone "Europe/Nowhere"'],
  ['Mon 08:00-18:00 UTC summer', '"Mon 08:00-18:00 UTC summer" has too many words'],
  ['', '"" in "" is no day'],
])('%s is told', (text, message) => {
  expect(parseHours(text)).toMatchObject({ message });
});

test('a date begins with its day, and ends with it', () => {
  const day = new Date(2026, 11, 24).getTime();
  expect([parseDate('2026-12-24', false), parseDate('2026-12-24', true)]).toEqual([
    day,
    new Date(2026, 11, 25).getTime(),
  ]);
  expect(parseDate('2026-12-24 18:00', true)).toBe(new Date(2026, 11, 24, 18).getTime());
  expect(parseDate('2026-12-24T18:00:00Z', false)).toBe(Date.UTC(2026, 11, 24, 18));
  expect(parseDate('2026-12-24T18:00+01:00', false)).toBe(Date.UTC(2026, 11, 24, 17));
});

test.each(['2026-13-01', '2026-02-30', '24.12.2026', '2026-12-24 25:00', 'tomorrow', ''])('%j is no date', (text) => {
  expect(parseDate(text, false)).toBeUndefined();
});

test('between two dates, the first included', () => {
  const times = { hours: [], fromMs: 1000, untilMs: 2000 };
  expect([999, 1000, 1999, 2000].map((ms) => isOpenAt(times, ms))).toEqual([false, true, true, false]);
});
