/**
 * One event as a line of a terminal: columns of time, event, service and connection, then the other fields. What went wrong
 * stands out; what does not fit is left out, least important first, and then folded. Pure.
 */
import { fold, widthOf, type Paint, type Piece } from '../service/fold';
import { painter, type Color } from './color';
import type { LogEvent } from './events';
import { clock, type Field } from './format';

export interface Layout {
  /** Of the terminal; 0: as wide as it gets. */
  readonly columns: number;
  readonly isColored: boolean;
  readonly serviceWidth: number;
}

/** Of the longest name of an event. */
const NAME_WIDTH = 11;
export const BLOCK_INDENT = '00:00:00 '.length;
export const HEAD_WIDTH = BLOCK_INDENT + NAME_WIDTH + 1;
/** On a terminal that is narrower than this, folded lines have no room to stand below their column. */
const NARROW = 60;
const LONGEST_NAME = 24;

export function layLine(event: LogEvent, fields: readonly Field[], now: Date, layout: Layout): string {
  const paint = painterFor(event, layout.isColored);
  const head = [...headOf(event, now, paint, layout.isColored), ...columnsOf(fields, layout)];
  const width = widthOf(head.map(({ text }) => text).join(' '));
  const shown = fitting(fields.filter(isShown(event)), width, layout.columns);
  const pieces = shown.map(({ key, text, value }): Piece => {
    const word = { text: `${key}=${quoted(text, value)}` };
    return TELLING.has(key) ? { ...word, paint } : word;
  });
  const indent = layout.columns < NARROW ? BLOCK_INDENT : HEAD_WIDTH;
  return `${fold([...head, ...pieces], layout.columns, indent)}\n`;
}

/** @param lines the first stands behind the event's name, those after it below */
export function layBlock(event: LogEvent, lines: string, now: Date, isColored: boolean): string {
  const head = headOf(event, now, painterFor(event, isColored), isColored);
  const below = lines.trimEnd().replaceAll('\n', `\n${' '.repeat(BLOCK_INDENT)}`);
  return `${head.map(({ text, paint = String }) => paint(text)).join(' ')} ${below}\n`;
}

/** A long name is known by its ends. */
export function shortName(name: string): string {
  const half = LONGEST_NAME / 2;
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, half)}…${name.slice(1 - half)}`;
}

function headOf(event: LogEvent, now: Date, paint: Paint, isColored: boolean): Piece[] {
  const time = isColored ? { text: clock(now), paint: painter('faint') } : { text: clock(now) };
  return [time, { text: event.event.padEnd(NAME_WIDTH), paint }];
}

function columnsOf(fields: readonly Field[], { serviceWidth }: Layout): Piece[] {
  const textOf = (wanted: string): string | undefined => fields.find(({ key }) => key === wanted)?.text;
  const [service, connection] = [textOf('service'), textOf('connection')];
  if (service === undefined) return [];
  const padded = { text: shortName(service).padEnd(serviceWidth) };
  return connection === undefined ? [padded] : [padded, { text: connection }];
}

const IN_COLUMNS = new Set(['service', 'connection']);

/** Nothing is said of what is not known. A service that goes on with its queue empty may be as full as before. */
function isShown({ event }: LogEvent): (field: Field) => boolean {
  return ({ key, value }) => !IN_COLUMNS.has(key) && value !== null && !(event === 'resumed' && key === 'children');
}

/** These go first. */
const DISPENSABLE = ['backlog', 'retransmits', 'rtt', 'rss', 'cpu', 'children', 'pid'];

function fitting(fields: readonly Field[], width: number, columns: number): readonly Field[] {
  const widthWith = (some: readonly Field[]): number =>
    some.reduce((sum, { key, text }) => sum + 1 + key.length + 1 + widthOf(text), width);
  let left = fields;
  for (const dispensable of DISPENSABLE) {
    if (columns === 0 || widthWith(left) <= columns) return left;
    left = left.filter(({ key }) => key !== dispensable);
  }
  return left;
}

/** Text that holds double quotes and nothing else that needs an escape is easier to read in single ones. */
function quoted(text: string, value: Field['value']): string {
  const isEasier = typeof value === 'string' && value.includes('"') && !value.includes("'");
  return isEasier && text === `"${value.replaceAll('"', '\\"')}"` ? `'${value}'` : text;
}

/** What is to be seen at a glance. */
const TELLING = new Set(['exit', 'signal', 'reason', 'step', 'error', 'problems']);

const COLORS: Readonly<Record<string, Color>> = {
  failed: 'red',
  dropped: 'red',
  rejected: 'red',
  unavailable: 'red',
  lost: 'red',
  problem: 'red',
  refused: 'yellow',
  paused: 'yellow',
  terminating: 'yellow',
  loading: 'yellow',
  ignored: 'yellow',
  unused: 'yellow',
  warning: 'yellow',
  serving: 'green',
  available: 'green',
  resumed: 'green',
  reloaded: 'green',
};

function painterFor(event: LogEvent, isColored: boolean): Paint {
  const color = isFailure(event) ? 'red' : COLORS[event.event];
  return isColored && color !== undefined ? painter(color) : (text) => text;
}

/** A child that we ended ourselves has not failed; one that outlived us has, and one that took too much memory. */
function isFailure(event: LogEvent): boolean {
  if (event.event === 'stopped') return event.children > 0;
  if (event.event !== 'reaped' || event.reason === 'stop' || event.reason === 'removed') return false;
  return event.signal !== undefined || event.exit !== 0;
}
