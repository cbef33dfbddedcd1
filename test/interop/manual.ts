/**
 * The blocks of a page of the manual, and a folder in which its commands are typed as a reader would: on free ports, with what
 * differs from run to run (times, ids, the folder) taken out of their output.
 *
 * A comment above a block says what the test has to know: `not run: REASON`, `file: NAME` (the block is that file), `typed: LINE`
 * (by the reader, while the command runs), `beside: COMMAND` (has been started before), `visited: COMMAND` (is run once the block's
 * own command serves), `needs: root`. Several are divided by `; `.
 */
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitWords } from '../../src/service/words';
import { Daemon } from '../system/daemon';
import { fixture, main, makeFolder, project } from '../system/fixtures';
import { findFreePorts, isRoot } from '../system/machine';
import { Keyboard } from '../system/keyboard';
import { untilTrue } from '../system/until';
import { startProgram } from './client-program';

export interface Block {
  readonly line: number;
  readonly language: string;
  readonly notes: ReadonlyMap<string, string>;
  readonly text: string;
}

/** @param page its path in the project */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(project, page), 'utf8');
  return [...text.matchAll(BLOCK)].map((match) => {
    const [, comment = '', language = '', body = ''] = match;
    const line = text.slice(0, match.index + comment.length).split('\n').length;
    return { line, language, notes: notesOf(comment), text: body };
  });
}

const BLOCK = /((?:<!-- [^]*? -->\n\n?)?)^```(\w*)\n([^]*?)^```$/gm;

function notesOf(comment: string): Map<string, string> {
  const inner = comment.replace(/^<!-- | -->\s*$/g, '');
  const notes = inner.split('; ').flatMap((note) => /^([a-z ]+): (.*)$/.exec(note)?.slice(1) ?? []);
  return new Map(notes.flatMap((word, index) => (index % 2 === 0 ? [[word, notes[index + 1] ?? ''] as const] : [])));
}

interface Step {
  readonly command: string;
  readonly output: string;
}

/** What follows each `$`; output without a command is more of the log of what was started last. */
function stepsOf(text: string): Step[] {
  return text.split(/^(?=\$ )/m).map((part) => {
    const [, command = '', output = part] = /^\$ (.*)\n([^]*)$/.exec(part) ?? [];
    return { command, output };
  });
}

/** Whoever reads a page, in a folder of their own. */
export class Reader {
  readonly #folder = makeFolder();
  readonly #ports: ReadonlyMap<string, string>;
  #last: { readonly daemon: Daemon; readonly keyboard: Keyboard; read: number } | null = null;
  #status = 0;

