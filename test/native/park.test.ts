/**
 * native/park by itself: programs are parked at their first touch of the connection, and woken with one; and every way in which a
 * program can make that impossible ends in a reason or in its end, never in a program that is neither parked nor running.
 */
import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fixture, makeFolder, project } from '../system/fixtures';
import { testWith, tool, X64 } from './needs';

const park = join(project, 'dist/services/park');
const testX64 = testWith(X64);
const run = promisify(execFile);

type Mode = 'pool' | 'template' | 'pool,getsockname' | 'template,getsockname';

interface Line {
  readonly message?: string | null;
  readonly isOwn?: boolean;
  readonly pid?: number;
  readonly answer?: string;
  readonly exit?: number;
  readonly parked?: number;
}

interface Ways {
  readonly clients?: number;
  readonly env?: Readonly<Record<string, string>>;
}

async function parks(mode: Mode, command: readonly string[], { clients = 1, env = {} }: Ways = {}): Promise<Line[]> {
  const args = [park, mode, String(clients), ...command];
  const { stdout } = await run(fixture('parks.py'), args, { env: { ...process.env, ...env }, timeout: 60_000 });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

function answers(lines: readonly Line[]): string[] {
  return lines.flatMap(({ answer }) => answer ?? []);
}

function fights(what: string, mode: Mode, env: Ways['env'] = {}): Promise<Line[]> {
  return parks(mode, [fixture('fights-park.c'), what], { env });
}

function why([first]: readonly Line[]): string {
  return first?.message ?? '';
}

function script(name: string, text: string): string {
  const path = join(makeFolder(), name);
  writeFileSync(path, text);
  return path;
}

/** What it does, and what is said of it. */
const FATAL: readonly (readonly [what: string, reason: string])[] = [
  ['closes-control', 'closes descriptors'],
  ['child-touches', 'a process that it starts uses the connection'],
  ['child-stays', 'processes that it has started'],
];

describe.each<Mode>(['pool', 'template'])('%s', (mode) => {
  testX64('serves each client with a process of its own, which exits as the program says', async () => {
    const lines = await parks(mode, ['/bin/sh', '-c', 'read x; echo "got $x"; exit 7'], { clients: 3 });
    expect(answers(lines)).toEqual(['got hello 1\n', 'got hello 2\n', 'got hello 3\n']);
    expect(lines.flatMap(({ exit }) => exit ?? [])).toEqual([7, 7, 7]);
    const pids = lines.flatMap(({ pid, message }) => (message?.startsWith('woke') === true ? [pid] : []));
    expect(new Set(pids).size).toBe(3);
  });

  testX64('leaves registers, flags and vectors as they were', async () => {
    expect(answers(await fights('registers', mode))).toEqual(['registers kept hello 1\n']);
  });

  testX64('an alarm that was set before the touch goes off', async () => {
    expect(answers(await fights('alarm', mode))).toEqual(['alarm hello 1\nrang\n']);
  });

  for (const what of ['interrupts', 'jumps', 'blocks-signals', 'traces']) {
    testX64(`a program that ${what} before its touch is served`, async () => {
      expect(answers(await fights(what, mode))).toEqual([`${what} hello 1\n`]);
    });
  }

  testX64('what the program has closed or replaced stays so', async () => {
    expect(answers(await fights('closes-input', mode))).toEqual(['closes-input -1\n']);
    expect(answers(await fights('replaces-errors', mode))).toEqual(['replaces-errors hello 1\n']);
  });

  for (const [what, reason] of FATAL) {
    testX64(`a program that ${what} is told and ended`, async () => {
      const lines = await fights(what, mode);
      expect(why(lines)).toContain(reason);
      expect(lines).toContainEqual({ parked: -9 });
    });
  }

  testX64('a program that exits before its touch is only gone', async () => {
    expect(await fights('exits', mode)).toEqual([{ message: null, isOwn: false }, { parked: 5 }]);
  });

  for (const what of ['never', 'stops', 'closes-all']) {
    testX64(`a program that ${what} can be ended`, async () => {
      const lines = await fights(what, mode, { END_AFTER: '0.3' });
      expect(lines).toEqual([{ message: null, isOwn: false }, { parked: -9 }]);
    });
  }

  testX64('a set-user-ID program is not started', async () => {
    const lines = await parks(mode, ['/bin/su', '-c', 'id']);
    expect(why(lines)).toContain('set-user-ID');
  });

  testX64('a program that cannot be started says why', async () => {
    expect(why(await parks(mode, ['/nonexistent/program']))).toContain('No such file');
  });

  testX64('who loses its tracer at any moment is parked, or has ended', async () => {
    const ends = Array.from({ length: 12 }, (_, step) => String(step * 0.008));
    for (const after of ends) {
      const lines = await parks(mode, ['/bin/sh', '-c', 'read x; echo "got $x"'], { env: { KILL_AFTER: after } });
      const isServed = answers(lines).join('') === 'got hello 1\n';
      const hasEnded = lines.some((line) => line.parked === -9);
      expect([isServed, hasEnded]).toEqual(isServed ? [true, false] : [false, true]);
    }
  });
});

describe('a template', () => {
  testX64('is told and ended where sessions would notice each other', async () => {
    expect(why(await fights('thread', 'template'))).toContain('threads');
    expect(why(await fights('touching-thread', 'template'))).toContain('threads');
    expect(why(await fights('epoll', 'template'))).toContain('a queue of events');
    expect(why(await fights('shared-memory', 'template'))).toContain('shared memory');
    expect(why(await fights('timer', 'template'))).toContain('timers');
  });

  testX64('each session reads on in a file where the template was', async () => {
    const filler = Array.from({ length: 2000 }, (_, index) => `: line ${index} makes the script longer than a block`);
    const path = script('long.sh', `read x\n${filler.join('\n')}\necho "$x $(echo at the end)"\n`);
    const lines = await parks('template', ['/bin/bash', path], { clients: 3 });
    expect(answers(lines)).toEqual([1, 2, 3].map((number) => `hello ${number} at the end\n`));
  });

  const perl = tool('perl');
  testWith(X64, perl)('sessions of perl have all of DATA and their own number', async () => {
    const path = script('data.pl', 'my $x = <STDIN>; print "$$ ", <DATA>;\n__DATA__\none\ntwo\n');
    const lines = await parks('template', ['/usr/bin/perl', path], { clients: 2 });
    const pids = lines.flatMap(({ pid }) => pid ?? []);
    expect(answers(lines)).toEqual(pids.map((pid) => `${pid} one\ntwo\n`));
  });
});

describe('a pool', () => {
  for (const what of ['thread', 'touching-thread', 'epoll', 'shared-memory', 'timer']) {
    testX64(`serves one with ${what}`, async () => {
      expect(answers(await fights(what, 'pool'))).toEqual([`${what} hello 1\n`]);
    });
  }

  testX64('serves Node, which asks for its own address at its start', async () => {
    const path = script('echo.js', 'process.stdin.on("data", (x) => console.log(`got ${x}`.trim()));');
    const lines = await parks('pool,getsockname', [process.execPath, path], { clients: 2 });
    expect(answers(lines)).toEqual(['got hello 1\n', 'got hello 2\n']);
  });
});

describe('the code in a parked program', () => {
  const object = join(project, 'dist/services/parked.o');
  const dump = (...options: string[]): string => execFileSync('objdump', [...options, object], { encoding: 'utf8' });

  testWith(X64, tool('objdump'))('needs nothing outside itself, and no register but the general ones', () => {
    expect(dump('-r', '-j', 'parked')).not.toContain('R_X86_64');
    expect(dump('-t')).not.toContain('*UND*');
    expect(dump('-d', '-j', 'parked')).not.toMatch(/%[xyz]mm|%st\b|\bcall\b/);
    return Promise.resolve();
  });

  testWith(X64, tool('objdump'))('fits its page, and has no data', () => {
    const sizes = [...dump('-h').matchAll(/^ *\d+ (\S+) +([0-9a-f]+)/gm)].map(
      ([, name = '', size = '']) => [name, parseInt(size, 16)] as const,
    );
    const sizeOf = new Map(sizes);
    expect(sizeOf.get('parked')).toBeLessThan(3500);
    expect(sizes.filter(([name, size]) => /^\.(data|bss|rodata|text)/.test(name) && size > 0)).toEqual([]);
    return Promise.resolve();
  });
});
