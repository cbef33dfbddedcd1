/**
 * The real daemon as a black box: started with a configuration of its own in a folder of its own, heard through its
 * events, told by signals, and always ended.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEvent } from '../../src/log/events';
import { atEnd } from './endings';
import { main, makeFolder } from './fixtures';
import { childrenOf, stat, threads } from './proc';
import { until, untilTrue } from './until';

export type EventName = LogEvent['event'];
export type EventOf<N extends EventName> = Extract<LogEvent, { event: N }> & { time: string };
type AnyEvent = LogEvent & { time: string };
type Match<N extends EventName> = Partial<EventOf<N>> | ((event: EventOf<N>) => boolean);

export interface DaemonOptions {
  /** A command that execs the words after its own. */
  readonly wrapper?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A descriptor in place of a pipe: then no event is heard. */
  readonly stderr?: number;
  readonly cwd?: string;
  /** More words of the command line. */
  readonly args?: readonly string[];
}

const END_ROUNDS = 100;
const END_ROUND_MS = 100;

/** Runs a configuration; returns when it serves. */
export async function startDaemon(yaml: string, options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = launchDaemon(yaml, options);
  await daemon.untilReady();
  return daemon;
}

/** As `startDaemon`, without waiting. */
export function launchDaemon(yaml: string, options: DaemonOptions = {}, folder = makeFolder()): Daemon {
  const file = join(folder, 'services.yaml');
  writeFileSync(file, yaml);
  return new Daemon(folder, ['run', '-c', file, ...(options.args ?? [])], options);
}

/** Runs the words of a command line, `try 127.0.0.1:0 -- cat`; returns when it serves. */
export async function startWords(words: readonly string[], options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = new Daemon(makeFolder(), words, options);
  await daemon.untilReady();
  return daemon;
}

export class Daemon {
  readonly folder: string;
  readonly process: ChildProcess;
  readonly events: AnyEvent[] = [];
  /** All of stderr, and of stdout. */
  stderr = '';
  stdout = '';
  #unread = '';
  readonly #closed: Promise<unknown>;

