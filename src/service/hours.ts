/**
 * When a service is open: hours of days of the week, in a time zone, and the dates between which it is there at all.
 */
import { Malformed, orFault, quote, type TextFault } from './malformed';

export interface Hours {
  /** A bit for each day on which they begin; Monday is the lowest. */
  readonly days: number;
  /** Minutes of the day, 0 to 1439. */
  readonly from: number;
  /** 1 to 1440; where it is not after `from`, of the next day. */
  readonly to: number;
  /** As the time zone database names it; null: the machine's own. */
  readonly zone: string | null;
}

/** Milliseconds since 1970. */
export interface Times {
  /** Any of them; none: at any hour. */
  readonly hours: readonly Hours[];
  readonly fromMs: number | null;
  readonly untilMs: number | null;
}

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const EVERY_DAY = 0b111_1111;
const MINUTES_OF_DAY = 1440;
const REMEDY = 'write days, times and a time zone: "Mon-Fri 08:00-18:00 Europe/Berlin"';

/** `Mon-Fri 08:00-18:00 Europe/Berlin`, `Sat,Sun`, `22:00-06:00`: each part may be left out, but not both days and times. */
export function parseHours(text: string): Hours | TextFault {
  return orFault(() => readHours(text));
}

export function isHours(parsed: Hours | TextFault): parsed is Hours {
  return 'days' in parsed;
}

/**
 * `2026-12-24`, `2026-12-24 18:00`, `2026-12-24T18:00:00Z`: in the machine's own zone unless it says another one.
 * @param isEnd a day alone means its end @returns milliseconds since 1970; undefined: it is no such time
 */
export function parseDate(text: string, isEnd: boolean): number | undefined {
  const [, year, month, day, hour, minute, second = '0', offset] = DATE.exec(text) ?? [];
  if (year === undefined || !isDay(Number(year), Number(month), Number(day))) return undefined;
  if (hour === undefined) return new Date(Number(year), Number(month) - 1, Number(day) + (isEnd ? 1 : 0)).getTime();
  const time = `${year}-${month}-${day}T${hour}:${minute}:${second.padStart(2, '0')}${offset ?? ''}`;
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? undefined : ms;
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?)?$/;

/** @param nowMs milliseconds since 1970 */
export function isOpenAt({ hours, fromMs, untilMs }: Times, nowMs: number): boolean {
  if (fromMs !== null && nowMs < fromMs) return false;
  if (untilMs !== null && nowMs >= untilMs) return false;
  return hours.length === 0 || hours.some((each) => isWithin(each, nowMs));
}

/** The next change cannot come before it is over: every offset is whole minutes. */
export const MINUTE_MS = 60_000;

function isWithin({ days, from, to, zone }: Hours, nowMs: number): boolean {
  const { day, minute } = localTime(nowMs, zone);
  const isToday = (days & (1 << day)) !== 0;
  if (to > from) return isToday && minute >= from && minute < to;
  const wasYesterday = (days & (1 << ((day + 6) % 7))) !== 0;
  return (isToday && minute >= from) || (wasYesterday && minute < to);
}

const formats = new Map<string | null, Intl.DateTimeFormat>();

function localTime(nowMs: number, zone: string | null): { day: number; minute: number } {
  const format = formats.get(zone) ?? formatFor(zone);
  formats.set(zone, format);
  const parts = new Map(format.formatToParts(nowMs).map(({ type, value }) => [type, value]));
  const day = DAYS.indexOf((parts.get('weekday') ?? '').toLowerCase());
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

/** @throws RangeError there is no such zone */
function formatFor(zone: string | null): Intl.DateTimeFormat {
  const options = { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  return new Intl.DateTimeFormat('en-US', zone === null ? options : { ...options, timeZone: zone });
}

function readHours(text: string): Hours {
  const words = text.trim().split(/\s+/);
  const days = isTime(words[0] ?? '') ? EVERY_DAY : readDays(words.shift() ?? '', text);
  const [from, to] = isTime(words[0] ?? '') ? readTimes(words.shift() ?? '', text) : [0, MINUTES_OF_DAY];
  const zone = words.shift() ?? null;
  if (words.length > 0) throw new Malformed(`${quote(text)} has too many words`, REMEDY);
  if (zone !== null) checkZone(zone);
  return { days, from, to, zone };
}

function isTime(word: string): boolean {
  return /^\d/.test(word);
}

function readDays(word: string, whole: string): number {
  if (/^daily$/i.test(word)) return EVERY_DAY;
  return word.split(',').reduce((days, part) => days | readRange(part, whole), 0);
}

/** `Fri-Mon` runs over the end of the week. */
function readRange(part: string, whole: string): number {
  const [first, last = first] = part
    .toLowerCase()
    .split('-')
    .map((name) => DAYS.indexOf(name.slice(0, 3)));
  if (first === undefined || last === undefined || first < 0 || last < 0) {
    throw new Malformed(
      `${quote(part)} in ${quote(whole)} is no day`,
      'the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun',
    );
  }
  let days = 0;
  for (let day = first; ; day = (day + 1) % 7) {
    days |= 1 << day;
    if (day === last) return days;
  }
}

function readTimes(word: string, whole: string): [number, number] {
  const [, fromHour, fromMinute, toHour, toMinute] = /^(\d\d?):(\d\d)-(\d\d?):(\d\d)$/.exec(word) ?? [];
  const from = minutes(fromHour, fromMinute);
  const to = minutes(toHour, toMinute);
  if (from === undefined || to === undefined || from === MINUTES_OF_DAY || from === to)
    throw new Malformed(`${quote(word)} in ${quote(whole)} is no time from one to another`, REMEDY);
  return [from, to === 0 ? MINUTES_OF_DAY : to];
}

function minutes(hour: string | undefined, minute: string | undefined): number | undefined {
  const [hours, rest] = [Number(hour), Number(minute)];
  if (hour === undefined || minute === undefined || rest > 59) return undefined;
  const all = hours * 60 + rest;
  return all > MINUTES_OF_DAY ? undefined : all;
}

function checkZone(zone: string): void {
  try {
    formatFor(zone);
  } catch {
    throw new Malformed(`there is no time zone ${quote(zone)}`, 'write a name such as Europe/Berlin, or UTC');
  }
}

function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