  private constructor(ports: ReadonlyMap<string, string>) {
    this.#ports = ports;
    symlinkSync(project, join(this.#folder, 'stdiod'));
    mkdirSync(join(this.#folder, 'bin'));
    this.#put('bin/stdiod', `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  }

  /** The folder has the file of the README's first example, unless the page has one of its own. */
  static async of(blocks: readonly Block[]): Promise<Reader> {
    const text = blocks.map((block) => block.text.replaceAll(PEER, '')).join('\n');
    const ports = [...new Set([...text.matchAll(PORT)].map(([, , port = '']) => port))];
    const first = await findFreePorts(ports.length + 1);
    const reader = new Reader(new Map(ports.map((port, index) => [port, String(first + index)])));
    for (const block of blocksOf('README.md')) if (block.notes.has('file')) await reader.read(block);
    return reader;
  }

  async read(block: Block): Promise<void> {
    const name = block.notes.get('file');
    if (name !== undefined) this.#put(name, this.#toFree(block.text));
    if (block.language !== 'console' || block.notes.has('not run')) return;
    if (block.notes.get('needs') === 'root' && !isRoot) return;
    const beside = block.notes.get('beside');
    if (beside !== undefined) await this.#start(beside);
    for (const step of stepsOf(block.text)) await this.#take(step, block);
    if (beside !== undefined) await this.#last?.daemon.stop();
  }

  async #take({ command, output }: Step, { notes }: Block): Promise<void> {
    const isServed = /^(-- .*\n)?\S+ +(listening|accepted) /m.test(output);
    if (!isServed) {
      expect([command, this.#plain(await this.#run(command, output, notes.get('typed')))]).toEqual([
        command,
        this.#plain(output),
      ]);
      return;
    }
    if (command !== '') await this.#start(command);
    const visited = notes.get('visited');
    if (visited !== undefined) await this.#run(visited, '', undefined);
    expect([command, await this.#log(output)]).toEqual([command, this.#plain(output)]);
  }

  async #start(command: string): Promise<void> {
    const keyboard = new Keyboard();
    const words = splitWords(this.#toFree(command.replace(/^node ~\/stdiod\/dist\/src\/main\.js/, 'stdiod')));
    if (!words.ok) throw new Error(command);
    const daemon = new Daemon(
      this.#folder,
      words.words.slice(1).map(({ text }) => text),
      keyboard.options,
    );
    this.#last = { daemon, keyboard, read: 0 };
    await daemon.untilReady();
  }

  /** As much of the log as the page shows, from where it was left. Ctrl-C is typed where the page shows an end. */
  async #log(output: string): Promise<string> {
    const last = this.#last;
    if (last === null) throw new Error('nothing was started');
    const length = lines(output).length;
    const more = (): string[] => lines(last.daemon.stderr).slice(last.read);
    const before = lines(output).findIndex((line) => line.includes(' stopping '));
    if (before >= 0) {
      await untilTrue('what comes before the end', () => more().length >= before);
      last.keyboard.type('\u0003');
    }
    await untilTrue(`${length} lines of\n${output}`, () => more().length >= length || last.daemon.isEnded);
    const told = more().slice(0, length);
    last.read += length;
    return this.#plain(told.join('\n'));
  }

  /** Its stderr is a terminal. What is typed stands among its output on a page, and is answered before the next line is. */
  async #run(command: string, output: string, typed: string | undefined): Promise<string> {
    const script = `PATH="$HOME/bin:$PATH"; (exit ${this.#status}); ${this.#toFree(command)}`;
    const env = { HOME: this.#folder, NO_COLOR: '1' };
    const words = ['python3', fixture('on-terminal.py'), 'bash', '-c', script];
    const program = startProgram(words, { cwd: this.#folder, env });
    let told = '';
    program.stdout?.on('data', (chunk: Buffer) => (told += chunk.toString()));
    program.stderr?.on('data', (chunk: Buffer) => (told += chunk.toString()));
    if (typed !== undefined) {
      const at = lines(output).indexOf(typed);
      program.stdin?.write(`${typed}\n`);
      await untilTrue(`an answer before the end: ${told}`, () => lines(told).length >= lines(output).length - 1);
      told = lines(told).toSpliced(at, 0, typed).join('\n');
    }
    program.stdin?.end();
    await once(program, 'close');
    this.#status = program.exitCode ?? 0;
    return told;
  }

  #put(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text);
    chmodSync(join(this.#folder, name), 0o755);
  }

  #toFree(text: string): string {
    return text.replaceAll(PORT, (_, before: string, port: string) => before + (this.#ports.get(port) ?? port));
  }

  /** Without what differs from run to run. */
  #plain(text: string): string {
    let plain = text.replaceAll('\r', '').replaceAll(PEER, 'peer=').trimEnd();
    for (const [page, free] of this.#ports) plain = plain.replaceAll(`127.0.0.1:${free}`, `127.0.0.1:${page}`);
    for (const folder of [this.#folder, '/home/me', '/srv/shout']) plain = plain.replaceAll(folder, 'FOLDER');
    return plain.replaceAll(VARIES, '$1…').replaceAll(/ rss=\S+/g, '');
  }
}

const PORT = /(127\.0\.0\.1[: ])(\d+)/g;
const PEER = /peer=127\.0\.0\.1:\d+/g;
const VARIES =
  /(pid=|duration=|cpu=|version=|^stdiod (?=\d)|"stdiod":|"node":|"platform":|^-- (?=\w{3} \d)|^(?=\d\d:\d\d:\d\d ))[^ ,}]+( [\d-]+ --$)?/gm;

function lines(text: string): string[] {
  return text.split('\n').slice(0, text.endsWith('\n') ? -1 : undefined);
}
