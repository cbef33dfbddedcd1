/**
 * An event as one line: JSON for programs, aligned words for people. Pure.
 * All text that came from outside is escaped here: JSON does it by itself, the other form quotes what is not a plain word.
 */
import type { LogEvent } from './events';

export interface FormatEvent {
  (event: LogEvent, now: Date): string;
  /** What was held back to be told together, at the end of a turn of the loop. */
  readonly rest?: () => string;
}

/** The time goes in behind the event's name; to build a second object for it would be the dearest part of an event. */
export function formatJson(event: LogEvent, now: Date): string {
  const json = JSON.stringify(event);
  const end = EVENT_KEY.length + event.event.length;
  const line = `${json.slice(0, end)}","time":"${isoTime(now)}${json.slice(end)}\n`;
  return escapeUnprintable(line);
}

const EVENT_KEY = '{"event":"';

let isoMs = 0;
let isoText = '';

function isoTime(now: Date): string {
  const ms = now.getTime();
  if (ms !== isoMs) [isoMs, isoText] = [ms, now.toISOString()];
  return isoText;
}

export function formatText(event: LogEvent, now: Date): string {
  const words = fieldsOf(event).map(({ key, text }) => `${key}=${text}`);
  return `${clock(now)} ${event.event.padEnd(NAME_WIDTH)} ${words.join(' ')}\n`;
}

export interface Field {
  readonly key: string;
  readonly value: Value;
  /** The value as people read it. */
  readonly text: string;
}

/** In their order; `children=3 limit=1000` is one, `children=3/1000`. An account in full (`usage`) is for JSON alone. */
export function fieldsOf(event: LogEvent): Field[] {
  return Object.entries(withLimit(event))
    .filter((entry): entry is [string, Value] => entry[0] !== 'event' && isValue(entry[1]))
    .map(([key, value]) => ({ key, value, text: textValue(key, value) }));
}

type Value = string | number | boolean | readonly string[] | null;

function isValue(value: unknown): value is Value {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value);
}

/** Of the names that come often. */
const NAME_WIDTH = 9;
const SECONDS = new Set(['duration', 'cpu']);
const PLAIN_WORD = /^[^\s"'\\=\p{C}]+$/u;

function withLimit(event: LogEvent): object {
  if (!('children' in event && 'limit' in event)) return event;
  const { children, limit, ...rest } = event;
  return { ...rest, children: `${children}/${limit}` };
}

function textValue(key: string, value: Value): string {
  if (value === null) return '-';
  if (typeof value === 'object') return textValue(key, value.join(',') || null);
  if (typeof value === 'string') return quoteWord(value);
  if (typeof value === 'boolean') return String(value);
  if (key === 'rss' || key === 'memory') return formatSize(value);
  return SECONDS.has(key) ? value.toFixed(3) : String(value);
}

/** What is not a plain word as a JSON string, without anything that a terminal obeys. */
export function quoteWord(text: string): string {
  return PLAIN_WORD.test(text) ? text : escapeUnprintable(JSON.stringify(text));
}

const UNITS = ['', 'K', 'M', 'G', 'T'];
const STEP = 1024;

/** `1.9M`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= STEP && unit < UNITS.length - 1) {
    value /= STEP;
    unit += 1;
  }
  return unit === 0 ? String(value) : `${value.toFixed(1)}${UNITS[unit] ?? ''}`;
}

/** JSON leaves DEL, the C1 controls and the marks that reverse a line as they are; a terminal obeys them. */
function escapeUnprintable(json: string): string {
  return UNPRINTABLE.test(json) ? json.replace(UNPRINTABLE_ALL, escapeCharacter) : json;
}

const UNPRINTABLE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const UNPRINTABLE_ALL = new RegExp(UNPRINTABLE.source, 'g');

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export function clock(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}