  constructor(folder: string, words: readonly string[], options: DaemonOptions) {
    this.folder = folder;
    const [program = '', ...args] = [...(options.wrapper ?? []), process.execPath, main, ...words];
    const stdio: StdioOptions = ['ignore', 'pipe', options.stderr ?? 'pipe'];
    const env = { ...process.env, ...options.env };
    this.process = spawn(program, args, { cwd: options.cwd ?? folder, stdio, env });
    this.#closed = once(this.process, 'close');
    this.process.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#onText(chunk);
    });
    atEnd(() => this.#end());
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the daemon did not start');
    return this.process.pid;
  }

  get isEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async untilReady(): Promise<void> {
    // A stack trace may name a file of that name.
    const isReady = (): boolean => /serving\b(?!\.)/.test(this.stderr);
    const what = (): string => `the daemon is ready or has ended\n${this.stderr}\n${threads(this.pid).join('\n')}`;
    await until(what, () => (isReady() || this.isEnded ? true : undefined));
    if (!isReady()) throw new Error(`the daemon did not start: ${this.stderr}`);
  }

  /** The port of a service's listener, in the order of its `listen`. */
  port(service?: string, at = 0): number {
    const found = this.all('listening').filter((event) => service === undefined || event.service === service)[at];
    if (found === undefined) throw new Error(`${service ?? 'nothing'} listens: ${this.stderr}`);
    return parseInt(found.address.slice(found.address.lastIndexOf(':') + 1), 10);
  }

  all<N extends EventName>(name: N, match: Match<N> = {}): EventOf<N>[] {
    return this.events.filter((event) => isMatch(event, name, match));
  }

  /** @param from how many events are passed over: `daemon.events.length` before a step means "after it" */
  async waitFor<N extends EventName>(name: N, match: Match<N> = {}, from = 0): Promise<EventOf<N>> {
    let next = from;
    const probe = (): EventOf<N> | undefined => {
      for (; next < this.events.length; next += 1) {
        const event = this.events[next];
        if (event !== undefined && isMatch(event, name, match)) return event;
      }
      return undefined;
    };
    const what = (): string => `${name} ${JSON.stringify(match)} after ${from} events\n${this.stderr.slice(-4000)}`;
    return until(what, probe);
  }

  /** Waits until there are so many. */
  async waitForCount<N extends EventName>(name: N, count: number, match: Match<N> = {}): Promise<EventOf<N>[]> {
    await untilTrue(`${count} ${name} events`, () => this.all(name, match).length >= count);
    return this.all(name, match);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  configure(yaml: string): void {
    this.addFile('services.yaml', yaml);
  }

  /** Freezes the daemon: what clients do meanwhile has happened before it sees anything of it. */
  async whileStopped<T>(action: () => Promise<T>): Promise<T> {
    this.signal('SIGSTOP');
    await untilTrue('the daemon is stopped', () => stat(this.pid).state === 'T');
    try {
      return await action();
    } finally {
      this.signal('SIGCONT');
    }
  }

  /** Puts a file beside the configuration. */
  addFile(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  removeFile(name: string): void {
    rmSync(join(this.folder, name));
  }

  /** For a daemon that does not write JSON. */
  async untilText(pattern: RegExp): Promise<void> {
    await untilTrue(`${pattern.source} in stderr`, () => pattern.test(this.stderr));
  }

  /** Writes a new configuration and waits until it is in force. */
  async reload(yaml: string): Promise<EventOf<'reloaded'>> {
    this.configure(yaml);
    const from = this.events.length;
    this.signal('SIGHUP');
    return this.waitFor('reloaded', {}, from);
  }

  /** Has the file read again; returns how that ended. */
  async hup(): Promise<EventOf<'reloaded' | 'rejected'>> {
    const from = this.events.length;
    this.signal('SIGHUP');
    return until('the file has been read', () => this.events.slice(from).find(isOutcome));
  }

  /** As `reload`, again and again where it is given up because the file was not read in time. */
  async reloadAtLast(yaml: string): Promise<EventOf<'reloaded'>> {
    this.configure(yaml);
    return until('the file is taken', async () => {
      const outcome = await this.hup();
      return outcome.event === 'reloaded' ? outcome : undefined;
    });
  }

  /** Waits for the end: an exit status, or the name of a signal. All output has been read then. */
  async ended(): Promise<number | string> {
    await untilTrue(`the daemon ends\n${this.stderr.slice(-4000)}`, () => this.isEnded);
    await this.#closed;
    return this.process.exitCode ?? this.process.signalCode ?? 'unknown';
  }

  async stop(): Promise<number | string> {
    this.signal('SIGTERM');
    return this.ended();
  }

  #onText(chunk: string): void {
    this.stderr += chunk;
    const lines = (this.#unread + chunk).split('\n');
    this.#unread = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{"event"')) this.events.push(JSON.parse(line) as AnyEvent);
  }

  /** Two INT end every child; a daemon that does not hear them is killed with what is left of them. */
  async #end(): Promise<void> {
    const end = (): true | undefined => (this.isEnded ? true : undefined);
    // One that comes while the one before is pending is lost, so there are more than two. A wrapper may not hear them.
    for (let round = 0; round < END_ROUNDS && end() === undefined; round += 1) {
      sendTo([this.pid], 'SIGCONT');
      sendTo([this.pid, ...childrenOf(this.pid)], 'SIGINT');
      await until('the daemon ends', end, END_ROUND_MS).catch(() => undefined);
    }
    if (end() === undefined) sendTo([...childrenOf(this.pid), this.pid], 'SIGKILL');
  }
}

/** To those that are still there. */
function sendTo(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

function isOutcome(event: AnyEvent): event is EventOf<'reloaded' | 'rejected'> {
  return event.event === 'reloaded' || event.event === 'rejected';
}

function isMatch<N extends EventName>(event: AnyEvent, name: N, match: Match<N>): event is EventOf<N> {
  if (!isNamed(event, name)) return false;
  if (typeof match === 'function') return match(event);
  const fields = new Map<string, unknown>(Object.entries(event));
  return Object.entries(match).every(([key, value]) => fields.get(key) === value);
}

function isNamed<N extends EventName>(event: AnyEvent, name: N): event is EventOf<N> {
  return event.event === name;
}
