/**
 * A short text can ask for very much work: each way has a bound, and what is beyond it is a problem like any other.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration } from '../../../src/config/load';
import { load, onlyKeys, problemsOf, withKeys } from './loading';
import { pretendMachine } from './pretend-machine';

const MORE = 'the text is wrong in more places than this (mend these first)';
const FULL = 'nobody looked for more problems than these (mend these first)';

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');
}

describe('of what the YAML reader finds wrong a thousand are looked at, one for each line told, and no more is read', () => {
  test.each([
    ['bad escapes', `a: "${'\\q'.repeat(8_000_000)}"\n`, 'not an escape that YAML knows'],
    ['bad hexadecimal escapes', `a: "${'\\x '.repeat(400_000)}"\n`, 'not an escape that YAML knows'],
    ['empty items', `a: [${','.repeat(100_000)}]\n`, 'unexpected , in flow sequence'],
    ['missing commas', `a: [${'"b" '.repeat(50_000)}]\n`, 'missing , or : between flow sequence items'],
    ['brackets that close nothing', `a: ${']'.repeat(100_000)}\n`, 'unexpected flow-seq-end token'],
    ['anchors in a row', `a: ${'&b '.repeat(50_000)}\n`, 'a node can have at most one anchor'],
  ])('%s', (_title, text, message) => {
    const problems = problemsOf(text);
    expect(problems[0]).toContain(message);
    expect(problems.at(-1)).toContain(MORE);
    expect(problems.length).toBeLessThanOrEqual(1_001);
  });

  test('in lines of their own each is told', () => {
    const problems = problemsOf(`a:\n${lines(20_000, () => '- "\\q"')}`);
    expect(problems).toHaveLength(1_001);
    expect(problems.at(-1)).toContain(FULL);
  });
});

describe('of all problems a thousand are told, and nobody looks for more', () => {
  test.each([
    ['keys at the top', lines(20_000, (index) => `servises${index}: 1`)],
    ['keys of a service', onlyKeys(lines(20_000, (index) => `lissten${index}: 1`))],
    ['keys of the defaults', `services: {}\ndefaults:\n${lines(20_000, (index) => `  lissten${index}: 1`)}`],
    ['variables', withKeys(`env:\n${lines(20_000, (index) => `  X${index}: 1`)}`)],
    ['tags', `services: {}\nx:\n${lines(20_000, (at) => ` - !x${'y'.repeat(90)} &${'&'.repeat(90)}b${at} c`)}`],
    ['duplicates', 'a: 1\n'.repeat(50_000)],
    ['addresses', onlyKeys(`exec: cat\nlisten: [${'x, '.repeat(4_000)}]`)],
  ])('%s', (_title, text) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1_001);
    expect(problems.filter((problem) => problem.includes(FULL))).toHaveLength(1);
  });
});

describe('a text that stands for more than it says', () => {
  test('by an alias of a long text, counts as long each time', () => {
    const text = `x: &x ${'b'.repeat(60_000)}\nservices:\n${lines(5_000, (at) => `  s${at}: {listen: 0, exec: *x}`)}`;
    expect(problemsOf(text).join('\n')).toContain('the aliases stand for too many values');
  });

  test('by defaults under very many services, is refused', () => {
    const text = `defaults: {env: {X: ${'b'.repeat(100_000)}}}\nservices:\n${lines(2_000, (at) => `  s${at}: {listen: 0, exec: cat}`)}`;
    expect(problemsOf(text)).toEqual([
      '1:11 defaults: with 100016 characters in 1 value the defaults are too long for so many services' +
        ' (move what is long to the services that need it, or into a file that their programs read)',
    ]);
  });

  test('so do defaults of very many values, however short those are', () => {
    const text = `defaults:\n  env:\n${lines(20_000, (at) => `    A${at}: b`)}services:\n${lines(25, (at) => `  s${at}: {listen: 0, exec: cat}`)}`;
    expect(problemsOf(text).join('\n')).toContain('characters in 20000 values the defaults are too long');
  });

  test.each([
    [
      'one service',
      onlyKeys(`exec: cat\nlisten:\n${lines(4_000, (at) => `  - 127.0.${at >> 8}.${at & 255}:1-65535`)}`),
    ],
    ['many services', `services:\n${lines(1_000, (at) => `  s${at}: {listen: "${at}-65535", exec: cat}`)}`],
    [
      'many services that are not enabled',
      `services:\n${lines(1_000, (at) => `  s${at}: {listen: "${at}-65535", exec: cat, enabled: false}`)}`,
    ],
  ])('by ranges of ports of %s, is refused', (_title, text) => {
    expect(problemsOf(text).join('\n')).toContain('would have more than 262144 sockets (listen on fewer ports');
  });

  test('every port of every address, for TCP and UDP, is no more than may be', () => {
    expect(load(withKeys('listen: [1-65535, 1-65535/udp]\nwait: true')).configuration.services).toHaveLength(1);
  });

  test('as a long chain or circle of redirects, is walked once', () => {
    const link = (from: number, to: number): string => `  s${from}: {listen: ${from}, redirect: "127.0.0.1:${to}"}`;
    const chain = `services:\n${lines(3_000, (at) => link(at + 1, at + 2))}`;
    expect(problemsOf(chain)).toEqual([]);
    const problems = problemsOf(chain.replace('127.0.0.1:3001', '127.0.0.1:1'));
    expect(problems).toHaveLength(1_001);
    expect(problems[0]).toContain(
      'go round for ever: s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 -> s10 -> … -> s1 ',
    );
  });
});

describe('an include', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'stdiod-bounds-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function messagesOf(pattern: string): string[] {
    writeFileSync(join(folder, 'main.yaml'), `include: "${pattern}"\nservices: {}\n`);
    const result = loadConfiguration(join(folder, 'main.yaml'), pretendMachine({ uid: 1000 }));
    return result.diagnostics.map(({ message }) => message);
  }

  test('whose pattern goes round through links is refused', () => {
    mkdirSync(join(folder, 'round'));
    for (const name of ['a', 'b', 'c']) symlinkSync('.', join(folder, 'round', name));
    expect(messagesOf(`round${'/*'.repeat(30)}`)).toEqual(['the pattern leads to more than 10000 files and folders']);
  });

  test('of files that are very large together is refused', () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      writeFileSync(join(folder, `${name}.conf`), `services: {}\n#${'x'.repeat(10_000_000)}\n`);
    }
    expect(messagesOf('*.conf')).toEqual(['all files together are larger than 32 MiB']);
  });
});
