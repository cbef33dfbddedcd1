/**
 * docs/events.md and the code list the same events.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_NAMES } from '../../../src/log/events';

const MANUAL = join(__dirname, '../../../../docs/events.md');

test('the manual has a heading for every event, and for nothing that is none', () => {
  const text = readFileSync(MANUAL, 'utf8');
  const headings = [...text.matchAll(/^## ([a-z]+)$/gm)].map(([, name]) => name);
  expect(headings.sort()).toEqual([...EVENT_NAMES].sort());
});
