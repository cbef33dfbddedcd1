/**
 * Every configuration in the README and the manual loads, and every command gives the output that stands below it.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfigurationText } from '../../src/config/load';
import { endAll } from '../system/endings';
import { project } from '../system/fixtures';
import { pretendMachine } from '../unit/config/pretend-machine';
import { blocksOf, Reader, type Block } from './manual';
import { NODE_FOR_EVERYBODY, testNeeding } from './needs';

afterEach(endAll);

const PAGES = ['README.md', ...readdirSync(join(project, 'docs')).flatMap(inDocs)];
const NOTES = ['not run', 'file', 'typed', 'beside', 'visited', 'needs'];

function inDocs(name: string): string[] {
  return name.endsWith('.md') ? [`docs/${name}`] : [];
}

function isCommand({ language }: Block): boolean {
  return ['console', 'sh'].includes(language);
}

describe.each(PAGES)('%s', (page) => {
  const blocks = blocksOf(page);

  test('says of each command that is not run why', () => {
    const unknown = blocks.flatMap(({ notes }) => [...notes.keys()]).filter((note) => !NOTES.includes(note));
    const silent = blocks.filter(({ language, notes }) => language === 'sh' && !notes.has('not run'));
    const without = blocks.filter((block) => isCommand(block) && block.notes.get('not run') === '');
    expect([unknown, silent.map(({ line }) => line), without]).toEqual([[], [], []]);
  });

  test('has only configurations that load, wherever their programs and users are', () => {
    const shown = blocks.filter(({ language, notes }) => language === 'yaml' && !notes.has('not run'));
    expect(shown.flatMap(({ line, text }) => problemsOf(text).map((problem) => `${line}: ${problem}`))).toEqual([]);
  });

  if (!blocks.some(({ language, notes }) => language === 'console' && !notes.has('not run'))) return;

  testNeeding(
    'python3',
    'nc.openbsd',
    NODE_FOR_EVERYBODY,
  )('has only commands that give what stands below them', async () => {
    const reader = await Reader.of(blocks);
    for (const block of blocks) await reader.read(block);
  });
});

/** Those that the pages use. */
const PORT_NAMES = new Map(Object.entries({ tcpmux: 1, tftp: 69, ident: 113 }));

/** Of the text alone. A part of a service is made a whole one. */
function problemsOf(text: string): string[] {
  const whole = /^(services|defaults):/m.test(text) ? text : `services:\n  a:\n    listen: 7007\n    ${text}`;
  const result = loadConfigurationText(whole, 'services.yaml', pretendMachine({ portNames: () => PORT_NAMES }));
  return result.ok ? [] : result.diagnostics.map(({ line, message }) => `line ${line}: ${message}`);
}
