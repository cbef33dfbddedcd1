/**
 * The house: files have names that say what is in them, and open by telling it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const ROOT = join(__dirname, '../../../..');
const SOURCES = ['src', 'services', 'bench', 'native'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
);
const TYPESCRIPT = SOURCES.filter((file) => file.endsWith('.ts'));
const CODE = SOURCES.filter((file) => /\.(ts|cc|h|c)$/.test(file));

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

test('no file is a drawer: no utils, no types, no index that only hands on names', () => {
  const drawers = /^(utils?|helpers?|types?|common|misc|shared|constants|index)\./;
  expect(SOURCES.filter((file) => drawers.test(basename(file)) && /\.(ts|cc|h)$/.test(file))).toEqual([]);
});

test('no file hands on what another exports', () => {
  expect(TYPESCRIPT.filter((file) => /^export (\*|\{[^}]*\} from|type \{[^}]*\} from)/m.test(textOf(file)))).toEqual(
    [],
  );
});

test('every file opens with a comment that tells what it is for', () => {
  const opening = /^(#!.*\n)?(\/\*|\/\/)/;
  expect(CODE.filter((file) => !opening.test(textOf(file)))).toEqual([]);
});

test('the only wire between two files is an import: no global is set', () => {
  expect(TYPESCRIPT.filter((file) => /\bglobalThis\.\w+ =/.test(textOf(file)))).toEqual([]);
});
