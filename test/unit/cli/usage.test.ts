/**
 * The help texts, the manual and the code know the same verbs and options.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERBS } from '../../../src/cli/arguments';
import { usage } from '../../../src/cli/usage';

const MANUAL = join(__dirname, '../../../../docs/command-line.md');

test('the general help lists every verb and no other', () => {
  const listed = [...(usage(null) ?? '').matchAll(/^ {2}stdiod (\w+)/gm)].map(([, verb]) => verb);
  expect(listed.sort()).toEqual([...VERBS].sort());
});

test.each(VERBS)('the help on %s begins with how it is written', (verb) => {
  expect(usage(verb)).toMatch(new RegExp(`^stdiod ${verb}\\b`));
});

test.each(['serve', '', '__proto__', 'constructor'])('there is no help on %j, which is no verb', (word) => {
  expect(usage(word)).toBeNull();
});

test('no line of a help text is wider than 130 characters', () => {
  const lines = [null, ...VERBS].flatMap((topic) => (usage(topic) ?? '').split('\n'));
  expect(lines.filter((line) => line.length > 130)).toEqual([]);
});

test('the manual has a heading for every verb, and for nothing that is none', () => {
  const headings = [...readFileSync(MANUAL, 'utf8').matchAll(/^## ([a-z]+)$/gm)].map(([, verb]) => verb);
  expect(headings.sort()).toEqual([...VERBS].sort());
});

test.each(['run', 'check', 'print', 'explain', 'try', 'version'] as const)(
  'the help on %s explains its options',
  (verb) => {
    const text = usage(verb) ?? '';
    const takesFile = verb === 'run' || verb === 'check' || verb === 'print' || verb === 'explain';
    for (const option of [
      '--json',
      '--help',
      ...(takesFile ? ['--config'] : []),
      ...(verb === 'run' ? ['--strict'] : []),
    ])
      expect(text).toMatch(new RegExp(`^  (-\\w.*, )?${option}\\b.* {2}\\w`, 'm'));
  },
);
