/**
 * stdiod as docs/operations.md has it installed: its `stdiod.service`, and a `stdiod.socket` beside it. Its events are in the journal.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atEnd } from '../../system/endings';
import { command, eventsIn, MAIN, reloaded, type EventName, type EventOf } from './unit';
import { wait } from './wait';

/** What the journal knows of a line. */
export interface Entry {
  readonly MESSAGE: string;
  readonly PRIORITY: string;
  readonly SYSLOG_IDENTIFIER: string;
  readonly _PID: string;
  readonly _SYSTEMD_UNIT: string;
  readonly _TRANSPORT: string;
}

const SERVICE = 'stdiod.service';
const UNITS = '/etc/systemd/system';
const FILE = '/etc/stdiod/services.yaml';
const MANUAL = join(__dirname, '../../../../docs/operations.md');

/** journalctl and systemctl take a good part of the time that they are asked in. */
const PAUSE_MS = 1500;

interface Installation {
  /** Lines of `[Service]` after those of the manual. */
  readonly more?: readonly string[];
  /** Other files in the folder of units, by their paths. */
  readonly beside?: Readonly<Record<string, string>>;
}

/** One at a time. */
export class InstalledUnit {
  /** Where the journal stood before. */
  readonly #from = cursorOf(command('journalctl', '-q', '-n', '1', '--show-cursor'));
  /** Those that the folder of units has for it. */
  readonly #files: readonly string[];

  /** To be removed by whoever is the last to use it. */
  static async start(yaml: string, installation: Installation): Promise<InstalledUnit> {
    const unit = new InstalledUnit(yaml, installation);
    unit.systemctl('start', SERVICE);
    await unit.until('serving');
    return unit;
  }

  /** Not started. It goes with the promise. */
  static install(yaml: string, installation: Installation = {}): InstalledUnit {
    const unit = new InstalledUnit(yaml, installation);
    atEnd(() => {
      unit.remove();
    });
    return unit;
  }

  private constructor(yaml: string, { more = [], beside = {} }: Installation) {
    const files = { [SERVICE]: serviceOfManual(more), ...beside };
    this.#files = Object.keys(files);
    for (const [path, text] of Object.entries(files)) writeInto(join(UNITS, path), text);
    writeInto(FILE, yaml);
    command('systemctl', 'daemon-reload');
  }

  remove(): void {
    spawnSync('systemctl', ['kill', '-s', 'KILL', SERVICE]);
    spawnSync('systemctl', ['stop', ...this.#files.filter((path) => !path.includes('/')).reverse()]);
    // What was set at run time.
    spawnSync('systemctl', ['revert', SERVICE]);
    for (const path of this.#files) rmSync(join(UNITS, path), { force: true });
    spawnSync('systemctl', ['daemon-reload']);
    spawnSync('systemctl', ['reset-failed']);
  }

  systemctl(...words: readonly string[]): void {
    command('systemctl', ...words);
  }

  show(property: string): string {
    return command('systemctl', 'show', '--value', '-p', property, SERVICE);
  }

  async untilState(state: string): Promise<void> {
    const told = (): string => `it is ${state}\n${spawnSync('systemctl', ['status', SERVICE]).stdout.toString()}`;
    await wait(told, () => (this.show('ActiveState') === state ? true : undefined), PAUSE_MS);
  }

  get pid(): number {
    return Number(this.show('MainPID'));
  }

  async reload(yaml: string): Promise<void> {
    writeFileSync(FILE, yaml);
    await reloaded(this, SERVICE);
  }

  all<Name extends EventName>(name: Name): EventOf<Name>[] {
    return eventsIn(this.#journal('cat')).filter((event): event is EventOf<Name> => event.event === name);
  }

  /** The `number`th of them, counted from 1. */
  until<Name extends EventName>(name: Name, number = 1): Promise<EventOf<Name>> {
    const told = (): string => `${name} in\n${this.#journal('cat').slice(-3000)}`;
    return wait(told, () => this.all(name)[number - 1], PAUSE_MS);
  }

  /** The lines of the journal that have these words. */
  entries(words: string): Entry[] {
    const lines = this.#journal('json').split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Entry).filter(({ MESSAGE }) => MESSAGE.includes(words));
  }

  /** As the manual says to look at it. */
  #journal(form: 'cat' | 'json'): string {
    return command('journalctl', '-q', '-u', 'stdiod', '-o', form, ...this.#from);
  }
}

/** The unit of the manual that has these words, with settings in the place of its own. */
export function unitOfManual(words: string, settings: Readonly<Record<string, string>> = {}): string {
  const blocks = [...readFileSync(MANUAL, 'utf8').matchAll(/```ini\n([^]*?)```/g)].map(([, text = '']) => text);
  const found = blocks.find((text) => text.includes(words));
  if (found === undefined) throw new Error(`docs/operations.md shows no unit with ${words}`);
  return Object.entries(settings).reduce((text, [name, value]) => replaced(text, name, value), found);
}

function replaced(text: string, name: string, value: string): string {
  const line = new RegExp(`^${name}=.*$`, 'm');
  if (!line.test(text)) throw new Error(`the manual has no ${name}= in\n${text}`);
  return text.replace(line, `${name}=${value}`);
}

function writeInto(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** What is asked of a journal that has shown its last entry; nothing of an empty one. */
function cursorOf(shown: string): readonly string[] {
  const [, cursor] = /^-- cursor: (.*)$/m.exec(shown) ?? [];
  return cursor === undefined ? [] : ['--after-cursor', cursor];
}

/** With our own program in the place of the one that is installed. */
function serviceOfManual(more: readonly string[]): string {
  const text = unitOfManual('ExecStart=').replace(/^ExecStart=\S+ \S+/m, `ExecStart=${process.execPath} ${MAIN}`);
  return text.replace('\n[Install]', `${more.join('\n')}\n[Install]`);
}
