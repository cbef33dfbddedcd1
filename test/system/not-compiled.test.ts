/**
 * stdiod without its addon, or with one that was compiled elsewhere: what it can still do, and what it says.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { endAll } from './endings';
import { main, makeFolder, project } from './fixtures';

const GOOD = 'services: {echo: {listen: "127.0.0.1:7007", exec: /bin/cat}}\n';
const COMMAND = `npm --prefix ${join(project)} run install`;
const REMEDY = `remedy: ${COMMAND}\n`;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

afterEach(endAll);

let folder: string;
let addon: string;

beforeEach(() => {
  folder = makeFolder();
  addon = join(folder, 'stdiod.node');
  writeFileSync(join(folder, 'services.yaml'), GOOD);
});

function run(...words: readonly string[]): Outcome {
  const env = { ...process.env, STDIOD_ADDON: addon };
  const options = { cwd: folder, encoding: 'utf8', env } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], options);
  return { status, stdout, stderr };
}

/** script(1) gives it a terminal, on which both of its outputs are. */
function runOnTerminal(...words: readonly string[]): Outcome {
  const env = { ...process.env, STDIOD_ADDON: addon, NO_COLOR: '1' };
  const line = [process.execPath, main, ...words].join(' ');
  const options = { cwd: folder, encoding: 'utf8', env } as const;
  const { status, stdout, stderr } = spawnSync('script', ['-qec', line, '/dev/null'], options);
  return { status, stdout: stdout.replaceAll('\r', ''), stderr };
}

function eventOf(line: string): unknown {
  return JSON.parse(line);
}

/** An ELF file for another processor than any that stdiod runs on. */
function elfFor(processor: number): Buffer {
  const file = Buffer.alloc(64);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(processor, 18);
  return file;
}

describe('nothing was compiled', () => {
  test.each([['version'], ['help'], ['help', 'run'], ['schema'], ['--version'], ['run', '--help']])(
    '%s %s works all the same',
    (...words) => {
      const { status, stdout, stderr } = run(...words);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).not.toBe('');
    },
  );

  test.each([['run'], ['try', '127.0.0.1:0', '--', 'cat'], ['run', '--json']])(
    '%s %s says why it cannot serve, and what to do, as JSON where the log would be',
    (...words) => {
      const { status, stdout, stderr } = run(...words);
      expect([status, stdout]).toEqual([1, '']);
      const events = stderr.trim().split('\n').map(eventOf);
      expect(events).toMatchObject([
        { event: 'problem', file: '', message: `nothing was compiled when it was installed: there is no ${addon}` },
        { event: 'rejected', problems: 1 },
      ]);
      expect(events[0]).toHaveProperty('remedy', COMMAND);
    },
  );

  test('on a terminal, it says so in words', () => {
    const { stdout } = runOnTerminal('run');
    expect(stdout).toBe(`stdiod: nothing was compiled when it was installed: there is no ${addon}\n${REMEDY}`);
  });

  test('check checks what it can, and says what it cannot', () => {
    const { status, stdout, stderr } = run('check');
    expect([status, stdout]).toEqual([0, '']);
    expect(stderr).toMatch(
      /^stdiod: nothing was compiled [^\n]+\nso not checked: [^\n]*accounts [^\n]+\nremedy: npm [^\n]+\n$/,
    );
  });

  test('check finds what is wrong with the file', () => {
    writeFileSync(join(folder, 'services.yaml'), GOOD.replace('/bin/cat', '/bin/no-cat, user: nobody-at-all'));
    const { status, stderr } = run('check');
    expect(status).toBe(78);
    expect(stderr).toContain('/bin/no-cat does not exist');
    expect(stderr).toContain('nobody-at-all');
  });

  test('print prints what it prints with the addon', () => {
    const without = run('print');
    addon = process.env['STDIOD_ADDON'] ?? join(project, 'build/Release/stdiod.node');
    const { stdout } = run('print');
    expect(without).toMatchObject({ status: 0, stdout });
    expect(stdout).toContain('/bin/cat');
  });
});

describe('compiled elsewhere', () => {
  const whatIs = (content: Buffer | string): string => {
    writeFileSync(addon, content);
    const { status, stderr } = run('run');
    expect(status).toBe(1);
    const [problem] = stderr.split('\n').map((each) => eventOf(each === '' ? '{}' : each)) as {
      message: string;
      remedy: string;
    }[];
    expect(problem?.remedy).toBe(COMMAND);
    return problem?.message ?? '';
  };

  test('for another processor', () => {
    expect(whatIs(elfFor(243))).toBe(`${addon} was compiled for riscv64, and this Node.js is for ${process.arch}`);
  });

  test('for a processor that nobody knows', () => {
    expect(whatIs(elfFor(4711))).toContain('was compiled for another processor');
  });

  test('for another C library or system', () => {
    const here = process.arch === 'x64' ? 62 : 183;
    expect(whatIs(elfFor(here))).toMatch(/stdiod\.node was compiled for another system: \S/);
  });

  test('not at all: an empty file', () => {
    expect(whatIs('')).toContain('was compiled for nothing that this machine knows');
  });
});
