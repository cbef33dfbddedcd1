import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refreshReference, renderReference } from '../../../../src/config/keys/reference';
import { SERVICE_KEYS, TOP_KEYS } from '../../../../src/config/keys/schema';

const page = readFileSync(join(process.cwd(), 'docs', 'configuration.md'), 'utf8');

test('docs/configuration.md lists the keys as the schema has them ("npm run docs" refreshes it)', () => {
  expect(refreshReference(page)).toBe(page);
});

test('every key has a line with a meaning', () => {
  for (const key of [...SERVICE_KEYS, ...TOP_KEYS]) {
    expect(renderReference()).toMatch(new RegExp(`^\\| \`${key}\` +\\|.*\\| [^ |].*\\|$`, 'm'));
  }
});

test('refuses a page without its markers', () => {
  expect(() => refreshReference('# Nothing')).toThrow('the page has no');
});
