/**
 * An event as one line: JSON for programs, aligned words for people. Pure.
 * All text that came from outside is escaped here: JSON does it by itself, the other form quotes what is not a plain word.
 */
import type { LogOptions } from '../service/service';
import type { LogEvent } from './events';

export type FormatEvent = (event: LogEvent, now: Date) => string;

/** `auto`: text for people on a terminal, JSON lines for programs. */
export function chooseFormat(format: LogOptions['format'], isTerminal: boolean): FormatEvent {
  const isText = format === 'text' || (format === 'auto' && isTerminal);
  return isText ? formatText : formatJson;
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
  const { event: name, ...fields } = event;
  const words = Object.entries(withLimit(fields))
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${textValue(key, value)}`);
  return `${clock(now)} ${name.padEnd(NAME_WIDTH)} ${words.join(' ')}\n`;
}

type Value = string | number | null | undefined;

/** Of the names that come often. */
const NAME_WIDTH = 9;
const SECONDS = new Set(['duration', 'cpu']);
const PLAIN_WORD = /^[^\s"'\\=\p{C}]+$/u;

/** `children=3 limit=1000` is written `children=3/1000`. */
function withLimit(fields: Record<string, Value>): Record<string, Value> {
  const { children, limit, ...rest } = fields;
  if (children === undefined || limit === undefined) return fields;
  return { ...rest, children: `${children}/${limit}` };
}

function textValue(key: string, value: Value): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'string') return PLAIN_WORD.test(value) ? value : escapeUnprintable(JSON.stringify(value));
  if (key === 'rss') return formatSize(value);
  return SECONDS.has(key) ? value.toFixed(3) : String(value);
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

function clock(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}
