/**
 * Events as people read them on a terminal: in columns, a thousand ports in one line, the date when it changes, and with what
 * they may want to know next. It remembers the day, how wide the services' names are, and listeners that are told together.
 */
import type { LogEvent, Shown } from './events';
import { fieldsOf, quoteWord, type FormatEvent } from './format';
import { withRanges } from './port-ranges';
import type { Screen } from './screen';
import { BLOCK_INDENT, HEAD_WIDTH, layBlock, layLine, shortName } from './terminal-line';

type EventOf<N extends LogEvent['event']> = Extract<LogEvent, { event: N }>;

export function terminalFormat(screen: Screen): FormatEvent {
  const terminal = new Terminal(screen);
  return Object.assign((event: LogEvent, now: Date) => terminal.add(event, now), { rest: () => terminal.rest() });
}

interface Held {
  readonly event: EventOf<'listening'>;
  readonly now: Date;
  readonly addresses: string[];
}

class Terminal {
  readonly #screen: Screen;
  /** Of the last line; empty: there was none. */
  #day = '';
  /** So far. */
  #serviceWidth = 0;
  /** By service: told as soon as something else happens, or nothing more does. */
  readonly #held = new Map<string, Held>();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  add(event: LogEvent, now: Date): string {
    if ('service' in event) this.#serviceWidth = Math.max(this.#serviceWidth, shortName(event.service).length);
    if (event.event !== 'listening') return this.rest() + this.#dated(now, this.#show(event, now));
    const held = this.#held.get(event.service) ?? { event, now, addresses: [] };
    held.addresses.push(event.address);
    this.#held.set(event.service, held);
    return '';
  }

  rest(): string {
    const held = [...this.#held.values()];
    this.#held.clear();
    return held
      .map(({ event, now, addresses }) => this.#dated(now, this.#showListening(event, addresses, now)))
      .join('');
  }

  #dated(now: Date, lines: string): string {
    const day = dayOf(now);
    if (day === this.#day) return lines;
    this.#day = day;
    return `-- ${day} --\n${lines}`;
  }

  #show(event: LogEvent, now: Date): string {
    const shown = event.event === 'problem' || event.event === 'warning' ? event.shown : undefined;
    if (shown !== undefined) return this.#showProblem(event, shown, now);
    const line = this.#line(event, fieldsOf(event), now);
    return event.event === 'stopping' ? line + hintAt(event) : line;
  }

  #showListening(event: EventOf<'listening'>, addresses: readonly string[], now: Date): string {
    const text = upTo(MOST_SHOWN, withRanges(addresses).map(quoteWord));
    const fields = fieldsOf(event).map((field) => (field.key === 'address' ? { ...field, text } : field));
    return this.#line(event, fields, now);
  }

  #showProblem(event: LogEvent, shown: Shown, now: Date): string {
    const columns = this.#screen.columns();
    const width = columns === 0 ? 0 : Math.max(columns - HEAD_WIDTH, NARROWEST_BLOCK);
    return layBlock(event, shown(width, this.#screen.isColored), now, this.#screen.isColored);
  }

  #line(event: LogEvent, fields: ReturnType<typeof fieldsOf>, now: Date): string {
    const { isColored } = this.#screen;
    return layLine(event, fields, now, {
      columns: this.#screen.columns(),
      isColored,
      serviceWidth: this.#serviceWidth,
    });
  }
}

/** More separate addresses than this tell nobody anything. */
const MOST_SHOWN = 20;
const NARROWEST_BLOCK = 30;

function upTo(most: number, words: readonly string[]): string {
  const left = words.length - most;
  return left <= 0 ? words.join(' ') : `${words.slice(0, most).join(' ')} and ${left} more`;
}

/** The first Ctrl-C may seem to do nothing for a while. */
function hintAt({ signal, children }: EventOf<'stopping'>): string {
  if (signal !== 'SIGINT' || children === 0) return '';
  const [are, them] = children === 1 ? ['child is', 'it'] : ['children are', 'them'];
  return `${' '.repeat(BLOCK_INDENT)}${children} ${are} left; Ctrl-C once more ends ${them} now\n`;
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

function dayOf(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${WEEKDAYS[now.getDay()] ?? ''} ${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
