import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refreshReference, renderReference } from '../../../../src/config/keys/reference';
import { SERVICE_KEYS, TOP_KEYS } from '../../../../src/config/keys/schema';

const page = readFileSync(join(process.cwd(), 'docs', 'configuration.md'), 'utf8');
const manifest = readFileSync(join(process.cwd(), 'package.json'), 'utf8');

test('docs/configuration.md lists the keys as the schema has them ("npm run docs" refreshes it)', () => {
  expect(refreshReference(page)).toBe(page);
});

test('"npm run docs" runs a file that is there', () => {
  const { scripts } = JSON.parse(manifest) as { readonly scripts: Readonly<Record<string, string>> };
  const file = /\bnode (\S+)/.exec(scripts['docs'] ?? '')?.[1] ?? '';
  expect(file).toMatch(/\/reference\.js$/);
  expect(existsSync(join(process.cwd(), file))).toBe(true);
});

test('every key has a line with a meaning', () => {
  for (const key of [...SERVICE_KEYS, ...TOP_KEYS]) {
    expect(renderReference()).toMatch(new RegExp(`^\\| \`${key}\` +\\|.*\\| [^ |].*\\|$`, 'm'));
  }
});

test('refuses a page without its markers', () => {
  expect(() => refreshReference('# Nothing')).toThrow('the page has no');
});
