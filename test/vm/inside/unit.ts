/**
 * stdiod as a unit of systemd's, by `systemd-run`: its events are read from a file.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogEvent } from '../../../src/log/events';
import { atEnd } from '../../system/endings';
import { wait } from './wait';

export type EventName = LogEvent['event'];
export type EventOf<Name extends EventName> = Extract<LogEvent, { event: Name }>;

export const MAIN = join(__dirname, '../../../src/main.js');

export function command(...words: readonly string[]): string {
  return execFileSync(words[0] ?? '', words.slice(1), { encoding: 'utf8' }).trim();
}

/** The control group of a process. */
export function groupOf(pid: number): string {
  return command('sed', '-n', 's/^0:://p', `/proc/${pid}/cgroup`);
}

/** systemd says something between them. */
export function eventsIn(text: string): LogEvent[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as LogEvent);
}

let count = 0;

export class Unit {
  readonly name = `it-${(count += 1)}.service`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stdiod-'));
  readonly #file = join(this.#folder, 'services.yaml');
  readonly #log = join(this.#folder, 'log');

  /** @param properties of the unit: `Delegate=yes` */
  static async start(yaml: string, ...properties: readonly string[]): Promise<Unit> {
    const unit = new Unit(yaml, properties);
    atEnd(() => {
      spawnSync('systemctl', ['stop', unit.name]);
    });
    await unit.until('serving');
    return unit;
  }

  /** As `start`; it goes when the guest does. */
  static async startForGood(yaml: string, ...properties: readonly string[]): Promise<Unit> {
    const unit = new Unit(yaml, properties);
    await unit.until('serving');
    return unit;
  }

  private constructor(yaml: string, properties: readonly string[]) {
    chmodSync(this.#folder, 0o755);
    writeFileSync(this.#file, yaml);
    writeFileSync(this.#log, '');
    const all = [...properties, `StandardError=append:${this.#log}`, 'OOMPolicy=continue', 'KillMode=mixed'];
    const options = [...all, 'ExecReload=/bin/kill -HUP $MAINPID'].flatMap((property) => ['-p', property]);
    command(
      'systemd-run',
      '-q',
      '--collect',
      `--unit=${this.name}`,
      ...options,
      process.execPath,
      MAIN,
      'run',
      '-c',
      this.#file,
    );
  }

  get pid(): number {
    return Number(command('systemctl', 'show', '--value', '-p', 'MainPID', this.name));
  }

  /** Its control group, as a folder. */
  get group(): string {
    return join('/sys/fs/cgroup/system.slice', this.name);
  }

  /** A file of a group below it; empty when it is not there. */
  read(path: string): string {
    const file = join(this.group, path);
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  }

  groupsIn(path: string): string[] {
    const folder = join(this.group, path);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  }

  get events(): LogEvent[] {
    return eventsIn(readFileSync(this.#log, 'utf8'));
  }

  all<Name extends EventName>(name: Name, service?: string): EventOf<Name>[] {
    const isWanted = (event: LogEvent): event is EventOf<Name> =>
      event.event === name && (service === undefined || ('service' in event && event.service === service));
    return this.events.filter(isWanted);
  }

  /** The `number`th of them, counted from 1. */
  until<Name extends EventName>(name: Name, service?: string, number = 1): Promise<EventOf<Name>> {
    const told = (): string => `${name} of ${service ?? 'any'}\n${readFileSync(this.#log, 'utf8').slice(-3000)}`;
    return wait(told, () => this.all(name, service)[number - 1]);
  }

  port(service: string): number {
    const address = this.all('listening', service).at(-1)?.address ?? '';
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }

  async reload(yaml: string): Promise<void> {
    writeFileSync(this.#file, yaml);
    await reloaded(this, this.name);
  }
}

interface Told {
  all<Name extends EventName>(name: Name): EventOf<Name>[];
}

/** Where others have the processor, to read a file may take longer than stdiod waits for that (30 s): it is told again. */
export async function reloaded(unit: Told, name: string): Promise<void> {
  const [before, rejected] = [unit.all('reloaded').length, unit.all('rejected').length];
  let told = 0;
  await wait(
    () => `the reload of ${name}\n${JSON.stringify(unit.all('problem'))}`,
    () => {
      if (unit.all('rejected').length - rejected === told) {
        command('systemctl', 'reload', name);
        told += 1;
      }
      return unit.all('reloaded')[before];
    },
  );
}
